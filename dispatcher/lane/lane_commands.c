/* Commands of operators to a lane; see lane.h. */
#include <assert.h>
#include <stdio.h>

#include "dispatcher/lane/lane_internal.h"

void lane_pause(struct lane *lane, bool paused) {
    lane->paused = paused;
    if (paused)
        endpoint_pause(lane->endpoint);
}

void lane_await_handshake(struct lane *lane, bool pending) { lane->pending = pending; }

void lane_disable(struct lane *lane, const char *reason) {
    snprintf(lane->reason, sizeof lane->reason, "%s", reason);
    lane->disabled = true;
}

int64_t lane_skip(struct lane *lane) {
    const struct window_entry *e = lane->skipping ? NULL : window_oldest_failed(&lane->window);
    lane->skipping = e ? e->cursor : lane->skipping;
    return e ? e->cursor : 0;
}

void lane_resume(struct lane *lane) {
    lane->given_up = false;
    lane->refused_in_row = 0;
    lane->disabled = false;
    lane->reason[0] = 0;
    endpoint_forget(lane->endpoint);
    for (size_t i = 0; i < lane->window.count; i++) {
        struct window_entry *e = lane->window.entries[i];
        e->attempts = e->state == ENTRY_IN_FLIGHT        ? 1
                      : e->state == ENTRY_DEAD_LETTERING ? e->attempts
                                                         : 0;
        e->waits_from = 0;
        e->spared = e->state == ENTRY_DEAD_LETTERING ? e->spared : 0;
        if (e->state == ENTRY_BACKOFF)
            window_set_state(&lane->window, e, ENTRY_QUEUED);
    }
}

static void lane_forget_found(struct lane *lane) {
    assert(lane->window.in_flight == 0);
    window_clear(&lane->window);
    lane->batch = (struct lane_batch){0};
    lane->giving_up = 0;
    lane->skipping = 0;
    lane->scanned = lane->position;
    lane->newest = lane->last;
    lane->newest_id_hash = lane->last_id_hash;
    lane->compacted = lane->last_compacted;
    lane->at_end = false;
}

static void lane_go_to(struct lane *lane, int64_t position) {
    lane_forget_settled(lane);
    lane->position = lane->last = position;
    lane->last_id_hash = 0;
    lane->last_compacted = false;
    lane_forget_found(lane);
}

void lane_rewind(struct lane *lane, int64_t position) {
    lane->rewinds++;
    lane_go_to(lane, position);
}

void lane_acknowledge(struct lane *lane, int64_t cursor) {
    const struct token_range settled = {cursor, cursor};
    assert(cursor > lane->position);
    lane_go_to(lane, cursor - 1);
    lane_set_settled(lane, &settled, 1);
}

void lane_look_again(struct lane *lane) { lane_forget_found(lane); }
