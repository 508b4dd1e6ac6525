/* A request whose events were judged one by one; see lane_finish_each in lane.h. */
#include <assert.h>

#include "dispatcher/lane/lane_internal.h"

/* Takes an event that is not part of the request any more out of the lane, or into dead-lettering.
 * Returns false if it stays. */
static bool lane_judge_event(struct lane *lane, struct window_entry *e, enum verdict verdict,
                             int64_t attempts) {
    if (verdict == VERDICT_DELIVERED) {
        lane->delivered++;
        lane_settle_alone(lane, e);
        return true;
    }
    if (verdict != VERDICT_REFUSED || !(lane->policy.redrive || lane_may_give_up(lane)))
        return false;
    lane->refused_in_row += !lane->policy.redrive;
    e->reason = DEAD_LETTER_REFUSED;
    e->attempts = attempts;
    e->batch_next = NULL;
    e->ends_request = true;
    window_set_state(&lane->window, e, ENTRY_DEAD_LETTERING);
    return true;
}

/* What is left of a request under way. */
struct lane_left {
    struct window_entry *first, *last;
    bool failed; /* at least one event was tried */
};

static void lane_keep_event(struct lane_left *left, struct window_entry *e, enum verdict verdict) {
    if (left->last)
        left->last->batch_next = e;
    left->first = left->first ? left->first : e;
    left->last = e;
    left->failed |= verdict != VERDICT_CALLED_OFF;
    e->ends_request = false;
}

/* Goes through the request that begins with `e`. Returns what is left of it, as a chain that
 * `rest`, the requests behind, follows. */
static struct lane_left lane_judge_events(struct lane *lane, struct window_entry *e,
                                          const enum verdict *each, struct window_entry **rest) {
    struct lane_left left = {0};
    const int64_t attempts = e->attempts;
    for (bool ends = false; !ends; e = *rest, each++) {
        ends = e->ends_request;
        *rest = e->batch_next;
        if (!lane_judge_event(lane, e, *each, attempts))
            lane_keep_event(&left, e, *each);
    }
    if (!left.last)
        return left;
    left.last->ends_request = true;
    left.last->batch_next = *rest;
    return left;
}

static void lane_forget_unsent(struct lane *lane, const struct window_entry *e,
                               const enum verdict *each) {
    for (size_t i = 0, count = lane_batch_count(e); i < count; i++)
        if (each[i] == VERDICT_CALLED_OFF)
            throttle_forget(lane->throttle, e->throttle_slot + i);
}

/* The request goes on with what is left of it. */
static void lane_go_on_with(struct lane *lane, const struct lane_left *left,
                            const struct window_entry *was, const struct outcome *outcome,
                            int64_t now_ms, int64_t wall_ms, uint64_t random) {
    struct window_entry *e = left->first;
    if (e->state == ENTRY_BATCHED)
        window_set_state(&lane->window, e, ENTRY_IN_FLIGHT);
    e->attempts = was->attempts - !left->failed;
    e->waits_from = was->waits_from;
    e->spared = was->spared;
    e->dissolves = was->dissolves;
    if (left->failed)
        lane_fail(lane, e, outcome, now_ms, wall_ms, random);
    else
        window_set_state(&lane->window, e, ENTRY_QUEUED);
    if (e->dissolves)
        lane_batch_dissolve(&lane->window, e);
}

void lane_finish_each(struct lane *lane, int64_t cursor, const struct outcome *outcome,
                      int64_t now_ms, int64_t wall_ms, uint64_t random) {
    struct window_entry *e = window_find(&lane->window, cursor), *rest;
    const struct window_entry was = *e;
    assert(e->state == ENTRY_IN_FLIGHT);
    lane_end_attempt(lane, e, outcome, now_ms);
    lane_forget_unsent(lane, e, outcome->each);
    struct outcome of_rest = *outcome;
    if (outcome->verdict == VERDICT_DELIVERED) {
        lane_note_2xx(lane, e);
        of_rest.verdict = VERDICT_FAILED;
    }
    const struct lane_left left = lane_judge_events(lane, e, outcome->each, &rest);
    if (outcome->error)
        lane_note_failed(lane, left.first ? left.first->cursor : cursor, was.attempts, outcome,
                         wall_ms);
    if (left.first)
        lane_go_on_with(lane, &left, &was, &of_rest, now_ms, wall_ms, random);
    else
        lane_batch_go_on(&lane->window, rest);
}
