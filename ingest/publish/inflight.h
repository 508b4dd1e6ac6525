/* The records whose outcome is not known yet, by id. Such an id is never appended again: a repeat
 * waits for the outcome of the first. Pure; one thread.
 *
 *            reported as written or as certainly not written
 *   SENT ------------------------------------------> settled: removed
 *     | reported without an outcome: timed out on     ^
 *     | the way, the handle went fatal,               | the tail has read the id,
 *     v acknowledged without a cursor                 | or the record is proven absent
 *   UNRESOLVED ---------------------------------------'
 *
 * Proof of absence: an abandoned produce request may still lie in the buffers of a hung broker or
 * of a broken connection, and be carried out later. The record counts as lost once three things
 * have happened. The log's leader has answered over a connection of its own after the report
 * (`heard`). The leader has answered again after as long a time as the silence before (from the
 * sending to `heard`; INFLIGHT_PATIENCE_MIN_MS at least). And the tail has read everything that was
 * in the log then. A broker carries out requests received before a hang within milliseconds of its
 * end. TCP repeats lost segments at the latest after as long again as it has already tried, or
 * after 120 s (INFLIGHT_PATIENCE_MAX_MS). */
#ifndef ESS_INGEST_INFLIGHT_H
#define ESS_INGEST_INFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "ingest/publish/dedupe.h"

enum { INFLIGHT_PATIENCE_MIN_MS = 2000, INFLIGHT_PATIENCE_MAX_MS = 120 * 1000 };

struct inflight_wait;

/* One record. Embedded in the caller's struct. */
struct inflight_record {
    struct dedupe_print print;
    enum { INFLIGHT_SENT, INFLIGHT_UNRESOLVED } state;
    int64_t sent_ms;
    bool before_start_over; /* sent before the last inflight_start_over */
    /* set while UNRESOLVED */
    int64_t reported_ms, heard_ms; /* heard_ms 0: no answer yet */
    /* proven absent once the tail reaches this cursor; -1: not known yet */
    int64_t absent_at;
    struct inflight_wait *waits;
    UT_hash_handle hh;
    struct inflight_record *prev, *next; /* list of unresolved records */
};

/* A wait for a record to settle. Embedded, all zero at first. */
struct inflight_wait {
    void (*settled)(void *arg); /* not called from within inflight_wait */
    void *arg;
    struct inflight_record *record; /* NULL: not waiting */
    struct inflight_wait *prev, *next;
};

struct inflight {
    struct inflight_record *by_id;
    struct inflight_record *unresolved;
    size_t unresolved_count;
};

/* Adds a record. No record with the same id (record->print) may be here. */
void inflight_add(struct inflight *inflight, struct inflight_record *record, int64_t now_ms);
struct inflight_record *inflight_find(const struct inflight *inflight,
                                      const struct dedupe_print *print);

void inflight_wait(struct inflight_record *record, struct inflight_wait *wait);
void inflight_leave(struct inflight_wait *wait);
/* Ends every wait for the record, then calls the waiters. A waiter may wait for another record or
 * leave. */
void inflight_wake(struct inflight_record *record);

/* SENT -> UNRESOLVED */
void inflight_unresolve(struct inflight *inflight, struct inflight_record *record, int64_t now_ms);
/* Removes a record once the outcome is known. The record's waits stay until inflight_wake. */
void inflight_settle(struct inflight *inflight, struct inflight_record *record);

/* Evaluates an answer of the log's leader: asked at `asked_ms`, answered at `now_ms`, `newest` is
 * the log's newest cursor and `tail` the tail's. Returns an unresolved record that is proven
 * absent, for the caller to settle, or NULL. Call again with the same answer until NULL. */
struct inflight_record *inflight_look(struct inflight *inflight, int64_t asked_ms, int64_t now_ms,
                                      int64_t newest, int64_t tail);

/* The log is being read again from the start: earlier cursors are void. */
void inflight_start_over(struct inflight *inflight);

#endif
