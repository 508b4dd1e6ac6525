/* The lane's part of a replay token; see lane.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dispatcher/lane/lane.h"

void lane_init_from_token(struct lane *lane, const struct lane_policy *policy,
                          struct throttle *throttle, struct endpoint *endpoint,
                          const struct token *token) {
    lane_init(lane, policy, throttle, endpoint, token->position);
    lane->last = lane->newest = token->last;
    lane->last_id_hash = lane->newest_id_hash = token->last_id_hash;
    lane->rewinds = token->rewinds;
    lane->compacted = lane->last_compacted = token->compacted;
    endpoint->failing_since_ms = token->failing_since_ms;
    endpoint->failing_ms = token->failing_ms;
    lane->given_up = token->given_up;
    lane->refused_in_row = token->refused_in_row;
    lane->skipping = token->skipping;
    lane->delivered = token->delivered;
    lane->dead_lettered = token->dead_lettered;
    if (token->attempts_count) {
        lane->failed = mem_zero(TOKEN_ATTEMPTS_MAX * sizeof *lane->failed);
        lane->failed_count = token->attempts_count;
        memcpy(lane->failed, token->attempts, (size_t)token->attempts_count * sizeof *lane->failed);
    }
    lane_set_settled(lane, token->settled, token->settled_count);
    adaptive_restore(&endpoint->adaptive, token->rate);
    if (token->state == TOKEN_DISABLED)
        lane_disable(lane, token->reason);
}

static int64_t lane_checkpoint_later(int64_t a, int64_t b) { return a > b ? a : b; }

struct range_list {
    struct token_range *ranges;
    int64_t count, cap;
};

static void lane_checkpoint_add_range(struct range_list *list, int64_t from, int64_t to) {
    if (from > to || list->count == TOKEN_SETTLED_MAX)
        return;
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 4;
        list->ranges = mem_resize(list->ranges, (size_t)list->cap * sizeof *list->ranges);
    }
    list->ranges[list->count++] = (struct token_range){from, to};
}

/* Events found between two window entries, or above the newest, are settled. Ranges of the old
 * token not reached yet stay. */
int64_t lane_settled(const struct lane *lane, struct token_range **ranges) {
    const struct window *w = &lane->window;
    struct range_list list = {0};
    for (size_t i = 0; i < w->count; i++)
        lane_checkpoint_add_range(&list, w->entries[i]->cursor + 1,
                                  i + 1 < w->count ? w->entries[i + 1]->prev : lane->newest);
    for (int64_t i = lane->settled_at; i < lane->settled_count; i++)
        lane_checkpoint_add_range(
            &list,
            lane_checkpoint_later(lane->settled[i].from,
                                  lane_checkpoint_later(lane->newest, lane->position) + 1),
            lane->settled[i].to);
    *ranges = list.ranges;
    return list.count;
}

static int64_t lane_checkpoint_next_retry_ms(const struct lane *lane) {
    const struct window_entry *f = lane->policy.ordering == SPEC_STRICT
                                       ? window_oldest(&lane->window)
                                       : window_first_due(&lane->window);
    return f && f->state == ENTRY_BACKOFF
               ? lane_checkpoint_later(f->retry_at_ms, lane->endpoint->until_ms)
               : INT64_MAX;
}

void lane_reason(const struct lane *lane, const char *help, char reason[TOKEN_REASON_BYTES]) {
    const struct window_entry *f = lane->paused || lane->disabled
                                       ? NULL
                                       : window_oldest_failed(&lane->window);
    const char *why =
        lane_may_give_up(lane) ? ""
        : lane->refused_in_row < LANE_REFUSED_MAX
            ? "; an earlier event was given up, and no other will be before a 2xx"
            : "; 20 earlier events were refused, and no other is given up before a 2xx";
    bool full = lane->window.count >= LANE_WINDOW_MAX;
    snprintf(reason, TOKEN_REASON_BYTES, "%s", lane->reason);
    if (f && (lane->policy.ordering == SPEC_STRICT || full || lane_state(lane) == TOKEN_RETRYING))
        snprintf(reason, TOKEN_REASON_BYTES,
                 "%s%s %" PRId64 " failed at attempt %" PRId64 " and waits for the next%s: %s",
                 full ? "too many events wait for a retry; " : "",
                 lane_batch_next(f) ? "the batch from event" : "event", f->cursor, f->attempts, why,
                 help);
}

void lane_to_token(const struct lane *lane, int64_t now_ms, int64_t wall_ms, struct token *token) {
    int64_t next_ms = lane->disabled || lane->paused || lane->pending
                          ? INT64_MAX
                          : lane_checkpoint_next_retry_ms(lane);
    token->position = lane->position;
    token->last = lane->last;
    token->last_id_hash = lane->last_id_hash;
    token->rewinds = lane->rewinds;
    token->compacted = lane->last_compacted;
    token->waiting = lane_idle(lane);
    token->state = lane_state(lane);
    lane_reason(lane, "resume retries at once, skip dead-letters the event", token->reason);
    token->failing_since_ms = lane->endpoint->failing_since_ms;
    token->failing_ms = lane->endpoint->failing_ms;
    token->next_attempt_ms = next_ms == INT64_MAX ? 0 : next_ms - now_ms + wall_ms;
    token->given_up = lane->given_up;
    token->refused_in_row = lane->refused_in_row;
    token->skipping = lane->skipping;
    token->rate = lane->endpoint->adaptive.per_sec;
    token->delivered = lane->delivered;
    token->dead_lettered = lane->dead_lettered;
    for (int64_t i = 0; i < lane->failed_count; i++)
        token_add_attempt(token, &lane->failed[i]);
    token->settled_count = lane_settled(lane, &token->settled);
}

bool lane_idle(const struct lane *lane) { return lane->at_end && lane->window.count == 0; }

bool lane_done(const struct lane *lane) {
    return lane->window.count == 0 && lane->scanned >= lane->until;
}

enum token_state lane_state(const struct lane *lane) {
    if (lane->disabled)
        return TOKEN_DISABLED;
    if (lane->paused)
        return TOKEN_PAUSED;
    if (lane->pending)
        return TOKEN_PENDING;
    return lane->endpoint->failing_since_ms && !lane_idle(lane) ? TOKEN_RETRYING : TOKEN_ACTIVE;
}
