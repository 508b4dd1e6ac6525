/* Webhooks; see webhook.h. */
#include "dispatcher/channel/webhook.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/model/event.h"
#include "dispatcher/channel/https_post.h"

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

static struct curl_slist *webhook_headers(struct webhook *w, const struct delivery *delivery) {
    const struct spec *spec = w->spec;
    char id[EVENT_ID_BYTES_MAX + 1];
    struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");
    list = curl_slist_append(list, "Expect:"); /* no extra round trip for large bodies */
    list = signing_add(list, "X-ESS-Subscriber", w->subscriber);
    list = webhook_add_span(list, "X-ESS-Topic", delivery->topic);
    if (delivery->kind != DELIVERY_TEST)
        list = webhook_add_number(list, "X-ESS-Cursor", delivery->cursor);
    list = webhook_add_number(list, "X-ESS-Attempt", delivery->number);
    if (delivery->kind == DELIVERY_REPLAY || delivery->kind == DELIVERY_REDRIVE)
        list = webhook_add_number(list, "X-ESS-Replay", delivery->job);
    snprintf(id, sizeof id, "%.*s", (int)delivery->id.len, delivery->id.data);
    list = signing_headers(w->signing, list, id, clock_wall_ms(),
                           (struct span){delivery->body.data, delivery->body.len});
    if (delivery->traceparent.len)
        list = webhook_add_span(list, "traceparent", delivery->traceparent);
    for (size_t i = 0; i < spec->headers_count; i++)
        list = signing_add(list, spec->headers[i].name, spec->headers[i].value);
    return list;
}

/* --- a delivery */

static void webhook_on_done(void *arg, const struct https_result *result) {
    struct delivery *delivery = arg;
    const struct outcome outcome = https_outcome(
        result, webhook_judge(result->status, result->retry_after_ms));
    delivery->done(delivery, &outcome);
}

static void webhook_send(struct channel *channel, struct delivery *delivery) {
    struct webhook *w = (struct webhook *)channel;
    const struct spec *spec = w->spec;
    const struct https_request request = {
        .url = spec->url,
        .headers = webhook_headers(w, delivery),
        .body = {delivery->body.data, delivery->body.len},
        .timeout_ms = spec->timeout_ms >= 0 ? spec->timeout_ms : w->timeout_ms,
        .fresh = delivery->fresh,
        .done = webhook_on_done,
        .arg = delivery,
    };
    delivery->under_way = https_send(w->client, &request);
}

static void webhook_cancel(struct channel *channel, struct delivery *delivery) {
    (void)channel;
    https_cancel(delivery->under_way);
}

void webhook_init(struct webhook *w, struct https_client *client, struct signing *signing,
                  const char *subscriber, const struct spec *spec, int64_t timeout_ms) {
    *w = (struct webhook){.channel = {.send = webhook_send, .cancel = webhook_cancel},
                          .client = client,
                          .signing = signing,
                          .subscriber = subscriber,
                          .spec = spec,
                          .timeout_ms = timeout_ms};
}
