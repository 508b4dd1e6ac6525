/* Is the tail where the log ends? See health.h. */
#include "common/feed/health.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/feed/feed_internal.h"
#include "common/kafka/times.h"

enum { LOOK_MS = 1000, STUCK_MS = 5000, SILENT_MS = 8000, SAY_AGAIN_MS = 60 * 1000 };

/* What the leader is asked. It outlives the feed while the task has it. */
struct feed_question {
    struct feed_health *health; /* NULL: nobody waits for the answer any more */
    struct times *times;
    char topic[KAFKA_TOPIC_BYTES];
    bool asked;       /* and not answered yet */
    int64_t end;      /* -1: not told, and */
    struct error err; /* why */
};

static void question_free(struct feed_question *q) {
    times_free(q->times);
    free(q);
}

/* --- what is wrong */

static void judge(struct feed_health *h, int64_t now_ms) {
    const char *topic = h->feed->topic;
    if (h->fault[0])
        snprintf(h->trouble, sizeof h->trouble, "%s", h->fault);
    else if (h->behind_ms && now_ms - h->behind_ms >= STUCK_MS)
        snprintf(h->trouble, sizeof h->trouble,
                 "%s ends at cursor %lld, but nothing above cursor %lld is read", topic,
                 (long long)h->end, (long long)feed_end(h->feed));
    else if (now_ms - h->told_ms >= SILENT_MS)
        snprintf(h->trouble, sizeof h->trouble, "the leader of %s does not tell its end: %s", topic,
                 h->silence[0] ? h->silence : "no answer");
    else
        h->trouble[0] = 0;
}

/* Says what has changed, and what lasts from time to time. */
static void assess(struct feed_health *h) {
    struct feed *feed = h->feed;
    int64_t now_ms = clock_ms();
    bool troubled = h->trouble[0];
    judge(h, now_ms);
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
    h->trouble[0] = 0; /* another one is said at once */
    assess(h);
    return first;
}

void feed_health_moved(struct feed_health *h) {
    h->told_ms = clock_ms();
    h->behind_ms = feed_end(h->feed) < h->end ? h->told_ms : 0;
    if (!h->fault[0] && !h->trouble[0])
        return;
    h->fault[0] = 0;
    assess(h);
}

/* --- the question */

static void ask(void *arg) {
    struct feed_question *q = arg;
    int64_t next;
    q->end = times_offsets(q->times, q->topic, 0, NULL, 0, &next, &q->err) ? -1 : next - 1;
}

static void hear(struct feed_health *h, const struct feed_question *q) {
    int64_t now_ms = clock_ms();
    snprintf(h->silence, sizeof h->silence, "%.199s", q->end < 0 ? q->err.message : "");
    if (q->end < 0)
        return;
    h->end = q->end;
    h->told_ms = now_ms;
    if (h->end <= feed_end(h->feed))
        h->behind_ms = 0;
    else if (!h->behind_ms)
        h->behind_ms = now_ms;
}

static void on_answer(void *arg) {
    struct feed_question *q = arg;
    q->asked = false;
    if (q->health)
        hear(q->health, q);
    else
        question_free(q);
}

/* While fetches fail the assignment is made again: librdkafka tries some of them only after
 * minutes. */
static void on_look(void *arg) {
    struct feed_health *h = arg;
    loop_timer_set(h->feed->loop, &h->look, clock_ms() + LOOK_MS);
    assess(h);
    if (h->question->asked || h->feed->stopped)
        return;
    if (h->fault[0])
        feed_read_tail(h->feed);
    h->question->asked = true;
    loop_task(h->feed->loop, ask, on_answer, h->question);
}

/* --- life */

int feed_health_init(struct feed_health *h, struct feed *feed, struct error *err) {
    struct times *times = times_new(feed->options.kafka, err);
    if (!times)
        return -1;
    *h = (struct feed_health){
        .feed = feed, .question = mem_zero(sizeof *h->question), .end = -1, .told_ms = clock_ms()};
    h->question->health = h;
    h->question->times = times;
    memcpy(h->question->topic, feed->topic, sizeof feed->topic);
    loop_timer_init(&h->look, on_look, h);
    loop_timer_set(feed->loop, &h->look, clock_ms() + LOOK_MS);
    return 0;
}

void feed_health_fini(struct feed_health *h) {
    if (!h->question)
        return;
    loop_timer_clear(h->feed->loop, &h->look);
    h->question->health = NULL;
    if (!h->question->asked)
        question_free(h->question);
}
