/* Test deliveries; see test_delivery.h. */
#include "dispatcher/subscriber/test_delivery.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/json/writer.h"
#include "common/model/command.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/ownership/partitions.h"
#include "dispatcher/subscriber/commands.h"
#include "dispatcher/subscriber/subscriber.h"

struct test_delivery {
    struct delivery delivery; /* first */
    struct subscriber *subscriber;
    int64_t generation;
    char topic[TOPIC_BYTES_MAX + 1], id[40];
    struct loop_timer due; /* its throttle's */
    struct capacity_user user;
    bool under_way;
    int64_t faults; /* of ours, in a row */
    uint64_t throttle_slot, endpoint_number;
};

static void test_free(struct test_delivery *t) {
    struct dispatcher *d = t->subscriber->dispatcher;
    t->subscriber->test = NULL;
    if (t->under_way)
        capacity_give(&d->capacity, &t->user);
    capacity_leave(&d->capacity, &t->user);
    loop_timer_clear(d->loop, &t->due);
    buf_fini(&t->delivery.body);
    free(t);
}

static void note(const struct test_delivery *t, const struct outcome *outcome) {
    char text[32];
    snprintf(text, sizeof text, "status %d", outcome->status);
    commands_note(t->subscriber, t->generation, "test",
                  outcome->verdict == VERDICT_DELIVERED ? "done" : "failed",
                  outcome->status ? text : outcome->error, -1);
}

static void test_end_attempt(struct test_delivery *t) {
    throttle_finish(&t->subscriber->throttle, t->throttle_slot, clock_ms());
    endpoint_end(&t->subscriber->endpoint);
}

static void make_again(struct test_delivery *t, const struct outcome *outcome) {
    struct dispatcher *d = t->subscriber->dispatcher;
    t->under_way = false;
    t->delivery.fresh |= outcome->stale;
    capacity_give(&d->capacity, &t->user);
    loop_timer_set(d->loop, &t->due,
                   clock_ms() + (outcome->fault ? fault_hold_ms(t->faults++) : 0));
}

static void on_done(struct delivery *delivery, const struct outcome *outcome) {
    struct test_delivery *t = (struct test_delivery *)delivery;
    struct subscriber *s = t->subscriber;
    test_end_attempt(t);
    fault_note(s->dispatcher, outcome);
    if (outcome->verdict == VERDICT_CALLED_OFF) {
        make_again(t, outcome);
        return;
    }
    if (!endpoint_moved_since(&s->endpoint, t->endpoint_number)) {
        subscriber_answered(s, outcome);
        lane_tested(&s->live.lane, t->endpoint_number, outcome, clock_ms(), clock_wall_ms(),
                    dispatcher_random(s->dispatcher));
    }
    log_info("test_delivery", LOG_S("subscriber", s->id), LOG_N("generation", t->generation),
             LOG_N("status", outcome->status), LOG_S("error", outcome->error));
    note(t, outcome);
    s->tested = t->generation;
    test_free(t);
    commands_apply(s);
}

static void send_it(void *arg) {
    struct test_delivery *t = arg;
    struct subscriber *s = t->subscriber;
    struct dispatcher *d = s->dispatcher;
    int64_t due_ms = throttle_next_ms(&s->throttle), now_ms = clock_ms();
    if (due_ms > now_ms || !partitions_may_start(d->partitions, s->partition)) {
        enum { LOOK_MS = 50 };
        loop_timer_set(d->loop, &t->due,
                       due_ms > now_ms && due_ms < now_ms + LOOK_MS ? due_ms : now_ms + LOOK_MS);
        return;
    }
    if (!capacity_ask(&d->capacity, &t->user))
        return;
    t->delivery.topic = span_of(t->topic);
    t->delivery.id = span_of(t->id);
    t->throttle_slot = throttle_start(&s->throttle);
    t->endpoint_number = endpoint_start(&s->endpoint);
    capacity_take(&d->capacity, &t->user);
    t->under_way = true;
    s->channel->send(s->channel, &t->delivery);
}

static void make_body(struct test_delivery *t, const struct command *command) {
    struct buf *body = &t->delivery.body;
    char ts[CLOCK_TEXT_BYTES];
    clock_format(clock_wall_ms(), ts);
    json_put_object(body);
    json_member_string(body, "topic", t->topic);
    json_member_string(body, "id", t->id);
    json_member_string(body, "ts", ts);
    json_member_raw(body, "data", span_of(command->data));
    json_end_object(body);
}

bool test_delivery(struct subscriber *s, const struct command *command, int64_t generation) {
    if (s->tested == generation)
        return true;
    if (s->test)
        return false;
    struct test_delivery *t = s->test = mem_zero(sizeof *t);
    *t = (struct test_delivery){.delivery = {.kind = DELIVERY_TEST, .number = 1, .done = on_done},
                                .subscriber = s,
                                .generation = generation};
    t->user = (struct capacity_user){.group = &s->places, .served = send_it, .arg = t};
    snprintf(t->topic, sizeof t->topic, "%s", command->topic);
    snprintf(t->id, sizeof t->id, "ess-test-%" PRId64, generation);
    make_body(t, command);
    loop_timer_init(&t->due, send_it, t);
    loop_timer_set(s->dispatcher->loop, &t->due, clock_ms());
    return false;
}

void test_delivery_cancel(struct subscriber *s) {
    struct test_delivery *t = s->test;
    if (!t)
        return;
    if (t->under_way) {
        s->channel->cancel(s->channel, &t->delivery);
        test_end_attempt(t);
    }
    test_free(t);
}
