/* The events of a lane that were found in the log and are not settled yet: in the order of their
 * cursors, by key (each key's in order), and by when the next may start. What is settled leaves the
 * window, so that memory follows what waits, and one event that fails for hours holds up nothing
 * that was found after it. Pure. */
#ifndef ESS_DISPATCHER_WINDOW_H
#define ESS_DISPATCHER_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/dead_letter.h"

/* An event in the window.
 *                     from → to
 *   ENTRY_BLOCKED    QUEUED                                  waits for an earlier one of its key
 *   ENTRY_QUEUED     IN_FLIGHT SETTLED BLOCKED DEAD_LETTERING       may start
 *   ENTRY_IN_FLIGHT  SETTLED BACKOFF DEAD_LETTERING QUEUED BLOCKED  an attempt is under way
 *   ENTRY_BACKOFF    IN_FLIGHT SETTLED QUEUED BLOCKED        an attempt failed
 *   ENTRY_DEAD_LETTERING    SETTLED                                 its dead letter is being
 * written ENTRY_SETTLED                                            it has left the window */
enum entry_state {
    ENTRY_BLOCKED,
    ENTRY_QUEUED,
    ENTRY_IN_FLIGHT,
    ENTRY_BACKOFF,
    ENTRY_DEAD_LETTERING,
    ENTRY_SETTLED,
    ENTRY_STATES
};

struct window_key;

struct window_entry {
    enum entry_state state;
    bool fresh;                     /* its next attempt is to be made on a new connection */
    bool compacted;                 /* compaction took records between prev and cursor */
    enum dead_letter_reason reason; /* while DEAD_LETTERING */
    int64_t cursor;
    int64_t prev;          /* the subscriber's own event before it, its prev_cursor */
    uint64_t prev_id_hash; /* of that event; 0: not known */
    uint64_t key_hash;
    int64_t appended_ms; /* wall: when it was appended to the log; 0: not known */
    int64_t attempts;    /* made so far */
    int64_t retry_at_ms; /* while in BACKOFF */
    uint64_t throttle_slot;
    uint64_t endpoint_number; /* of the newest attempt */
    /* the window's own */
    size_t heap_at;
    struct window_key *key; /* NULL: the window does not go by key */
    struct window_entry *key_prev, *key_next;
};

struct window {
    struct window_entry **entries; /* ascending by cursor */
    size_t count, cap;
    struct window_entry **heap; /* QUEUED and BACKOFF: the top may start first */
    size_t heap_count, heap_cap;
    bool by_key;
    struct window_key *keys;
    size_t in_flight;
};

/* An empty window is all zero. */
void window_clear(struct window *window); /* frees all that it holds */

/* Appends an event above all others: QUEUED, or BLOCKED by an earlier one of its key. Copied;
 * returns the window's own. */
struct window_entry *window_push(struct window *window, const struct window_entry *entry);
/* NULL: it is not (any more) in the window. */
struct window_entry *window_find(const struct window *window, int64_t cursor);
struct window_entry *window_oldest(const struct window *window);
/* The oldest at which an attempt failed, and whose dead letter is not being written. */
struct window_entry *window_oldest_failed(const struct window *window);
/* The one that may start first, in QUEUED or BACKOFF; NULL: none waits for a start. What is QUEUED
 * comes first, oldest first. */
struct window_entry *window_first_due(const struct window *window);
/* The event right above `entry`; NULL: none. */
struct window_entry *window_above(const struct window *window, const struct window_entry *entry);

/* The one place where an entry's state changes; not to SETTLED. One that would wait before an
 * earlier one of its key is settled is BLOCKED instead. Set retry_at_ms before BACKOFF. */
void window_set_state(struct window *window, struct window_entry *entry, enum entry_state state);
/* It is settled: it leaves the window and is freed, and the next of its key may start. */
void window_settle(struct window *window, struct window_entry *entry);

/* Whether of one key only the oldest may start. */
void window_set_by_key(struct window *window, bool by_key);

#endif
