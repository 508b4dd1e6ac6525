/* Which events go in one request. Pure: works on a lane's window alone.
 *
 * A batch is a run of the window: its first event, and those that follow it one by one, so that
 * between its first and its last cursor no event is left that still has to be delivered. By key, an
 * event that waits for an earlier one of its key joins only a run that has the earlier one.
 *
 * The run is OPEN while it grows. lane_batch_fix makes a chain of it: the first entry takes the
 * states of the request, the others are BATCHED. From then on the request has the same events at
 * every attempt. A request that is to become smaller is halved: the chain stays, and the second
 * half is a request that waits for the first. */
#ifndef ESS_DISPATCHER_LANE_BATCH_H
#define ESS_DISPATCHER_LANE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/batch_limits.h"
#include "dispatcher/lane/window.h"

/* The run that the next batch would be, all zero at first. */
struct lane_batch {
    const struct window_entry *first; /* NULL: there is none */
    int64_t last;                     /* its last cursor */
    size_t count;
    int64_t bytes;                  /* of the body, at most */
    bool closed;                    /* no event can join any more */
    int64_t since_cursor, since_ms; /* when this event was first seen as the first */
    uint64_t moves;                 /* of the window, when the run was measured */
};

/* Finds the run, unless nothing has changed since the last time. */
void lane_batch_measure(struct lane_batch *batch, const struct window *window,
                        const struct batch_limits *limits);
/* Adds an entry just pushed, so that the run need not be measured again. `moves`: the window's
 * before the push. */
void lane_batch_note_pushed(struct lane_batch *batch, const struct window *window,
                            const struct window_entry *entry, uint64_t moves,
                            const struct batch_limits *limits);

/* Makes one request of the run's first `count` events. */
void lane_batch_fix(struct lane_batch *batch, struct window *window, size_t count);

/* The number of events in the request that begins with this entry. */
size_t lane_batch_count(const struct window_entry *first);
/* Their bytes, as in lane_batch. */
int64_t lane_batch_bytes(const struct window_entry *first);
/* The event after this one in the same request; NULL: none. */
const struct window_entry *lane_batch_next(const struct window_entry *entry);

/* Halves a request of several events. Returns the first of the second half, whose attempts the
 * caller sets. */
struct window_entry *lane_batch_halve(struct window_entry *first);
/* Lets what follows a settled request begin. */
void lane_batch_go_on(struct window *window, struct window_entry *rest);
/* Takes an entry that is to leave the window out of its chain. Returns what follows it if it was
 * the first of the chain, for lane_batch_go_on; else NULL. */
struct window_entry *lane_batch_unlink(struct window *window, struct window_entry *entry);
/* Makes single events of all chains that are not in flight, those in flight once they fail. */
void lane_batch_dissolve_all(struct window *window);
void lane_batch_dissolve(struct window *window, struct window_entry *first);

#endif
