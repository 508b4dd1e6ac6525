/* Test deliveries; see test_delivery.h. */
#include "dispatcher/subscriber/test_delivery.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/json/writer.h"
#include "common/model/command.h"
#include "dispatcher/channel/delivery.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/subscriber/commands.h"
#include "dispatcher/subscriber/message.h"
#include "dispatcher/subscriber/subscriber.h"

struct test_delivery {
    struct message message; /* first */
    struct subscriber *subscriber;
    int64_t generation;
    char topic[TOPIC_BYTES_MAX + 1], id[40];
};

static void test_delivery_free(struct test_delivery *t) {
    t->subscriber->test = NULL;
    delivery_fini(&t->message.delivery);
    free(t);
}

static void test_delivery_note(const struct test_delivery *t, const struct outcome *outcome) {
    char text[32];
    snprintf(text, sizeof text, "status %d", outcome->status);
    log_info("test_delivery", LOG_S("subscriber", t->subscriber->id),
             LOG_N("generation", t->generation), LOG_N("status", outcome->status),
             LOG_S("error", outcome->error));
    commands_note(&t->subscriber->commands, t->generation, "test",
                  outcome->verdict == VERDICT_DELIVERED ? "done" : "failed",
                  outcome->error ? outcome->error : text, -1);
}

static void test_delivery_on_done(struct message *message, const struct outcome *outcome) {
    struct test_delivery *t = (struct test_delivery *)message;
    struct subscriber *s = t->subscriber;
    lane_tested(&s->live.lane, message->endpoint_number, outcome, clock_ms(), clock_wall_ms(),
                dispatcher_random(s->dispatcher));
    test_delivery_note(t, outcome);
    s->tested = t->generation;
    test_delivery_free(t);
    commands_apply(&s->commands);
}

static void test_delivery_make_body(struct test_delivery *t, const struct command *command) {
    struct buf *body = &t->message.delivery.body;
    char ts[CLOCK_TEXT_BYTES];
    clock_format(clock_wall_ms(), ts);
    delivery_begin_event(&t->message.delivery, 0);
    json_put_object(body);
    json_member_string(body, "topic", t->topic);
    json_member_string(body, "id", t->id);
    json_member_string(body, "ts", ts);
    json_member_raw(body, "data", span_of(command->data));
    json_end_object(body);
    delivery_end_event(&t->message.delivery);
    delivery_end(&t->message.delivery);
}

bool test_delivery(struct subscriber *s, const struct command *command, int64_t generation) {
    if (s->tested == generation)
        return true;
    if (s->test)
        return false;
    struct test_delivery *t = s->test = mem_zero(sizeof *t);
    *t = (struct test_delivery){
        .message.done = test_delivery_on_done, .subscriber = s, .generation = generation};
    snprintf(t->topic, sizeof t->topic, "%s", command->topic);
    snprintf(t->id, sizeof t->id, "ess-test-%" PRId64, generation);
    t->message.delivery.kind = DELIVERY_TEST;
    t->message.delivery.number = 1;
    t->message.delivery.topic = span_of(t->topic);
    t->message.delivery.id = span_of(t->id);
    t->message.delivery.batch = lane_makes_batches(&s->live.lane);
    test_delivery_make_body(t, command);
    message_post(&s->live, &t->message);
    standing_hurry(&s->standing); /* the test waits for the handshake, and a person for the test */
    return false;
}

void test_delivery_cancel(struct subscriber *s) {
    if (!s->test)
        return;
    message_withdraw(&s->test->message);
    test_delivery_free(s->test);
}
