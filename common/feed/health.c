/* Checks the tail against the log's end; see health.h. */
#include "common/feed/health.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/feed/feed_internal.h"
#include "common/kafka/offsets.h"

enum { LOOK_MS = 1000, STUCK_MS = 5000, SILENT_MS = 8000, SAY_AGAIN_MS = 60 * 1000 };

/* --- trouble */

static void health_judge(struct feed_health *h, int64_t now_ms) {
    const char *topic = h->feed->topic;
    if (h->fault[0])
        snprintf(h->trouble, sizeof h->trouble, "%s", h->fault);
    else if (h->behind_ms && now_ms - h->behind_ms >= STUCK_MS)
        snprintf(h->trouble, sizeof h->trouble,
                 "%s ends at cursor %lld, but nothing above cursor %lld is read", topic,
                 (long long)h->end, (long long)feed_end(h->feed));
    else if (now_ms - h->told_ms >= SILENT_MS)
        snprintf(h->trouble, sizeof h->trouble,
                 "the leader of %s does not report the end of the log: %s", topic,
                 h->silence[0] ? h->silence : "no answer");
    else
        h->trouble[0] = 0;
}

/* Reports changes, and lasting trouble from time to time. */
static void health_assess(struct feed_health *h) {
    struct feed *feed = h->feed;
    int64_t now_ms = clock_ms();
    bool troubled = h->trouble[0];
    health_judge(h, now_ms);
    bool due = !troubled || now_ms - h->said_ms >= SAY_AGAIN_MS;
    if (!feed->options.trouble || (!h->trouble[0] && !troubled) || (h->trouble[0] && !due))
        return;
    h->said_ms = now_ms;
    feed->options.trouble(feed->options.arg, h->trouble[0] ? h->trouble : NULL);
}

bool feed_health_failed(struct feed_health *h, const char *reason) {
    bool first = !h->fault[0];
    if (!first && strcmp(h->fault, reason) == 0)
        return false;
    snprintf(h->fault, sizeof h->fault, "%s", reason);
    h->trouble[0] = 0; /* a different fault is reported at once */
    health_assess(h);
    return first;
}

void feed_health_moved(struct feed_health *h) {
    h->told_ms = clock_ms();
    h->behind_ms = feed_end(h->feed) < h->end ? h->told_ms : 0;
    if (!h->fault[0] && !h->trouble[0])
        return;
    h->fault[0] = 0;
    health_assess(h);
}

/* --- the question */

static void health_hear(struct feed_health *h, int64_t end) {
    int64_t now_ms = clock_ms();
    h->end = end;
    h->told_ms = now_ms;
    if (h->suspected && end < h->asked_at) {
        feed_break_end(h->feed, end, h->asked_at);
        return;
    }
    h->suspected = false;
    if (h->end <= feed_end(h->feed))
        h->behind_ms = 0;
    else if (!h->behind_ms)
        h->behind_ms = now_ms;
}

static void health_on_answer(void *arg, const struct offsets_answer *answer,
                             const struct error *err) {
    struct feed_health *h = arg;
    h->question = NULL;
    snprintf(h->silence, sizeof h->silence, "%.199s", answer ? "" : err->message);
    if (answer)
        health_hear(h, answer->end - 1);
}

static void health_ask(struct feed_health *h) {
    h->asked_at = feed_end(h->feed);
    h->question = offsets_ask(h->feed->options.offsets, h->feed->topic, 0, NULL, 0,
                              health_on_answer, h);
}

/* Drops the question under way, because its answer may come from an earlier leader. */
void feed_health_suspect(struct feed_health *h) {
    if (h->suspected)
        return;
    h->suspected = true;
    offsets_drop(h->question);
    health_ask(h);
}

/* Assigns again while fetches fail: librdkafka retries some only after minutes. */
static void on_look(void *arg) {
    struct feed_health *h = arg;
    loop_timer_set(h->feed->loop, &h->look, clock_ms() + LOOK_MS);
    health_assess(h);
    if (h->question || h->feed->stopped)
        return;
    if (h->fault[0])
        feed_read_tail(h->feed);
    health_ask(h);
}

/* --- life */

void feed_health_init(struct feed_health *h, struct feed *feed) {
    *h = (struct feed_health){.feed = feed, .end = -1, .told_ms = clock_ms()};
    loop_timer_init(&h->look, on_look, h);
    loop_timer_set(feed->loop, &h->look, clock_ms() + LOOK_MS);
}

void feed_health_fini(struct feed_health *h) {
    if (!h->feed)
        return;
    loop_timer_clear(h->feed->loop, &h->look);
    offsets_drop(h->question);
}
