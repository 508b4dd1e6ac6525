/* The records whose fate is not known yet, by their ids. An id that is here is never appended
 * again: who publishes it once more waits for the fate of the first. Pure; one thread.
 *
 *            reported as written or as certainly not
 *   SENT ------------------------------------------> settled: no more here
 *     | reported without a fate: timed out on         ^
 *     | the way, the handle went fatal,               | the tail has read its id,
 *     v acknowledged without a cursor                 | or it is proven absent
 *   UNRESOLVED ---------------------------------------'
 *
 * Absent: a request that nobody waits for any more may still lie in the buffers of a broker that
 * stands still, or of a connection that was cut, and be carried out later. It is taken for lost
 * once the log's leader has answered over a connection of its own after the report (`heard`),
 * answered again after as long a time as the silence before had lasted (from the sending to
 * `heard`; INFLIGHT_PATIENCE_MIN_MS at least), and the tail has read all that was in the log then.
 * A broker carries out what it had received before it stood still within milliseconds of going on;
 * and TCP repeats what got lost at the latest after as long again as it has tried already, or after
 * 120 s (INFLIGHT_PATIENCE_MAX_MS). */
#ifndef ESS_INGEST_INFLIGHT_H
#define ESS_INGEST_INFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "ingest/publish/dedupe.h"

enum { INFLIGHT_PATIENCE_MIN_MS = 2000, INFLIGHT_PATIENCE_MAX_MS = 120 * 1000 };

struct inflight_wait;

/* One record. Embedded in what is known about it. */
struct inflight_record {
    struct dedupe_print print;
    enum { INFLIGHT_SENT, INFLIGHT_UNRESOLVED } state;
    int64_t sent_ms;
    /* of an unresolved one */
    int64_t reported_ms, heard_ms; /* heard_ms 0: not yet */
    int64_t absent_at;             /* once the tail has come to this cursor; -1: not known yet */
    struct inflight_wait *waits;
    UT_hash_handle hh;
    struct inflight_record *prev, *next; /* among the unresolved */
};

/* Someone who waits until a record is settled. Embedded, all zero at first. */
struct inflight_wait {
    void (*settled)(void *arg); /* not called from within inflight_wait */
    void *arg;
    struct inflight_record *record; /* NULL: does not wait */
    struct inflight_wait *prev, *next;
};

struct inflight {
    struct inflight_record *by_id;
    struct inflight_record *unresolved;
    size_t unresolved_count;
};

/* Its id (record->print) must not be here yet. */
void inflight_add(struct inflight *inflight, struct inflight_record *record, int64_t now_ms);
struct inflight_record *inflight_find(const struct inflight *inflight,
                                      const struct dedupe_print *print);

void inflight_wait(struct inflight_record *record, struct inflight_wait *wait);
void inflight_leave(struct inflight_wait *wait);
/* Ends all waits for it, and only then calls those who waited: they may wait for other records, or
 * leave. */
void inflight_wake(struct inflight_record *record);

/* SENT -> UNRESOLVED */
void inflight_unresolve(struct inflight *inflight, struct inflight_record *record, int64_t now_ms);
/* Its fate is known: takes it out. Its waits stay: inflight_wake. */
void inflight_settle(struct inflight *inflight, struct inflight_record *record);

/* The log's leader was asked at `asked_ms`, and its answer came at `now_ms`: `newest` is the log's
 * newest cursor. The tail has come to `tail`. Returns an unresolved record that is proven absent,
 * which is still to be settled, or NULL: call again until then, with the same answer. */
struct inflight_record *inflight_look(struct inflight *inflight, int64_t asked_ms, int64_t now_ms,
                                      int64_t newest, int64_t tail);

/* The log is read anew: cursors of before mean nothing. */
void inflight_start_over(struct inflight *inflight);

#endif
