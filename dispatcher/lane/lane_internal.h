/* What the files of the lane share. */
#ifndef ESS_DISPATCHER_LANE_INTERNAL_H
#define ESS_DISPATCHER_LANE_INTERNAL_H

#include "dispatcher/lane/lane.h"

/* Drops all ranges of settled events. */
void lane_forget_settled(struct lane *lane);
/* Drops the ranges that end at `cursor` or below. */
void lane_pass_settled(struct lane *lane, int64_t cursor);
/* Skips to the last event of a range that begins right above `scanned`. */
void lane_skip_settled(struct lane *lane);

/* Settles an event that is in no chain. */
void lane_settle_alone(struct lane *lane, struct window_entry *entry);
/* The parts of lane_finish, of the request that begins with the entry: its end for throttle and
 * endpoint (outcome NULL: it was called off); the end of what a 2xx ends; the list of failed
 * attempts; a failure. */
void lane_end_attempt(struct lane *lane, const struct window_entry *entry,
                      const struct outcome *outcome, int64_t now_ms);
void lane_note_2xx(struct lane *lane, const struct window_entry *entry);
void lane_note_failed(struct lane *lane, int64_t cursor, int64_t number,
                      const struct outcome *outcome, int64_t wall_ms);
void lane_fail(struct lane *lane, struct window_entry *entry, const struct outcome *outcome,
               int64_t now_ms, int64_t wall_ms, uint64_t random);

#endif
