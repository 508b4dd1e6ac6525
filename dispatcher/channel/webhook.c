/* Webhooks; see webhook.h. */
#include "dispatcher/channel/webhook.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/model/event.h"
#include "common/model/event_form.h"
#include "dispatcher/channel/delivery.h"
#include "dispatcher/channel/https_post.h"
#include "dispatcher/channel/oauth2.h"

/* 410: the subscriber is gone. Some 4xx: the endpoint refuses the event. Redirects are never
 * followed: a 3xx is a plain failure. */
enum verdict webhook_judge(int status, int64_t retry_after_ms) {
    switch (status) {
    case 0:
        return VERDICT_UNANSWERED;
    case 400:
    case 409:
    case 413:
    case 415:
    case 422:
        return VERDICT_REFUSED;
    case 410:
        return VERDICT_GONE;
    case 429:
        return VERDICT_OVERLOADED;
    case 502:
    case 503:
    case 504:
        return retry_after_ms > 0 ? VERDICT_OVERLOADED : VERDICT_FAILED;
    default:
        return status >= 200 && status <= 299 ? VERDICT_DELIVERED : VERDICT_FAILED;
    }
}

/* --- headers */

static struct curl_slist *webhook_add_span(struct curl_slist *list, const char *name,
                                           struct span value) {
    char text[EVENT_TRACEPARENT_BYTES_MAX + 1];
    snprintf(text, sizeof text, "%.*s", (int)value.len, value.data);
    return signing_add(list, name, text);
}

static struct curl_slist *webhook_add_number(struct curl_slist *list, const char *name,
                                             int64_t value) {
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    return signing_add(list, name, text);
}

/* A batch is named by its first and last cursor: between them no event was left out that came
 * later (lane_batch.h), so that a receiver may drop what it knows by this name. */
static void webhook_id(const struct delivery *delivery, char id[EVENT_ID_BYTES_MAX + 1]) {
    if (delivery->batch && delivery->kind != DELIVERY_TEST)
        snprintf(id, EVENT_ID_BYTES_MAX + 1, "ess-%" PRId64 "-%" PRId64,
                 delivery_first_cursor(delivery), delivery->cursor);
    else
        snprintf(id, EVENT_ID_BYTES_MAX + 1, "%.*s", (int)delivery->id.len, delivery->id.data);
}

static const char *webhook_type(const struct spec *spec, const struct delivery *delivery) {
    return delivery->batch ? event_form_batch_type(spec->form)
                           : event_form_type(spec->form, delivery_event_body(delivery, 0));
}

/* What the delivery is: an event by its topic and cursor, or a handshake. A heartbeat says so in
 * its body. */
static struct curl_slist *webhook_add_subject(struct curl_slist *list,
                                              const struct delivery *delivery) {
    if (delivery->kind == DELIVERY_HANDSHAKE)
        return webhook_add_span(list, "X-ESS-Handshake", delivery->topic);
    if (delivery->kind == DELIVERY_HEARTBEAT)
        return list;
    if (delivery->batch)
        list = webhook_add_number(list, "X-ESS-Events", (int64_t)delivery_count(delivery));
    else
        list = webhook_add_span(list, "X-ESS-Topic", delivery->topic);
    if (delivery->kind == DELIVERY_TEST)
        return list;
    return webhook_add_number(list, "X-ESS-Cursor", delivery->cursor);
}

static struct curl_slist *webhook_headers(struct webhook *w, const struct delivery *delivery,
                                          struct span body) {
    const struct spec *spec = w->spec;
    char id[EVENT_ID_BYTES_MAX + 1];
    struct curl_slist *list = signing_add(NULL, "Content-Type", webhook_type(spec, delivery));
    list = curl_slist_append(list, "Expect:"); /* no extra round trip for large bodies */
    list = signing_add(list, "X-ESS-Subscriber", w->subscriber);
    list = webhook_add_subject(list, delivery);
    list = webhook_add_number(list, "X-ESS-Attempt", delivery->number);
    if (delivery->kind == DELIVERY_REPLAY || delivery->kind == DELIVERY_REDRIVE)
        list = webhook_add_number(list, "X-ESS-Replay", delivery->job);
    webhook_id(delivery, id);
    list = signing_headers(w->signing, spec, list, id, clock_wall_ms(), body);
    if (delivery->traceparent.len)
        list = webhook_add_span(list, "traceparent", delivery->traceparent);
    for (size_t i = 0; i < spec->headers_count; i++)
        list = signing_add(list, spec->headers[i].name, spec->headers[i].value);
    return list;
}

/* --- a delivery */

struct webhook_attempt {
    struct delivery *delivery;
    struct oauth2_post *post;
    struct buf composed; /* the body, where it is not the delivery's own */
};

static void webhook_attempt_free(struct webhook_attempt *a) {
    buf_fini(&a->composed);
    free(a);
}

static void webhook_report(struct webhook_attempt *a, const struct outcome *outcome) {
    a->delivery->under_way = NULL;
    a->delivery->done(a->delivery, outcome);
    webhook_attempt_free(a);
}

/* nginx answers 400 to a client certificate that it does not take. The event is not to blame. */
static const char *webhook_find_refusal(const struct https_result *result) {
    static const struct {
        const char *title, *error;
    } refusals[] = {
        {"The SSL certificate error", "the endpoint refused the client certificate"},
        {"No required SSL certificate was sent", "the endpoint wants a client certificate (tls)"}};
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (result->status == 400 && result->excerpt && strstr(result->excerpt, refusals[i].title))
            return refusals[i].error;
    return NULL;
}

static void webhook_on_done(void *arg, const struct https_result *result) {
    const char *refusal = webhook_find_refusal(result);
    struct outcome outcome = https_outcome(
        result,
        refusal ? VERDICT_UNANSWERED : webhook_judge(result->status, result->retry_after_ms));
    if (refusal)
        outcome.error = refusal;
    webhook_report(arg, &outcome);
}

static void webhook_compose_batch(const struct webhook *w, const struct delivery *delivery,
                                  struct buf *out) {
    const struct event_form form = w->spec->form;
    event_form_begin_batch(form, out);
    for (size_t i = 0; i < delivery_count(delivery); i++)
        event_form_put(form, w->feed, delivery_event_body(delivery, i), out);
    event_form_end_batch(form, out);
}

/* The body as the subscriber gets it. */
static struct span webhook_compose(const struct webhook *w, struct webhook_attempt *a) {
    const struct delivery *delivery = a->delivery;
    const struct span event = delivery_event_body(delivery, 0);
    if (!event_form_changes(w->spec->form, event))
        return (struct span){delivery->body.data, delivery->body.len};
    if (delivery->batch)
        webhook_compose_batch(w, delivery, &a->composed);
    else
        event_form_put(w->spec->form, w->feed, event, &a->composed);
    return (struct span){a->composed.data, a->composed.len};
}

static void webhook_send(struct channel *channel, struct delivery *delivery) {
    struct webhook *w = (struct webhook *)channel;
    const struct spec *spec = w->spec;
    struct webhook_attempt *a = mem_alloc(sizeof *a);
    *a = (struct webhook_attempt){.delivery = delivery};
    const struct span body = webhook_compose(w, a);
    const struct https_request request = {
        .headers = webhook_headers(w, delivery, body),
        .body = body,
        .timeout_ms = spec->timeout_ms >= 0 ? spec->timeout_ms : w->timeout_ms,
        .fresh = delivery->fresh,
        .done = webhook_on_done,
        .arg = a,
    };
    delivery->under_way = a;
    a->post = oauth2_send(w->oauth2, &request);
}

static void webhook_cancel(struct channel *channel, struct delivery *delivery) {
    struct webhook_attempt *a = delivery->under_way;
    (void)channel;
    oauth2_cancel(a->post);
    webhook_attempt_free(a);
}

void webhook_init(struct webhook *w, struct oauth2 *oauth2, struct signing *signing,
                  const char *subscriber, const struct spec *spec, const char *feed,
                  int64_t timeout_ms) {
    *w = (struct webhook){.channel = {.send = webhook_send, .cancel = webhook_cancel},
                          .oauth2 = oauth2,
                          .signing = signing,
                          .subscriber = subscriber,
                          .spec = spec,
                          .feed = feed,
                          .timeout_ms = timeout_ms};
}
