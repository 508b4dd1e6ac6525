/* The lane; see lane.h. */
#include "dispatcher/lane/lane.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "dispatcher/lane/lane_internal.h"
#include "dispatcher/lane/retry.h"

static int64_t lane_later(int64_t a, int64_t b) { return a > b ? a : b; }

static bool lane_strict(const struct lane *lane) { return lane->policy.ordering == SPEC_STRICT; }

const struct window_entry *lane_entry(const struct lane *lane, int64_t cursor) {
    return window_find(&lane->window, cursor);
}

/* Moves the position up to the oldest unsettled event. */
static void lane_advance(struct lane *lane) {
    const struct window_entry *oldest = window_oldest(&lane->window);
    if (!oldest) {
        lane->position = lane->scanned;
        lane->last = lane->newest;
        lane->last_id_hash = lane->newest_id_hash;
        lane->last_compacted = lane->compacted;
    } else if (oldest->prev > lane->position) {
        lane->position = lane->last = oldest->prev;
        lane->last_id_hash = oldest->prev_id_hash;
        lane->last_compacted = false;
    }
}

void lane_settle_alone(struct lane *lane, struct window_entry *e) {
    if (e->cursor == lane->skipping)
        lane->skipping = 0;
    window_settle(&lane->window, e);
    lane_advance(lane);
}

static void lane_settle(struct lane *lane, struct window_entry *e) {
    struct window_entry *rest = lane_batch_unlink(&lane->window, e);
    lane_settle_alone(lane, e);
    lane_batch_go_on(&lane->window, rest);
}

/* --- beginning and end */

void lane_init(struct lane *lane, const struct lane_policy *policy, struct throttle *throttle,
               struct endpoint *endpoint, int64_t position) {
    *lane = (struct lane){
        .policy = *policy, .throttle = throttle, .endpoint = endpoint, .until = INT64_MAX};
    lane->position = lane->scanned = lane->last = lane->newest = position;
    lane->window.by_key = policy->ordering == SPEC_KEY;
    lane->window.by_batch = policy->batch.max_events > 0;
    adaptive_set(&endpoint->adaptive, policy->adaptive_per_sec);
}

void lane_fini(struct lane *lane) {
    window_clear(&lane->window);
    lane_forget_settled(lane);
    free(lane->failed);
    lane->failed = NULL;
}

bool lane_may_give_up(const struct lane *lane) {
    return lane->policy.dead_letters_all ||
           (!lane->given_up && !lane->giving_up && lane->refused_in_row < LANE_REFUSED_MAX);
}

void lane_set_policy(struct lane *lane, const struct lane_policy *policy) {
    const struct batch_limits *now = &policy->batch, *before = &lane->policy.batch;
    if (policy->ordering != lane->policy.ordering || now->max_events != before->max_events ||
        now->max_bytes != before->max_bytes)
        lane_batch_dissolve_all(&lane->window);
    lane->policy = *policy;
    adaptive_set(&lane->endpoint->adaptive, policy->adaptive_per_sec);
    lane->batch.moves = lane->window.moves - 1; /* the run is measured by the new limits */
    window_set_by_batch(&lane->window, policy->batch.max_events > 0);
    window_set_by_key(&lane->window, policy->ordering == SPEC_KEY);
}

/* --- what to do */

static size_t lane_in_flight_max(const struct lane *lane) {
    return lane_strict(lane) ? 1 : (size_t)lane->policy.max_in_flight;
}

/* The first entry that may start now; else sets *due_ms to the start of the next. Under strict
 * order only the oldest entry counts. */
static struct window_entry *lane_startable(const struct lane *lane, int64_t now_ms,
                                           int64_t *due_ms) {
    struct window_entry *e = lane_strict(lane) ? window_oldest(&lane->window)
                                               : window_first_due(&lane->window);
    if (!e || e->state == ENTRY_QUEUED || (e->state == ENTRY_BACKOFF && e->retry_at_ms <= now_ms))
        return e;
    if (e->state == ENTRY_BACKOFF)
        *due_ms = e->retry_at_ms;
    return NULL;
}

/* How many events the throttle and the rate let through at once. */
static size_t lane_most(const struct lane *lane) {
    size_t throttled = throttle_most(lane->throttle),
           adapted = adaptive_most(&lane->endpoint->adaptive);
    return throttled < adapted ? throttled : adapted;
}

/* More events would not go out any sooner. */
static bool lane_is_full(const struct lane *lane) {
    if (!lane->window.by_batch)
        return lane->window.count >= (lane_strict(lane) ? 1 : LANE_WINDOW_MAX);
    return lane->batch.closed || lane->batch.count >= lane_most(lane) ||
           lane->window.count >= (lane_strict(lane) ? lane->batch.count + 1 : LANE_WINDOW_MAX);
}

static bool lane_may_scan(const struct lane *lane) {
    return !lane->at_end && lane->scanned < lane->until && !lane_is_full(lane);
}

/* --- batches */

bool lane_makes_batches(const struct lane *lane) { return lane->window.by_batch; }

void lane_expect(struct lane *lane, int64_t bytes) { lane->expected_bytes = bytes; }

void lane_close_batch(struct lane *lane) { lane->batch.closed = true; }

/* When a batch that is not full goes: a log that is slow to read holds up no event for long. */
static int64_t lane_batch_due_ms(const struct lane *lane) {
    enum { READING_MS = 1000 };
    int64_t wait_ms = lane->policy.batch.max_wait_ms;
    if (lane_may_scan(lane) && wait_ms < READING_MS)
        wait_ms = READING_MS;
    return lane->batch.since_ms + (lane->scanned < lane->until ? wait_ms : 0);
}

/* The first event of the next batch, if the batch is full or has waited; else *due_ms is no later
 * than its time. Under strict order nothing may stand before it. */
static const struct window_entry *lane_first_of_batch(struct lane *lane, int64_t now_ms,
                                                      int64_t *due_ms) {
    struct lane_batch *b = &lane->batch;
    lane_batch_measure(b, &lane->window, &lane->policy.batch);
    if (!b->first || (lane_strict(lane) && b->first != window_oldest(&lane->window)))
        return NULL;
    if (b->since_cursor != b->first->cursor || b->since_ms == 0) {
        b->since_cursor = b->first->cursor;
        b->since_ms = now_ms;
    }
    int64_t batch_due_ms = lane_is_full(lane) ? now_ms : lane_batch_due_ms(lane);
    if (batch_due_ms <= now_ms)
        return b->first;
    *due_ms = batch_due_ms < *due_ms ? batch_due_ms : *due_ms;
    return NULL;
}

void lane_fix(struct lane *lane, int64_t cursor, int64_t now_ms) {
    if (!lane->window.by_batch || window_find(&lane->window, cursor)->fixed)
        return;
    lane_batch_measure(&lane->batch, &lane->window, &lane->policy.batch);
    assert(lane->batch.first && lane->batch.first->cursor == cursor);
    size_t most = lane_most(lane), wanted = lane->batch.count < most ? lane->batch.count : most,
           count = throttle_ready(lane->throttle, wanted, now_ms);
    lane_batch_fix(&lane->batch, &lane->window, count ? count : 1);
}

/* The skipped event; NULL while an attempt or a dead letter is under way, or before the event is
 * found. */
static const struct window_entry *lane_skipped(struct lane *lane) {
    const struct window_entry *e = lane->skipping ? window_find(&lane->window, lane->skipping)
                                                  : NULL;
    if (!e && lane->skipping <= lane->scanned)
        lane->skipping = 0; /* the event has left the log, or is no longer wanted */
    return e && (e->state == ENTRY_QUEUED || e->state == ENTRY_BACKOFF) ? e : NULL;
}

/* A pulled lane finds one event: the oldest that waits for its consumer. */
static enum lane_todo lane_next_pulled(struct lane *lane) {
    if (lane->disabled || lane->paused || lane->window.count || !lane_may_scan(lane))
        return LANE_NOTHING;
    lane_skip_settled(lane);
    return LANE_SCAN;
}

static int64_t lane_paced_for_ms(const struct lane *lane, size_t count, int64_t now_ms) {
    return lane_later(throttle_next_for_ms(lane->throttle, count),
                      adaptive_next_ms(&lane->endpoint->adaptive, now_ms));
}

int64_t lane_paced_ms(const struct lane *lane, int64_t now_ms) {
    return lane_paced_for_ms(lane, 1, now_ms);
}

enum lane_todo lane_next(struct lane *lane, int64_t now_ms, int64_t *cursor, int64_t *due_ms) {
    const struct window_entry *skipped = lane_skipped(lane);
    *due_ms = INT64_MAX;
    if (skipped) {
        *cursor = skipped->cursor;
        return LANE_DEAD_LETTER;
    }
    if (lane->policy.pulled)
        return lane_next_pulled(lane);
    if (lane->disabled || lane->paused || lane->pending ||
        lane->window.in_flight >= lane_in_flight_max(lane) || !endpoint_takes(lane->endpoint))
        return LANE_NOTHING;
    const struct window_entry *e = lane_startable(lane, now_ms, due_ms);
    size_t count = e && e->fixed ? lane_batch_count(e) : 1;
    if (!e && lane->window.by_batch)
        e = lane_first_of_batch(lane, now_ms, due_ms);
    int64_t earliest = lane_later(lane_paced_for_ms(lane, count, now_ms), lane->endpoint->until_ms);
    bool scan = !e && lane_may_scan(lane);
    int64_t retry_ms = lane_later(*due_ms, earliest); /* of the window's entries */
    *due_ms = e || (scan && earliest > now_ms) ? earliest : retry_ms;
    if ((!e && !scan) || earliest > now_ms)
        return LANE_NOTHING;
    if (scan) {
        lane_skip_settled(lane);
        return LANE_SCAN;
    }
    *cursor = e->cursor;
    return LANE_SEND;
}

bool lane_found(struct lane *lane, int64_t cursor, uint64_t id_hash, uint64_t key_hash,
                bool compacted) {
    assert(cursor > lane->scanned && cursor <= lane->until);
    lane_pass_settled(lane, cursor - 1);
    const struct window_entry found = {.compacted = compacted || lane->compacted,
                                       .cursor = cursor,
                                       .prev = lane->newest,
                                       .prev_id_hash = lane->newest_id_hash,
                                       .key_hash = key_hash,
                                       .bytes = lane->expected_bytes};
    uint64_t moves = lane->window.moves;
    bool settled = lane->settled_at < lane->settled_count &&
                   lane->settled[lane->settled_at].from <= cursor;
    lane->scanned = lane->newest = cursor;
    lane->newest_id_hash = id_hash;
    lane->compacted = false;
    const struct window_entry *e = settled ? NULL : window_push(&lane->window, &found);
    bool may_start = e && e->state == ENTRY_QUEUED;
    if (e && lane->window.by_batch)
        lane_batch_note_pushed(&lane->batch, &lane->window, e, moves, &lane->policy.batch);
    lane_pass_settled(lane, cursor);
    lane_advance(lane);
    return may_start && !lane->policy.pulled;
}

void lane_note_appended(struct lane *lane, int64_t cursor, int64_t appended_ms) {
    struct window_entry *e = window_find(&lane->window, cursor);
    lane->appended_ms = appended_ms;
    if (e)
        e->appended_ms = appended_ms;
}

int64_t lane_oldest_ms(const struct lane *lane) {
    const struct window_entry *oldest = window_oldest(&lane->window);
    if (oldest)
        return oldest->appended_ms;
    return lane_idle(lane) ? 0 : lane->appended_ms;
}

void lane_passed(struct lane *lane, int64_t cursor, bool compacted) {
    lane->compacted |= compacted;
    if (cursor > lane->scanned)
        lane->scanned = cursor < lane->until ? cursor : lane->until;
    lane_pass_settled(lane, lane->scanned);
    lane_advance(lane);
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

const struct window_entry *lane_start(struct lane *lane, int64_t cursor) {
    struct window_entry *e = window_find(&lane->window, cursor);
    assert(e);
    e->ends_request |= !e->fixed;
    e->fixed = true;
    window_set_state(&lane->window, e, ENTRY_IN_FLIGHT);
    e->attempts++;
    size_t count = 1;
    for (struct window_entry *sent = e;; sent = sent->batch_next, count++) {
        sent->sent = true;
        if (sent->ends_request)
            break;
    }
    e->throttle_slot = throttle_start_many(lane->throttle, count);
    e->endpoint_number = endpoint_start_many(lane->endpoint, (int64_t)count);
    return e;
}

/* The subscriber never gets this event, so no other event names it as prev_cursor, except one that
 * an attempt has already sent: its bytes stay the same on every retry. */
static void lane_forget_unwanted(struct lane *lane, const struct window_entry *e,
                                 struct window_entry *above) {
    if (above && above->prev == e->cursor && !above->sent) {
        above->prev = e->prev;
        above->prev_id_hash = e->prev_id_hash;
        above->compacted |= e->compacted;
    }
    if (lane->newest == e->cursor) {
        lane->newest = e->prev;
        lane->newest_id_hash = e->prev_id_hash;
        lane->compacted |= e->compacted;
    }
}

void lane_missing(struct lane *lane, int64_t cursor, bool compacted) {
    struct window_entry *e = window_find(&lane->window, cursor),
                        *above = e ? window_above(&lane->window, e) : NULL;
    assert(e);
    if (!compacted)
        lane_forget_unwanted(lane, e, above);
    else if (above && above->prev == cursor && above->state != ENTRY_IN_FLIGHT)
        above->compacted = true;
    else
        lane->compacted = true; /* for the next event found */
    lane_settle(lane, e);
}

/* --- outcomes */

void lane_note_failed(struct lane *lane, int64_t cursor, int64_t number,
                      const struct outcome *outcome, int64_t wall_ms) {
    struct token_attempt *attempt;
    if (!lane->failed)
        lane->failed = mem_zero(TOKEN_ATTEMPTS_MAX * sizeof *lane->failed);
    if (lane->failed_count == TOKEN_ATTEMPTS_MAX)
        memmove(lane->failed, lane->failed + 1,
                (size_t)--lane->failed_count * sizeof *lane->failed);
    attempt = &lane->failed[lane->failed_count++];
    *attempt = (struct token_attempt){.at_ms = wall_ms,
                                      .cursor = cursor,
                                      .attempt = number,
                                      .status = outcome->status,
                                      .duration_ms = outcome->duration_ms};
    snprintf(attempt->error, sizeof attempt->error, "%s", outcome->error ? outcome->error : "");
    snprintf(attempt->excerpt, sizeof attempt->excerpt, "%s",
             outcome->excerpt ? outcome->excerpt : "");
}

void lane_end_attempt(struct lane *lane, const struct window_entry *e,
                      const struct outcome *outcome, int64_t now_ms) {
    const size_t count = lane_batch_count(e);
    throttle_finish_many(lane->throttle, e->throttle_slot, count, now_ms);
    endpoint_end(lane->endpoint);
    if (outcome)
        endpoint_answer(lane->endpoint, e->endpoint_number, outcome, (int64_t)count, now_ms);
}

/* A request that waits behind one that was delivered: its events had used up their attempts, maybe
 * in an outage that is over, and get a few more. */
static void lane_encourage(const struct lane *lane, struct window_entry *rest) {
    enum { ATTEMPTS = 3 };
    int64_t most = lane_later(lane->policy.max_attempts - ATTEMPTS, 0) + rest->spared;
    rest->attempts = rest->attempts > most ? most : rest->attempts;
}

static void lane_settle_request(struct lane *lane, struct window_entry *e) {
    struct window_entry *rest = e;
    const bool dissolves = e->dissolves;
    for (bool last = false; !last; e = rest) {
        last = e->ends_request;
        rest = e->batch_next;
        lane->delivered++;
        lane_settle_alone(lane, e);
    }
    if (!rest)
        return;
    lane_encourage(lane, rest);
    lane_batch_go_on(&lane->window, rest);
    if (dissolves)
        lane_batch_dissolve(&lane->window, rest);
}

void lane_note_2xx(struct lane *lane, const struct window_entry *e) {
    lane->given_up = false;
    lane->refused_in_row = 0;
    endpoint_succeed(lane->endpoint, e->endpoint_number);
}

static void lane_succeed(struct lane *lane, struct window_entry *e) {
    lane_note_2xx(lane, e);
    lane_settle_request(lane, e);
}

static int64_t lane_backoff_min_ms(const struct lane *lane, const struct outcome *outcome) {
    return adaptive_backoff_min_ms(&lane->endpoint->adaptive, outcome, lane->policy.backoff_min_ms);
}

/* What a failure says about the endpoint. Between two failures in a row lie at most the longest
 * wait, one attempt and the throttle's window. Beyond that no attempt was made. */
static void lane_fail_endpoint(struct lane *lane, const struct outcome *outcome, int64_t now_ms,
                               int64_t wall_ms, uint64_t random) {
    const struct lane_policy *policy = &lane->policy;
    struct endpoint *e = lane->endpoint;
    endpoint_fail(e, now_ms, wall_ms,
                  lane_later(policy->backoff_max_ms, lane->throttle->window_ms) +
                      outcome->duration_ms);
    if (outcome->verdict != VERDICT_OVERLOADED && outcome->verdict != VERDICT_UNANSWERED &&
        outcome->verdict != VERDICT_UNSENT)
        return;
    int64_t wait = retry_wait_ms(lane_backoff_min_ms(lane, outcome), policy->backoff_max_ms,
                                 e->failures + 1, outcome->retry_after_ms, random);
    endpoint_back_off(e, now_ms, now_ms + wait);
}

static void lane_retry_later(struct lane *lane, struct window_entry *e,
                             const struct outcome *outcome, int64_t now_ms, uint64_t random) {
    e->retry_at_ms = now_ms +
                     retry_wait_ms(lane_backoff_min_ms(lane, outcome), lane->policy.backoff_max_ms,
                                   e->attempts - e->waits_from, outcome->retry_after_ms, random);
    window_set_state(&lane->window, e, ENTRY_BACKOFF);
}

static void lane_disable_for_failure(struct lane *lane) {
    char text[CLOCK_TEXT_BYTES], reason[TOKEN_REASON_BYTES];
    clock_format_duration(lane->policy.disable_after_ms, text);
    snprintf(reason, sizeof reason, "nothing but failure for %s (disable_after)", text);
    lane_disable(lane, reason);
}

static bool lane_disable_if_failing(struct lane *lane) {
    if (lane->endpoint->failing_ms < lane->policy.disable_after_ms)
        return false;
    lane_disable_for_failure(lane);
    return true;
}

/* Another server stands in the way of every event: none is to be given up for it. */
static void lane_fail_unsent(struct lane *lane, struct window_entry *e,
                             const struct outcome *outcome, int64_t now_ms, int64_t wall_ms,
                             uint64_t random) {
    lane_fail_endpoint(lane, outcome, now_ms, wall_ms, random);
    e->attempts--;
    e->retry_at_ms = lane->endpoint->until_ms;
    window_set_state(&lane->window, e, ENTRY_BACKOFF);
    lane_disable_if_failing(lane);
}

/* Halves the request. Both halves wait as if their attempts began now. */
static void lane_narrow(struct window_entry *e) {
    struct window_entry *second = lane_batch_halve(e);
    e->waits_from = second->waits_from = second->attempts = e->attempts;
    second->spared = e->spared;
}

/* Other events are other requests: their attempts count from the beginning. */
static void lane_halve_refused(struct lane *lane, struct window_entry *e) {
    e->attempts = e->spared = 0;
    lane_narrow(e);
    window_set_state(&lane->window, e, ENTRY_QUEUED);
}

void lane_fail(struct lane *lane, struct window_entry *e, const struct outcome *outcome,
               int64_t now_ms, int64_t wall_ms, uint64_t random) {
    lane_fail_endpoint(lane, outcome, now_ms, wall_ms, random);
    e->spared += adaptive_spares(&lane->endpoint->adaptive, outcome);
    bool gives_up = e->attempts - e->spared >= lane->policy.max_attempts && lane_may_give_up(lane);
    if (gives_up && e->ends_request) {
        e->reason = DEAD_LETTER_ATTEMPTS;
        lane->giving_up++;
        window_set_state(&lane->window, e, ENTRY_DEAD_LETTERING);
    } else {
        if (gives_up)
            lane_narrow(e);
        lane_retry_later(lane, e, outcome, now_ms, random);
    }
    lane_disable_if_failing(lane);
}

static void lane_disable_for_gone(struct lane *lane, int status) {
    char reason[TOKEN_REASON_BYTES];
    snprintf(reason, sizeof reason, "gone (%d)", status);
    lane_disable(lane, reason);
}

enum entry_state lane_finish(struct lane *lane, int64_t cursor, const struct outcome *outcome,
                             int64_t now_ms, int64_t wall_ms, uint64_t random) {
    struct window_entry *e = window_find(&lane->window, cursor);
    assert(e && e->state == ENTRY_IN_FLIGHT && outcome->verdict != VERDICT_CALLED_OFF);
    lane_end_attempt(lane, e, outcome, now_ms);
    if (outcome->verdict == VERDICT_DELIVERED) {
        lane_succeed(lane, e);
        return ENTRY_SETTLED;
    }
    lane_note_failed(lane, e->cursor, e->attempts, outcome, wall_ms);
    if (outcome->verdict == VERDICT_GONE) {
        lane_retry_later(lane, e, outcome, now_ms, random);
        lane_disable_for_gone(lane, outcome->status);
    } else if (outcome->verdict == VERDICT_UNSENT) {
        lane_fail_unsent(lane, e, outcome, now_ms, wall_ms, random);
    } else if (outcome->verdict == VERDICT_REFUSED && !e->ends_request) {
        lane_halve_refused(lane, e);
    } else if (outcome->verdict == VERDICT_REFUSED &&
               (lane->policy.redrive || lane_may_give_up(lane))) {
        lane->refused_in_row += !lane->policy.redrive;
        e->reason = DEAD_LETTER_REFUSED;
        window_set_state(&lane->window, e, ENTRY_DEAD_LETTERING);
    } else {
        lane_fail(lane, e, outcome, now_ms, wall_ms, random);
    }
    if (e->dissolves)
        lane_batch_dissolve(&lane->window, e);
    return e->state;
}

/* For a delivery that is not an event of the log. */
enum { NO_CURSOR = 0, ONLY_ATTEMPT = 1 };

void lane_tested(struct lane *lane, uint64_t endpoint_number, const struct outcome *outcome,
                 int64_t now_ms, int64_t wall_ms, uint64_t random) {
    endpoint_answer(lane->endpoint, endpoint_number, outcome, 1, now_ms);
    if (outcome->verdict == VERDICT_DELIVERED) {
        endpoint_succeed(lane->endpoint, endpoint_number);
        return;
    }
    lane_note_failed(lane, NO_CURSOR, ONLY_ATTEMPT, outcome, wall_ms);
    if (outcome->verdict != VERDICT_REFUSED && outcome->verdict != VERDICT_GONE)
        lane_fail_endpoint(lane, outcome, now_ms, wall_ms, random);
}

int64_t lane_handshaken(struct lane *lane, uint64_t endpoint_number, int64_t attempt,
                        const struct outcome *outcome, int64_t now_ms, int64_t wall_ms,
                        uint64_t random) {
    struct endpoint *e = lane->endpoint;
    endpoint_answer(e, endpoint_number, outcome, 1, now_ms);
    if (outcome->verdict == VERDICT_DELIVERED) {
        endpoint_succeed(e, endpoint_number);
        return now_ms;
    }
    lane_note_failed(lane, NO_CURSOR, attempt, outcome, wall_ms);
    lane_fail_endpoint(lane, outcome, now_ms, wall_ms, random);
    if (!lane_disable_if_failing(lane) && outcome->verdict == VERDICT_GONE)
        lane_disable_for_gone(lane, outcome->status);
    int64_t wait = retry_wait_ms(lane_backoff_min_ms(lane, outcome), lane->policy.backoff_max_ms,
                                 attempt, outcome->retry_after_ms, random);
    return lane_later(now_ms + wait, e->until_ms);
}

void lane_heartbeat_answered(struct lane *lane, const struct outcome *outcome, int64_t wall_ms) {
    if (outcome->verdict != VERDICT_DELIVERED)
        lane_note_failed(lane, NO_CURSOR, ONLY_ATTEMPT, outcome, wall_ms);
}

void lane_abort(struct lane *lane, int64_t cursor, int64_t now_ms) {
    struct window_entry *e = window_find(&lane->window, cursor);
    assert(e);
    lane_end_attempt(lane, e, NULL, now_ms);
    e->attempts--;
    window_set_state(&lane->window, e, ENTRY_QUEUED);
    if (e->dissolves)
        lane_batch_dissolve(&lane->window, e);
}

void lane_wants_fresh(struct lane *lane, int64_t cursor) {
    window_find(&lane->window, cursor)->fresh = true;
}

const struct window_entry *lane_dead_letter(struct lane *lane, int64_t cursor) {
    struct window_entry *e = window_find(&lane->window, cursor);
    assert(e);
    if (!e->ends_request && e->batch_next) {
        e->batch_next->attempts = e->batch_next->spared = 0;
        e->ends_request = true;
    }
    e->reason = DEAD_LETTER_SKIPPED;
    if (e->state == ENTRY_BACKOFF)
        window_set_state(&lane->window, e, ENTRY_QUEUED);
    window_set_state(&lane->window, e, ENTRY_DEAD_LETTERING);
    return e;
}

void lane_dead_lettered(struct lane *lane, int64_t cursor) {
    struct window_entry *e = window_find(&lane->window, cursor);
    assert(e && e->state == ENTRY_DEAD_LETTERING);
    lane->dead_lettered++;
    if (e->reason == DEAD_LETTER_ATTEMPTS) {
        lane->giving_up--;
        lane->given_up = true;
    }
    lane_settle(lane, e);
}
