/* Test deliveries; see test_delivery.h. */
#include "dispatcher/subscriber/test_delivery.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/json/writer.h"
#include "common/model/command.h"
#include "dispatcher/channel/webhook.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/ownership/partitions.h"
#include "dispatcher/subscriber/commands.h"
#include "dispatcher/subscriber/subscriber.h"

struct test_delivery {
    struct subscriber *subscriber;
    int64_t generation;
    char topic[TOPIC_BYTES_MAX + 1], id[40];
    struct buf body;
    struct loop_timer due; /* its throttle's */
    struct capacity_user user;
    struct webhook *webhook;
    int64_t faults; /* of ours, in a row */
    bool fresh;     /* on a new connection */
    uint64_t throttle_slot, endpoint_number;
};

static void test_free(struct test_delivery *t) {
    struct dispatcher *d = t->subscriber->dispatcher;
    t->subscriber->test = NULL;
    if (t->webhook)
        capacity_give(&d->capacity, &t->user);
    capacity_leave(&d->capacity, &t->user);
    loop_timer_clear(d->loop, &t->due);
    buf_fini(&t->body);
    free(t);
}

static void note(const struct test_delivery *t, const struct webhook_result *result) {
    char text[32];
    bool took_it = result->status >= 200 && result->status <= 299;
    snprintf(text, sizeof text, "status %d", result->status);
    commands_note(t->subscriber, t->generation, "test", took_it ? "done" : "failed",
                  result->status ? text : result->error, -1);
}

static void test_end_attempt(struct test_delivery *t) {
    throttle_finish(&t->subscriber->throttle, t->throttle_slot, clock_ms());
    endpoint_end(&t->subscriber->endpoint);
}

/* Neither a fault of ours nor a kept-alive connection that was dead already says anything of the
 * endpoint. */
static void make_again(struct test_delivery *t, const struct webhook_result *result) {
    struct dispatcher *d = t->subscriber->dispatcher;
    t->webhook = NULL;
    t->fresh |= result->stale;
    buf_append(&t->body, result->body.data, result->body.len);
    capacity_give(&d->capacity, &t->user);
    loop_timer_set(d->loop, &t->due, clock_ms() + (result->fault ? fault_hold_ms(t->faults++) : 0));
}

static void on_done(void *arg, const struct webhook_result *result) {
    struct test_delivery *t = arg;
    struct subscriber *s = t->subscriber;
    const struct lane_outcome outcome = {.status = result->status,
                                         .error = result->error,
                                         .retry_after_ms = result->retry_after_ms,
                                         .duration_ms = result->duration_ms,
                                         .excerpt = result->excerpt};
    test_end_attempt(t);
    if (fault_judge(s->dispatcher, result) || result->stale) {
        make_again(t, result);
        return;
    }
    if (!endpoint_moved_since(&s->endpoint, t->endpoint_number)) {
        subscriber_answered(s, result);
        lane_tested(&s->live.lane, t->endpoint_number, &outcome, clock_ms(), clock_wall_ms(),
                    dispatcher_random(s->dispatcher));
    }
    log_info("test_delivery", LOG_S("subscriber", s->id), LOG_N("generation", t->generation),
             LOG_N("status", result->status), LOG_S("error", result->error));
    note(t, result);
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
    struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");
    list = signing_add(list, "X-ESS-Subscriber", s->id);
    list = signing_add(list, "X-ESS-Topic", t->topic);
    list = signing_add(list, "X-ESS-Attempt", "1");
    list = signing_headers(&s->signing, list, t->id, clock_wall_ms(),
                           (struct span){t->body.data, t->body.len});
    for (size_t i = 0; i < s->record.spec.headers_count; i++)
        list = signing_add(list, s->record.spec.headers[i].name, s->record.spec.headers[i].value);
    const struct webhook_request request = {.url = s->record.spec.url,
                                            .headers = list,
                                            .body = &t->body,
                                            .timeout_ms = s->record.spec.timeout_ms >= 0
                                                              ? s->record.spec.timeout_ms
                                                              : d->settings.delivery.timeout_ms,
                                            .fresh = t->fresh,
                                            .done = on_done,
                                            .arg = t};
    t->throttle_slot = throttle_start(&s->throttle);
    t->endpoint_number = endpoint_start(&s->endpoint);
    capacity_take(&d->capacity, &t->user);
    t->webhook = webhook_send(d->webhooks, &request);
}

static void make_body(struct test_delivery *t, const struct command *command) {
    char ts[CLOCK_TEXT_BYTES];
    clock_format(clock_wall_ms(), ts);
    json_put_object(&t->body);
    json_member_string(&t->body, "topic", t->topic);
    json_member_string(&t->body, "id", t->id);
    json_member_string(&t->body, "ts", ts);
    json_member_raw(&t->body, "data", span_of(command->data));
    json_end_object(&t->body);
}

bool test_delivery(struct subscriber *s, const struct command *command, int64_t generation) {
    if (s->tested == generation)
        return true;
    if (s->test)
        return false;
    struct test_delivery *t = s->test = mem_zero(sizeof *t);
    *t = (struct test_delivery){.subscriber = s, .generation = generation};
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
    if (t->webhook) {
        webhook_cancel(t->webhook);
        test_end_attempt(t);
    }
    test_free(t);
}
