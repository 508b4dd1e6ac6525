/* The events that a lane has found and not settled: ordered by cursor, by key, and by when the
 * next attempt may start. Settled events leave the window, so that memory follows the waiting
 * events, and an event that fails for hours does not hold up later events. Pure. */
#ifndef ESS_DISPATCHER_WINDOW_H
#define ESS_DISPATCHER_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/dead_letter.h"

/* An event in the window.
 *
 *   state                 to                                    meaning
 *   ENTRY_BLOCKED         QUEUED OPEN BATCHED                   behind its key's earlier
 *   ENTRY_OPEN            QUEUED BLOCKED BATCHED                waits for a batch
 *   ENTRY_BATCHED         QUEUED OPEN BLOCKED IN_FLIGHT         goes with its batch's first
 *                         DEAD_LETTERING SETTLED
 *   ENTRY_QUEUED          IN_FLIGHT OPEN BLOCKED                may start
 *                         DEAD_LETTERING SETTLED
 *   ENTRY_IN_FLIGHT       BACKOFF QUEUED BLOCKED                attempt under way
 *                         DEAD_LETTERING SETTLED
 *   ENTRY_BACKOFF         IN_FLIGHT QUEUED BLOCKED SETTLED      attempt failed
 *   ENTRY_DEAD_LETTERING  SETTLED                               writing the dead letter
 *   ENTRY_SETTLED                                               has left the window */
enum entry_state {
    ENTRY_BLOCKED,
    ENTRY_OPEN,
    ENTRY_BATCHED,
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
    bool fresh;                     /* make the next attempt on a new connection */
    bool compacted;                 /* compaction took records between prev and cursor */
    bool sent;                      /* an attempt has sent it with this prev */
    bool fixed;                     /* its request is put together: no OPEN any more */
    bool ends_request;              /* the last of its request; lane_batch.h */
    bool dissolves;                 /* its chain ends if this attempt fails */
    enum dead_letter_reason reason; /* while DEAD_LETTERING */
    int64_t cursor;
    int64_t prev;          /* cursor of the subscriber's previous event: prev_cursor */
    uint64_t prev_id_hash; /* of the previous event; 0: unknown */
    uint64_t key_hash;
    int64_t bytes;       /* of its body, at most */
    int64_t appended_ms; /* wall: when the event was appended to the log; 0: unknown */
    int64_t attempts;    /* made so far at the request that begins with this event */
    int64_t spared;      /* of these, that do not count for max_attempts */
    int64_t waits_from;  /* attempts up to here do not lengthen the wait */
    int64_t retry_at_ms; /* while in BACKOFF */
    uint64_t throttle_slot;
    uint64_t endpoint_number; /* of the newest attempt */
    /* the next event of the same batch, of this request or of one that follows; NULL: none */
    struct window_entry *batch_next;
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
    bool by_batch; /* what may start is OPEN first */
    struct window_key *keys;
    uint64_t moves; /* changes of states so far */
    size_t in_flight;
};

/* An empty window is all zero. */
void window_clear(struct window *window); /* frees all entries */

/* Appends a copy of the event above all others: QUEUED (OPEN by batch), or BLOCKED by an earlier
 * entry of the same key. Returns the copy. */
struct window_entry *window_push(struct window *window, const struct window_entry *entry);
/* NULL: not in the window. */
struct window_entry *window_find(const struct window *window, int64_t cursor);
struct window_entry *window_oldest(const struct window *window);
/* The oldest entry with a failed attempt that is not being dead-lettered. */
struct window_entry *window_oldest_failed(const struct window *window);
/* The entry that may start first: QUEUED by age, then BACKOFF by due time; NULL: nothing waits. */
struct window_entry *window_first_due(const struct window *window);
/* The event right above `entry`; NULL: none. */
struct window_entry *window_above(const struct window *window, const struct window_entry *entry);

/* The only place where an entry's state changes; not to SETTLED. An entry that would wait behind
 * an earlier entry of the same key becomes BLOCKED instead, and a QUEUED one that is not `fixed`
 * OPEN while the window goes by batch. Set retry_at_ms before BACKOFF. */
void window_set_state(struct window *window, struct window_entry *entry, enum entry_state state);
/* Settles the entry: frees the entry, and lets the next entry of the key start. */
void window_settle(struct window *window, struct window_entry *entry);

/* Whether only the oldest entry of a key may start. */
void window_set_by_key(struct window *window, bool by_key);
/* Whether entries wait for a batch before they may start. */
void window_set_by_batch(struct window *window, bool by_batch);

#endif
