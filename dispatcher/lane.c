/* The lane; see lane.h. set_state is the one place where a flight's state changes; after PgBouncer's objects. */
#include "dispatcher/lane.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "dispatcher/retry.h"

#define GO(state) (1U << (state))
static const unsigned legal[FLIGHT_STATES] = {
    [FLIGHT_BLOCKED] = GO(FLIGHT_QUEUED),
    [FLIGHT_QUEUED] = GO(FLIGHT_IN_FLIGHT) | GO(FLIGHT_SETTLED) | GO(FLIGHT_BLOCKED),
    [FLIGHT_IN_FLIGHT] = GO(FLIGHT_SETTLED) | GO(FLIGHT_BACKOFF) | GO(FLIGHT_BURYING) | GO(FLIGHT_QUEUED),
    [FLIGHT_BACKOFF] = GO(FLIGHT_IN_FLIGHT) | GO(FLIGHT_SETTLED) | GO(FLIGHT_QUEUED),
    [FLIGHT_BURYING] = GO(FLIGHT_SETTLED),
};

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

static bool waits(enum flight_state state) { return state == FLIGHT_QUEUED || state == FLIGHT_BACKOFF; }

static void set_state(struct lane *lane, struct flight *f, enum flight_state state) {
    assert(legal[f->state] & GO(state));
    lane->in_flight += (size_t)(state == FLIGHT_IN_FLIGHT) - (size_t)(f->state == FLIGHT_IN_FLIGHT);
    lane->waiting += (size_t)waits(state) - (size_t)waits(f->state);
    f->state = state;
}

/* --- the window */

static struct flight *at(const struct lane *lane, size_t number) { return &lane->window[(lane->window_at + number) % lane->window_cap]; }

static struct flight *find(const struct lane *lane, int64_t cursor) {
    size_t low = 0, high = lane->window_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (at(lane, middle)->cursor < cursor)
            low = middle + 1;
        else
            high = middle;
    }
    return low < lane->window_count && at(lane, low)->cursor == cursor ? at(lane, low) : NULL;
}

const struct flight *lane_flight(const struct lane *lane, int64_t cursor) { return find(lane, cursor); }

static struct flight *push(struct lane *lane) {
    if (lane->window_count == lane->window_cap) {
        size_t cap = lane->window_cap ? lane->window_cap * 2 : 1;
        struct flight *bigger = mem_zero(cap * sizeof *bigger);
        for (size_t i = 0; i < lane->window_count; i++)
            bigger[i] = *at(lane, i);
        free(lane->window);
        lane->window = bigger;
        lane->window_at = 0;
        lane->window_cap = cap;
    }
    return at(lane, lane->window_count++);
}

/* What is settled at the window's beginning leaves it; the position follows. */
static void advance(struct lane *lane) {
    while (lane->window_count && at(lane, 0)->state == FLIGHT_SETTLED) {
        lane->last = at(lane, 0)->cursor;
        lane->last_id_hash = at(lane, 0)->id_hash;
        lane->position = lane->last;
        lane->last_compacted = false;
        lane->window_at = (lane->window_at + 1) % lane->window_cap;
        lane->window_count--;
    }
    if (lane->window_count == 0) {
        lane->position = lane->scanned;
        lane->last_compacted = lane->compacted;
    }
}

static void unblock_next(struct lane *lane, uint64_t key_hash) {
    for (size_t i = 0; i < lane->window_count; i++) {
        struct flight *f = at(lane, i);
        if (f->key_hash != key_hash || f->state == FLIGHT_SETTLED)
            continue;
        if (f->state == FLIGHT_BLOCKED)
            set_state(lane, f, FLIGHT_QUEUED);
        return;
    }
}

static void settle(struct lane *lane, struct flight *f) {
    uint64_t key_hash = f->key_hash;
    set_state(lane, f, FLIGHT_SETTLED);
    if (lane->policy.ordering == SPEC_KEY)
        unblock_next(lane, key_hash);
    advance(lane);
}

/* Whether one of this key that is not settled stands among the first `count`. */
static bool key_is_busy(const struct lane *lane, uint64_t key_hash, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (at(lane, i)->key_hash == key_hash && at(lane, i)->state != FLIGHT_SETTLED)
            return true;
    return false;
}

/* --- beginning and end */

void lane_init(struct lane *lane, const struct lane_policy *policy, struct throttle *throttle, int64_t position) {
    *lane = (struct lane){.policy = *policy, .throttle = throttle, .until = INT64_MAX};
    lane->position = lane->scanned = lane->last = lane->newest = position;
}

void lane_init_from_token(struct lane *lane, const struct lane_policy *policy, struct throttle *throttle, const struct token *token) {
    lane_init(lane, policy, throttle, token->position);
    lane->last = lane->newest = token->last;
    lane->last_id_hash = token->last_id_hash;
    lane->compacted = lane->last_compacted = token->compacted;
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
    lane_set_settled(lane, token->settled, token->settled_count);
    if (token->state == TOKEN_DISABLED)
        lane_disable(lane, token->reason);
}

void lane_fini(struct lane *lane) {
    free(lane->window);
    free(lane->settled);
    free(lane->failed);
    lane->window = NULL;
    lane->settled = NULL;
    lane->failed = NULL;
}

static void add_range(struct token_range **ranges, int64_t *count, int64_t from, int64_t to) {
    *ranges = mem_resize(*ranges, (size_t)(*count + 1) * sizeof **ranges);
    (*ranges)[(*count)++] = (struct token_range){from, to};
}

/* Neighbours in the window make one range; those of the old token that were not come to yet stay as they are. */
int64_t lane_settled(const struct lane *lane, struct token_range **ranges) {
    bool open = false;
    int64_t count = 0;
    *ranges = NULL;
    for (size_t i = 0; i < lane->window_count; i++) {
        const struct flight *f = at(lane, i);
        if (f->state == FLIGHT_SETTLED && open)
            (*ranges)[count - 1].to = f->cursor;
        else if (f->state == FLIGHT_SETTLED)
            add_range(ranges, &count, f->cursor, f->cursor);
        open = f->state == FLIGHT_SETTLED;
    }
    for (int64_t i = 0; i < lane->settled_count; i++)
        if (lane->settled[i].to > lane->scanned)
            add_range(ranges, &count, later(lane->settled[i].from, lane->scanned + 1), lane->settled[i].to);
    return count < TOKEN_SETTLED_MAX ? count : TOKEN_SETTLED_MAX;
}

void lane_set_settled(struct lane *lane, const struct token_range *ranges, int64_t count) {
    if (count == 0)
        return;
    lane->settled = mem_zero((size_t)count * sizeof *ranges);
    lane->settled_count = count;
    memcpy(lane->settled, ranges, (size_t)count * sizeof *ranges);
}

static int64_t next_retry_ms(const struct lane *lane) {
    int64_t next = INT64_MAX;
    for (size_t i = 0; lane->waiting && i < lane->window_count; i++)
        if (at(lane, i)->state == FLIGHT_BACKOFF && at(lane, i)->retry_at_ms < next)
            next = at(lane, i)->retry_at_ms;
    return next < INT64_MAX && next < lane->endpoint_until_ms ? lane->endpoint_until_ms : next;
}

void lane_to_token(const struct lane *lane, int64_t now_ms, int64_t wall_ms, struct token *token) {
    int64_t next_ms = lane->disabled || lane->paused ? INT64_MAX : next_retry_ms(lane);
    token->position = lane->position;
    token->last = lane->last;
    token->last_id_hash = lane->last_id_hash;
    token->compacted = lane->last_compacted;
    token->waiting = lane_idle(lane);
    token->state = lane_token_state(lane);
    snprintf(token->reason, sizeof token->reason, "%s", lane->reason);
    token->failing_since_ms = lane->failing_since_ms;
    token->next_attempt_ms = next_ms == INT64_MAX ? 0 : next_ms - now_ms + wall_ms;
    token->given_up = lane->given_up;
    token->refused_in_row = lane->refused_in_row;
    token->delivered = lane->delivered;
    token->dead_lettered = lane->dead_lettered;
    for (int64_t i = 0; i < lane->failed_count; i++)
        token_add_attempt(token, &lane->failed[i]);
    token->settled_count = lane_settled(lane, &token->settled);
}

/* What waits behind its key under one ordering may start under another, and the other way round. */
static void set_ordering(struct lane *lane, enum spec_ordering ordering) {
    lane->policy.ordering = ordering;
    for (size_t i = 0; i < lane->window_count; i++) {
        struct flight *f = at(lane, i);
        bool busy = ordering == SPEC_KEY && key_is_busy(lane, f->key_hash, i);
        if (f->state == FLIGHT_BLOCKED && !busy)
            set_state(lane, f, FLIGHT_QUEUED);
        else if (f->state == FLIGHT_QUEUED && busy)
            set_state(lane, f, FLIGHT_BLOCKED);
    }
}

void lane_set_policy(struct lane *lane, const struct lane_policy *policy) {
    enum spec_ordering before = lane->policy.ordering;
    lane->policy = *policy;
    if (before != policy->ordering)
        set_ordering(lane, policy->ordering);
}

/* --- what to do */

static bool strict(const struct lane *lane) { return lane->policy.ordering == SPEC_STRICT; }

static size_t in_flight_max(const struct lane *lane) { return strict(lane) || lane->probing ? 1 : (size_t)lane->policy.max_in_flight; }

/* The first in the window that may start now; else when the next one may. Under strict order only the oldest counts. */
static struct flight *startable(const struct lane *lane, int64_t now_ms, int64_t *due_ms) {
    for (size_t i = 0; lane->waiting && i < lane->window_count; i++) {
        struct flight *f = at(lane, i);
        if (f->state == FLIGHT_SETTLED)
            continue;
        if (f->state == FLIGHT_QUEUED || (f->state == FLIGHT_BACKOFF && f->retry_at_ms <= now_ms))
            return f;
        if (f->state == FLIGHT_BACKOFF && f->retry_at_ms < *due_ms)
            *due_ms = f->retry_at_ms;
        if (strict(lane))
            return NULL;
    }
    return NULL;
}

static bool may_scan(const struct lane *lane) {
    if (lane->at_end || lane->scanned >= lane->until)
        return false;
    return strict(lane) ? lane->window_count == 0 : lane->window_count < LANE_WINDOW_MAX;
}

enum lane_todo lane_next(struct lane *lane, int64_t now_ms, int64_t *cursor, int64_t *due_ms) {
    int64_t earliest = later(throttle_next_ms(lane->throttle), lane->endpoint_until_ms);
    *due_ms = INT64_MAX;
    if (lane->disabled || lane->paused || lane->in_flight >= in_flight_max(lane))
        return LANE_NOTHING;
    struct flight *f = startable(lane, now_ms, due_ms);
    bool scan = !f && may_scan(lane);
    *due_ms = f || scan ? earliest : later(*due_ms, earliest);
    if ((!f && !scan) || earliest > now_ms)
        return LANE_NOTHING;
    if (scan)
        return LANE_SCAN;
    *cursor = f->cursor;
    return LANE_SEND;
}

/* Whether the token that it began with has this event as settled. */
static bool settled_before(struct lane *lane, int64_t cursor) {
    int64_t i = 0;
    while (i < lane->settled_count && lane->settled[i].to < cursor)
        i++;
    if (i) {
        lane->settled_count -= i;
        memmove(lane->settled, lane->settled + i, (size_t)lane->settled_count * sizeof *lane->settled);
    }
    return lane->settled_count && lane->settled[0].from <= cursor;
}

bool lane_found(struct lane *lane, int64_t cursor, uint64_t id_hash, uint64_t key_hash, bool compacted) {
    assert(cursor > lane->scanned && cursor <= lane->until);
    bool busy = lane->policy.ordering == SPEC_KEY && key_is_busy(lane, key_hash, lane->window_count);
    bool settled = settled_before(lane, cursor);
    struct flight *f = push(lane);
    *f = (struct flight){.state = busy ? FLIGHT_BLOCKED : FLIGHT_QUEUED,
                         .compacted = compacted || lane->compacted,
                         .cursor = cursor,
                         .prev = lane->newest,
                         .id_hash = id_hash,
                         .key_hash = key_hash};
    lane->waiting += !busy;
    lane->scanned = lane->newest = cursor;
    lane->compacted = false;
    if (settled) {
        lane->waiting -= !busy;
        f->state = FLIGHT_SETTLED;
        advance(lane);
    }
    return !settled && !busy;
}

void lane_passed(struct lane *lane, int64_t cursor, bool compacted) {
    lane->compacted |= compacted;
    if (cursor > lane->scanned)
        lane->scanned = cursor < lane->until ? cursor : lane->until;
    advance(lane);
}

void lane_at_end(struct lane *lane, int64_t cursor, bool compacted) {
    lane_passed(lane, cursor, compacted);
    lane->at_end = true;
}

void lane_wake(struct lane *lane, int64_t passed) {
    assert(lane->at_end);
    lane->at_end = false;
    lane_passed(lane, passed, false);
}

const struct flight *lane_start(struct lane *lane, int64_t cursor) {
    struct flight *f = find(lane, cursor);
    assert(f);
    set_state(lane, f, FLIGHT_IN_FLIGHT);
    f->attempts++;
    f->throttle_slot = throttle_start(lane->throttle);
    return f;
}

void lane_missing(struct lane *lane, int64_t cursor) {
    struct flight *f = find(lane, cursor);
    assert(f);
    settle(lane, f);
}

/* --- outcomes */

void lane_note_failed(struct lane *lane, int64_t cursor, int64_t number, const struct lane_outcome *outcome, int64_t wall_ms) {
    struct token_attempt *attempt;
    if (!lane->failed)
        lane->failed = mem_zero(TOKEN_ATTEMPTS_MAX * sizeof *lane->failed);
    if (lane->failed_count == TOKEN_ATTEMPTS_MAX)
        memmove(lane->failed, lane->failed + 1, (size_t)--lane->failed_count * sizeof *lane->failed);
    attempt = &lane->failed[lane->failed_count++];
    *attempt = (struct token_attempt){
        .at_ms = wall_ms, .cursor = cursor, .attempt = number, .status = outcome->status, .duration_ms = outcome->duration_ms};
    snprintf(attempt->error, sizeof attempt->error, "%s", outcome->error ? outcome->error : "");
    snprintf(attempt->excerpt, sizeof attempt->excerpt, "%s", outcome->excerpt ? outcome->excerpt : "");
}

static void succeed(struct lane *lane, struct flight *f) {
    lane->delivered++;
    lane->failing_since_ms = 0;
    lane->given_up = false;
    lane->refused_in_row = 0;
    lane->endpoint_until_ms = 0;
    lane->endpoint_failures = 0;
    lane->probing = false;
    settle(lane, f);
}

/* The endpoint is not there, or says that it has too much: that is no matter of this one event. */
static void back_off_endpoint(struct lane *lane, const struct lane_outcome *outcome, int64_t now_ms, uint64_t random) {
    lane->probing |= outcome->status == 0;
    if (now_ms < lane->endpoint_until_ms)
        return; /* one that was under way already when the first failed */
    int64_t wait =
        retry_wait_ms(lane->policy.backoff_min_ms, lane->policy.backoff_max_ms, ++lane->endpoint_failures, outcome->retry_after_ms, random);
    lane->endpoint_until_ms = now_ms + wait;
}

static bool may_give_up(const struct lane *lane) { return !lane->given_up && !lane->giving_up && lane->refused_in_row < LANE_REFUSED_MAX; }

static void retry_later(struct lane *lane, struct flight *f, const struct lane_outcome *outcome, int64_t now_ms, uint64_t random) {
    const struct lane_policy *policy = &lane->policy;
    f->retry_at_ms = now_ms + retry_wait_ms(policy->backoff_min_ms, policy->backoff_max_ms, f->attempts, outcome->retry_after_ms, random);
    set_state(lane, f, FLIGHT_BACKOFF);
}

static void disable_for_failure(struct lane *lane) {
    char text[CLOCK_TEXT_BYTES], reason[TOKEN_REASON_BYTES];
    clock_format_duration(lane->policy.disable_after_ms, text);
    snprintf(reason, sizeof reason, "nothing but failure for %s (disable_after)", text);
    lane_disable(lane, reason);
}

static void fail(struct lane *lane, struct flight *f, const struct lane_outcome *outcome, int64_t now_ms, int64_t wall_ms,
                 uint64_t random) {
    if (lane->failing_since_ms == 0)
        lane->failing_since_ms = wall_ms;
    if ((outcome->status == 0 || outcome->status == 429) && !strict(lane))
        back_off_endpoint(lane, outcome, now_ms, random);
    if (f->attempts >= lane->policy.max_attempts && may_give_up(lane)) {
        f->gave_up = true;
        lane->giving_up++;
        set_state(lane, f, FLIGHT_BURYING);
    } else {
        retry_later(lane, f, outcome, now_ms, random);
    }
    if (wall_ms - lane->failing_since_ms >= lane->policy.disable_after_ms)
        disable_for_failure(lane);
}

enum flight_state lane_finish(struct lane *lane, int64_t cursor, const struct lane_outcome *outcome, int64_t now_ms, int64_t wall_ms,
                              uint64_t random) {
    struct flight *f = find(lane, cursor);
    enum retry_verdict verdict = retry_judge(outcome->status);
    assert(f && f->state == FLIGHT_IN_FLIGHT);
    throttle_finish(lane->throttle, f->throttle_slot, now_ms);
    if (verdict == RETRY_SETTLED) {
        succeed(lane, f);
        return FLIGHT_SETTLED;
    }
    lane_note_failed(lane, f->cursor, f->attempts, outcome, wall_ms);
    if (verdict == RETRY_GONE) {
        retry_later(lane, f, outcome, now_ms, random);
        lane_disable(lane, "gone (410)");
    } else if (verdict == RETRY_REFUSED && may_give_up(lane)) {
        lane->refused_in_row++;
        f->gave_up = false;
        set_state(lane, f, FLIGHT_BURYING);
    } else {
        fail(lane, f, outcome, now_ms, wall_ms, random);
    }
    return f->state;
}

void lane_abort(struct lane *lane, int64_t cursor, int64_t now_ms) {
    struct flight *f = find(lane, cursor);
    assert(f);
    throttle_finish(lane->throttle, f->throttle_slot, now_ms);
    f->attempts--;
    set_state(lane, f, FLIGHT_QUEUED);
}

void lane_buried(struct lane *lane, int64_t cursor) {
    struct flight *f = find(lane, cursor);
    assert(f && f->state == FLIGHT_BURYING);
    lane->dead_lettered++;
    if (f->gave_up) {
        lane->giving_up--;
        lane->given_up = true;
    }
    settle(lane, f);
}

/* --- what its operator wants */

void lane_pause(struct lane *lane, bool paused) { lane->paused = paused; }

void lane_disable(struct lane *lane, const char *reason) {
    snprintf(lane->reason, sizeof lane->reason, "%s", reason);
    lane->disabled = true;
}

void lane_resume(struct lane *lane) {
    if (lane->disabled) {
        lane->failing_since_ms = 0;
        lane->given_up = false;
        lane->refused_in_row = 0;
    }
    lane->disabled = false;
    lane->reason[0] = 0;
    lane->endpoint_until_ms = 0;
    lane->endpoint_failures = 0;
    for (size_t i = 0; i < lane->window_count; i++) {
        struct flight *f = at(lane, i);
        if (f->state == FLIGHT_BACKOFF) {
            f->attempts = 0;
            set_state(lane, f, FLIGHT_QUEUED);
        }
    }
}

void lane_rewind(struct lane *lane, int64_t position) {
    assert(lane->in_flight == 0);
    lane->window_count = 0;
    lane->waiting = lane->giving_up = 0;
    lane->settled_count = 0;
    lane->position = lane->scanned = lane->last = lane->newest = position;
    lane->last_id_hash = 0;
    lane->compacted = lane->last_compacted = false;
    lane->at_end = false;
}

bool lane_idle(const struct lane *lane) { return lane->at_end && lane->window_count == 0; }

bool lane_done(const struct lane *lane) { return lane->window_count == 0 && lane->scanned >= lane->until; }

enum token_state lane_token_state(const struct lane *lane) {
    if (lane->disabled)
        return TOKEN_DISABLED;
    if (lane->paused)
        return TOKEN_PAUSED;
    return lane->failing_since_ms ? TOKEN_RETRYING : TOKEN_ACTIVE;
}
