/* Where a subscriber stands; see standing.h. */
#include "dispatcher/subscriber/standing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/container_of.h"
#include "dispatcher/lane/expiry.h"
#include "dispatcher/subscriber/sender.h"

enum { FAILURE_LOG_PERIOD_MS = 10000 };

static struct lane *standing_lane(const struct standing *st) { return &st->options.sender->lane; }

static bool standing_may_send(const struct standing *st) {
    return !standing_lane(st)->paused && !standing_lane(st)->disabled;
}

/* --- handshake */

/* Sees to it that a handshake is due, posted, or not wanted. */
static void standing_arm_handshake(struct standing *st) {
    if (!standing_lane(st)->pending || !standing_may_send(st)) {
        loop_timer_clear(st->options.loop, &st->handshake_due);
        if (st->handshaking.sender && !st->handshaking.under_way) {
            message_withdraw(&st->handshaking);
            verification_abort(&st->verification);
        }
    } else if (!st->handshaking.sender) {
        loop_timer_set(st->options.loop, &st->handshake_due, st->verification.due_ms);
    }
}

static void standing_on_handshake_due(void *arg) {
    struct standing *st = arg;
    struct delivery *delivery = &st->handshaking.delivery;
    buf_clear(&delivery->body);
    verification_put_body(&st->verification, st->options.subscriber, &delivery->body);
    snprintf(st->handshake_id, sizeof st->handshake_id, "ess-handshake-%s", st->verification.id);
    delivery->kind = DELIVERY_HANDSHAKE;
    delivery->number = verification_start(&st->verification);
    delivery->topic = span_of(st->verification.id);
    delivery->id = span_of(st->handshake_id);
    delivery->fresh = false;
    message_post(st->options.sender, &st->handshaking);
}

static void standing_log_failure(struct standing *st, const struct outcome *outcome,
                                 int64_t wait_ms) {
    int64_t held_back;
    if (log_limit_pass(&st->failures, clock_ms(), FAILURE_LOG_PERIOD_MS, &held_back))
        log_warn("handshake_failed", LOG_S("subscriber", st->options.subscriber),
                 LOG_N("attempt", st->verification.attempts), LOG_N("status", outcome->status),
                 LOG_S("error", outcome->error), LOG_N("retry_in_ms", wait_ms),
                 LOG_N("held_back", held_back));
}

static void standing_on_handshake_done(struct message *message, const struct outcome *outcome) {
    struct standing *st = container_of(message, struct standing, handshaking);
    struct lane *lane = standing_lane(st);
    const struct standing_owner *owner = st->options.owner;
    bool was_disabled = lane->disabled;
    int64_t now_ms = clock_ms();
    int64_t due_ms = lane_handshaken(lane, message->endpoint_number, message->delivery.number,
                                     outcome, now_ms, clock_wall_ms(),
                                     owner->random(st->options.arg));
    if (outcome->verdict == VERDICT_DELIVERED) {
        verification_answer(&st->verification, st->verification.id);
        lane_await_handshake(lane, false);
        log_info("handshake_answered", LOG_S("subscriber", st->options.subscriber),
                 LOG_N("attempt", message->delivery.number));
    } else {
        verification_fail(&st->verification, due_ms);
        standing_log_failure(st, outcome, due_ms - now_ms);
    }
    if (lane->disabled && !was_disabled)
        owner->disabled(st->options.arg, lane->reason);
    standing_arm_handshake(st);
    owner->changed(st->options.arg);
}

/* Another id, or no handshake is wanted: what is posted is out of date. */
static void standing_judge_handshake(struct standing *st) {
    char id[TOKEN_HANDSHAKE_BYTES];
    memcpy(id, st->verification.id, sizeof id);
    verification_set(&st->verification, st->options.spec->handshake, st->options.registration_id,
                     st->options.spec->url);
    bool pending = verification_is_pending(&st->verification);
    if (!pending || strcmp(id, st->verification.id) != 0)
        message_withdraw(&st->handshaking);
    lane_await_handshake(standing_lane(st), pending);
    standing_arm_handshake(st);
}

bool standing_waits(const struct standing *st) {
    return st->handshake_due.slot || st->handshaking.sender || !standing_may_send(st);
}

void standing_hurry(struct standing *st) {
    if (st->handshaking.sender)
        return;
    verification_hurry(&st->verification);
    standing_arm_handshake(st);
}

/* --- heartbeat */

static void standing_arm_heartbeat(struct standing *st) {
    int64_t due_ms = heartbeat_due_ms(&st->heartbeat);
    if (due_ms == INT64_MAX)
        loop_timer_clear(st->options.loop, &st->heartbeat_due);
    else
        loop_timer_set(st->options.loop, &st->heartbeat_due, due_ms);
}

static void standing_beat(struct standing *st, int64_t end) {
    struct delivery *delivery = &st->beating.delivery;
    int64_t wall_ms = clock_wall_ms();
    buf_clear(&delivery->body);
    heartbeat_put_body(standing_lane(st), end, wall_ms, &delivery->body);
    snprintf(st->heartbeat_id, sizeof st->heartbeat_id, "ess-heartbeat-%" PRId64, wall_ms);
    delivery->kind = DELIVERY_HEARTBEAT;
    delivery->number = 1;
    delivery->id = span_of(st->heartbeat_id);
    delivery->fresh = false;
    message_post(st->options.sender, &st->beating);
}

/* Deliveries since then have moved the time without touching the timer. */
static void standing_on_heartbeat_due(void *arg) {
    struct standing *st = arg;
    int64_t now_ms = clock_ms(), end = st->options.owner->log_end(st->options.arg);
    if (st->beating.sender)
        return;
    if (heartbeat_due_ms(&st->heartbeat) > now_ms)
        standing_arm_heartbeat(st);
    else if (end >= 0 && heartbeat_may_go(standing_lane(st), now_ms))
        standing_beat(st, end);
    else
        loop_timer_set(st->options.loop, &st->heartbeat_due,
                       heartbeat_look_ms(&st->heartbeat, now_ms));
}

static void standing_on_heartbeat_done(struct message *message, const struct outcome *outcome) {
    struct standing *st = container_of(message, struct standing, beating);
    heartbeat_note(&st->heartbeat, clock_ms());
    standing_arm_heartbeat(st);
    if (outcome->verdict == VERDICT_CALLED_OFF)
        return;
    lane_heartbeat_answered(standing_lane(st), outcome, clock_wall_ms());
    st->options.owner->changed(st->options.arg);
}

void standing_delivered(struct standing *st) { heartbeat_note(&st->heartbeat, clock_ms()); }

static void standing_judge_heartbeat(struct standing *st) {
    message_withdraw(&st->beating);
    heartbeat_set(&st->heartbeat, st->options.spec->heartbeat_ms);
    standing_arm_heartbeat(st);
}

/* --- expiry */

static void standing_judge_expiry(struct standing *st) {
    const struct standing_owner *owner = st->options.owner;
    int64_t expires_ms = st->options.spec->expires_ms, wall_ms = clock_wall_ms();
    int64_t wait_ms = expiry_wait_ms(expires_ms, wall_ms);
    if (wait_ms == INT64_MAX)
        loop_timer_clear(st->options.loop, &st->expiry_due);
    else
        loop_timer_set(st->options.loop, &st->expiry_due, clock_ms() + wait_ms);
    switch (expiry_judge(standing_lane(st), expires_ms, wall_ms)) {
    case EXPIRY_OVER:
        owner->disable(st->options.arg, expiry_reason());
        break;
    case EXPIRY_RENEWED:
        owner->resume(st->options.arg);
        break;
    case EXPIRY_NONE:
        break;
    }
}

static void standing_on_expiry_due(void *arg) {
    struct standing *st = arg;
    standing_judge_expiry(st);
    standing_arm_handshake(st);
}

/* --- life */

void standing_init(struct standing *st, const struct standing_options *options) {
    *st = (struct standing){.options = *options};
    st->handshaking.done = standing_on_handshake_done;
    st->beating.done = standing_on_heartbeat_done;
    loop_timer_init(&st->handshake_due, standing_on_handshake_due, st);
    loop_timer_init(&st->heartbeat_due, standing_on_heartbeat_due, st);
    loop_timer_init(&st->expiry_due, standing_on_expiry_due, st);
}

void standing_from_token(struct standing *st, const struct token *token) {
    st->verification = (struct verification){0};
    if (token)
        verification_answer(&st->verification, token->handshake);
}

void standing_to_token(const struct standing *st, struct token *token) {
    const struct verification *h = &st->verification;
    memcpy(token->handshake, h->answered, sizeof token->handshake);
    if (token->state != TOKEN_PENDING)
        return;
    snprintf(token->reason, sizeof token->reason,
             "the endpoint has not answered the handshake %s with a 2xx; %" PRId64 " attempts",
             h->id, h->attempts);
    if (st->handshake_due.slot && st->handshake_due.at_ms > clock_ms())
        token->next_attempt_ms = st->handshake_due.at_ms - clock_ms() + clock_wall_ms();
}

void standing_renew(struct standing *st) {
    standing_judge_handshake(st);
    standing_judge_heartbeat(st);
    standing_judge_expiry(st);
}

void standing_begin(struct standing *st) {
    st->running = true;
    heartbeat_note(&st->heartbeat, clock_ms());
    standing_renew(st);
}

void standing_resume(struct standing *st) {
    if (!st->running)
        return;
    standing_judge_expiry(st);
    standing_hurry(st);
}

void standing_pause(struct standing *st) { standing_arm_handshake(st); }

void standing_close(struct standing *st) {
    message_recall(&st->handshaking);
    message_withdraw(&st->beating);
    if (st->running)
        standing_arm_heartbeat(st);
}

void standing_end(struct standing *st) {
    st->running = false;
    message_withdraw(&st->handshaking);
    message_withdraw(&st->beating);
    buf_fini(&st->handshaking.delivery.body);
    buf_fini(&st->beating.delivery.body);
    loop_timer_clear(st->options.loop, &st->handshake_due);
    loop_timer_clear(st->options.loop, &st->heartbeat_due);
    loop_timer_clear(st->options.loop, &st->expiry_due);
}
