/* The lane; see lane.h. set_state is the one place where the state changes; after PgBouncer's objects. */
#include "dispatcher/lane.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "dispatcher/retry.h"

#define GO(state) (1U << (state))
static const unsigned legal[LANE_STATES] = {
    [LANE_WAITING] = GO(LANE_READY),
    [LANE_READY] = GO(LANE_WAITING) | GO(LANE_IN_FLIGHT),
    [LANE_IN_FLIGHT] = GO(LANE_READY) | GO(LANE_BACKOFF) | GO(LANE_BURYING),
    [LANE_BACKOFF] = GO(LANE_READY) | GO(LANE_IN_FLIGHT),
    [LANE_BURYING] = GO(LANE_READY),
    [LANE_DISABLED] = GO(LANE_READY),
};

static void set_state(struct lane *lane, enum lane_state state) {
    assert(state == LANE_DISABLED || (legal[lane->state] & GO(state)));
    lane->state = state;
}

void lane_init(struct lane *lane, const struct lane_policy *policy, int64_t position) {
    *lane = (struct lane){.state = LANE_READY, .policy = *policy, .position = position, .last = position, .current = -1};
    throttle_init(&lane->throttle, policy->throttle_per_sec);
}

void lane_init_from_token(struct lane *lane, const struct lane_policy *policy, const struct token *token) {
    lane_init(lane, policy, token->position);
    lane->last = token->last;
    lane->last_id_hash = token->last_id_hash;
    lane->compacted = token->compacted;
    lane->failing_since_ms = token->failing_since_ms;
    lane->given_up = token->given_up;
    lane->refused_in_row = token->refused_in_row;
    lane->delivered = token->delivered;
    lane->dead_lettered = token->dead_lettered;
    if (token->attempts_count) {
        lane->failed = mem_zero(TOKEN_ATTEMPTS_MAX * sizeof *lane->failed);
        lane->failed_count = token->attempts_count;
        memcpy(lane->failed, token->attempts, (size_t)token->attempts_count * sizeof *lane->failed);
    }
    if (token->state == TOKEN_DISABLED)
        lane_disable(lane, token->reason);
}

void lane_fini(struct lane *lane) {
    throttle_fini(&lane->throttle);
    free(lane->failed);
    lane->failed = NULL;
}

void lane_to_token(const struct lane *lane, int64_t now_ms, int64_t wall_ms, struct token *token) {
    token->position = lane->position;
    token->last = lane->last;
    token->last_id_hash = lane->last_id_hash;
    token->compacted = lane->compacted;
    token->waiting = lane->state == LANE_WAITING;
    token->state = lane_token_state(lane);
    snprintf(token->reason, sizeof token->reason, "%s", lane->reason);
    token->failing_since_ms = lane->failing_since_ms;
    token->next_attempt_ms = lane->state == LANE_BACKOFF ? lane->retry_at_ms - now_ms + wall_ms : 0;
    token->given_up = lane->given_up;
    token->refused_in_row = lane->refused_in_row;
    token->delivered = lane->delivered;
    token->dead_lettered = lane->dead_lettered;
    token->attempts_count = lane->failed_count;
    if (lane->failed_count)
        memcpy(token->attempts, lane->failed, (size_t)lane->failed_count * sizeof *lane->failed);
}

void lane_set_policy(struct lane *lane, const struct lane_policy *policy) {
    lane->policy = *policy;
    throttle_set_rate(&lane->throttle, policy->throttle_per_sec);
}

int64_t lane_due_ms(const struct lane *lane) {
    int64_t throttle = throttle_next_ms(&lane->throttle);
    if (lane->state == LANE_READY)
        return throttle;
    if (lane->state == LANE_BACKOFF)
        return throttle > lane->retry_at_ms ? throttle : lane->retry_at_ms;
    return INT64_MAX;
}

static void forget_current(struct lane *lane) {
    lane->current = -1;
    lane->attempts = 0;
}

static void move_to(struct lane *lane, int64_t position) {
    if (position > lane->position)
        lane->position = position;
}

void lane_wake(struct lane *lane, int64_t passed) {
    assert(lane->state == LANE_WAITING);
    move_to(lane, passed);
    set_state(lane, LANE_READY);
}

void lane_pass(struct lane *lane, int64_t cursor) {
    assert(lane->state == LANE_READY || lane->state == LANE_BACKOFF);
    move_to(lane, cursor);
    if (lane->current < 0 || lane->current > cursor)
        return;
    forget_current(lane);
    if (lane->state == LANE_BACKOFF)
        set_state(lane, LANE_READY);
}

void lane_wait(struct lane *lane, int64_t cursor) {
    lane_pass(lane, cursor);
    if (lane->state == LANE_BACKOFF) { /* its event stands beyond the end, so it is not there any more */
        forget_current(lane);
        set_state(lane, LANE_READY);
    }
    set_state(lane, LANE_WAITING);
}

int64_t lane_start(struct lane *lane, int64_t cursor, uint64_t id_hash) {
    assert(cursor > lane->position);
    set_state(lane, LANE_IN_FLIGHT);
    if (lane->current != cursor)
        lane->attempts = 0;
    lane->current = cursor;
    lane->current_id_hash = id_hash;
    lane->throttle_slot = throttle_start(&lane->throttle);
    return ++lane->attempts;
}

/* --- outcomes */

static void note_failed(struct lane *lane, const struct lane_outcome *outcome, int64_t wall_ms) {
    struct token_attempt *attempt;
    if (!lane->failed)
        lane->failed = mem_zero(TOKEN_ATTEMPTS_MAX * sizeof *lane->failed);
    if (lane->failed_count == TOKEN_ATTEMPTS_MAX)
        memmove(lane->failed, lane->failed + 1, (size_t)--lane->failed_count * sizeof *lane->failed);
    attempt = &lane->failed[lane->failed_count++];
    *attempt = (struct token_attempt){.at_ms = wall_ms,
                                      .cursor = lane->current,
                                      .attempt = lane->attempts,
                                      .status = outcome->status,
                                      .duration_ms = outcome->duration_ms};
    snprintf(attempt->error, sizeof attempt->error, "%s", outcome->error ? outcome->error : "");
    snprintf(attempt->excerpt, sizeof attempt->excerpt, "%s", outcome->excerpt ? outcome->excerpt : "");
}

/* The current event is done with, one way or the other. */
static void settle(struct lane *lane) {
    move_to(lane, lane->current);
    lane->last = lane->current;
    lane->last_id_hash = lane->current_id_hash;
    lane->compacted = false;
    forget_current(lane);
    set_state(lane, LANE_READY);
}

static void succeed(struct lane *lane) {
    lane->delivered++;
    lane->failing_since_ms = 0;
    lane->given_up = false;
    lane->refused_in_row = 0;
    settle(lane);
}

static void bury(struct lane *lane, const char *reason) {
    lane->bury_reason = reason;
    set_state(lane, LANE_BURYING);
}

static void fail(struct lane *lane, const struct lane_outcome *outcome, int64_t now_ms, int64_t wall_ms, uint64_t random) {
    const struct lane_policy *policy = &lane->policy;
    char text[CLOCK_TEXT_BYTES], reason[TOKEN_REASON_BYTES];
    if (lane->failing_since_ms == 0)
        lane->failing_since_ms = wall_ms;
    if (wall_ms - lane->failing_since_ms >= policy->disable_after_ms) {
        clock_format_duration(policy->disable_after_ms, text);
        snprintf(reason, sizeof reason, "nothing but failure for %s (disable_after)", text);
        lane_disable(lane, reason);
    } else if (lane->attempts >= policy->max_attempts && !lane->given_up && lane->refused_in_row < LANE_REFUSED_MAX) {
        bury(lane, "attempts");
    } else {
        lane->retry_at_ms =
            now_ms + retry_wait_ms(policy->backoff_min_ms, policy->backoff_max_ms, lane->attempts, outcome->retry_after_ms, random);
        set_state(lane, LANE_BACKOFF);
    }
}

void lane_finish(struct lane *lane, const struct lane_outcome *outcome, int64_t now_ms, int64_t wall_ms, uint64_t random) {
    enum retry_verdict verdict = retry_judge(outcome->status);
    assert(lane->state == LANE_IN_FLIGHT);
    throttle_finish(&lane->throttle, lane->throttle_slot, now_ms);
    if (verdict == RETRY_SETTLED) {
        succeed(lane);
        return;
    }
    note_failed(lane, outcome, wall_ms);
    if (verdict == RETRY_GONE)
        lane_disable(lane, "gone (410)");
    else if (verdict == RETRY_REFUSED && !lane->given_up && lane->refused_in_row < LANE_REFUSED_MAX)
        bury(lane, "refused");
    else
        fail(lane, outcome, now_ms, wall_ms, random);
}

void lane_abort(struct lane *lane, int64_t now_ms) {
    throttle_finish(&lane->throttle, lane->throttle_slot, now_ms);
    lane->attempts--;
    set_state(lane, LANE_READY);
}

void lane_buried(struct lane *lane) {
    assert(lane->state == LANE_BURYING);
    lane->dead_lettered++;
    if (strcmp(lane->bury_reason, "attempts") == 0)
        lane->given_up = true;
    else
        lane->refused_in_row++;
    lane->bury_reason = NULL;
    settle(lane);
}

void lane_disable(struct lane *lane, const char *reason) {
    snprintf(lane->reason, sizeof lane->reason, "%s", reason);
    forget_current(lane);
    set_state(lane, LANE_DISABLED);
}

void lane_resume(struct lane *lane) {
    if (lane->state != LANE_DISABLED && lane->state != LANE_BACKOFF)
        return;
    if (lane->state == LANE_DISABLED) {
        lane->reason[0] = 0;
        lane->failing_since_ms = 0;
        lane->given_up = false;
        lane->refused_in_row = 0;
    }
    forget_current(lane);
    set_state(lane, LANE_READY);
}

enum token_state lane_token_state(const struct lane *lane) {
    if (lane->state == LANE_DISABLED)
        return TOKEN_DISABLED;
    return lane->failing_since_ms ? TOKEN_RETRYING : TOKEN_ACTIVE;
}
