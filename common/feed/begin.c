/* Waits for Kafka and its topics; see begin.h. Blocking calls run as a loop task. */
#include "common/feed/begin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/kafka/offsets.h"

enum { AGAIN_MIN_MS = 300, AGAIN_MAX_MS = 3000, TELL_AGAIN_MS = 60 * 1000 };

struct feed_begin {
    struct loop *loop;
    struct feed_begin_options options;
    struct loop_timer again;
    int64_t again_ms;                  /* the pause before the next try */
    int64_t tell_again_ms;             /* when to report the reason again */
    bool working;                      /* the task owns the members below */
    bool abandoned;                    /* freed while the task ran */
    struct offsets_question *question; /* about the start of the window */
    enum topics_state state;
    struct genesis genesis;
    struct topics topics;
    struct error err;
};

static void begin_destroy(struct feed_begin *b) {
    loop_timer_clear(b->loop, &b->again);
    buf_fini(&b->topics.warnings);
    free(b);
}

/* The topics may have more partitions than the feed began with (the extra ones stay unused), never
 * fewer. */
static enum topics_state fit_partitions(struct feed_begin *b) {
    int32_t begun = b->genesis.subscriber_partitions, found = b->topics.subscriber_partitions;
    if (begun < 1 || found < begun) {
        error_set(&b->err,
                  "topics subscribers and tokens of kafka.prefix %s have %d partitions, but the "
                  "feed was begun with %d: add partitions "
                  "with Kafka's kafka-topics tool, or choose another kafka.prefix",
                  b->options.kafka->prefix, (int)found, (int)begun);
        return TOPICS_REFUSED;
    }
    if (found > begun)
        buf_printf(&b->topics.warnings,
                   "topics subscribers and tokens have %d partitions; the feed was begun with %d, "
                   "and only these are used\n",
                   (int)found, (int)begun);
    return TOPICS_READY;
}

static void begin_work(void *arg) {
    struct feed_begin *b = arg;
    buf_clear(&b->topics.warnings);
    b->state = topics_ensure(b->options.kafka, b->options.create, &b->topics, &b->err);
    b->genesis.subscriber_partitions = b->topics.subscriber_partitions;
    if (b->state == TOPICS_READY)
        b->state = genesis_ensure(b->options.kafka, b->options.create, &b->genesis, &b->err);
    if (b->state == TOPICS_READY)
        b->state = fit_partitions(b);
}

static void begin_warn(struct feed_begin *b) {
    const char *line = buf_string(&b->topics.warnings);
    for (const char *end; (end = strchr(line, '\n')); line = end + 1) {
        char text[512];
        snprintf(text, sizeof text, "%.*s", (int)(end - line), line);
        b->options.warning(b->options.arg, text);
    }
}

static void wait_for_kafka(struct feed_begin *b) {
    const int64_t now_ms = clock_ms();
    loop_timer_set(b->loop, &b->again, now_ms + b->again_ms);
    b->again_ms = b->again_ms * 3 / 2 > AGAIN_MAX_MS ? AGAIN_MAX_MS : b->again_ms * 3 / 2;
    if (now_ms < b->tell_again_ms)
        return;
    b->tell_again_ms = now_ms + TELL_AGAIN_MS;
    b->options.waiting(b->options.arg, b->err.message);
}

static void begin_settle(struct feed_begin *b) {
    if (b->state == TOPICS_AWAY) {
        wait_for_kafka(b);
    } else if (b->state == TOPICS_REFUSED) {
        b->options.refused(b->options.arg, b->err.message);
    } else {
        begin_warn(b);
        b->genesis.record_bytes_max = b->topics.record_bytes_max;
        b->options.ready(b->options.arg, &b->genesis);
    }
}

static void on_recent(void *arg, const struct offsets_answer *answer, const struct error *err) {
    struct feed_begin *b = arg;
    b->question = NULL;
    if (answer) {
        int64_t first = answer->at[0];
        b->genesis.recent = first > b->genesis.end ? b->genesis.end : first > 0 ? first - 1 : 0;
    } else {
        b->state = TOPICS_AWAY;
        b->err = *err;
    }
    begin_settle(b);
}

static void find_recent(struct feed_begin *b) {
    char topic[KAFKA_TOPIC_BYTES];
    int64_t begins_ms = clock_wall_ms() - b->options.window_ms;
    kafka_topic_name(b->options.kafka, "events", topic);
    b->question = offsets_ask(b->options.offsets, topic, 0, &begins_ms, 1, on_recent, b);
}

static void begin_done(void *arg) {
    struct feed_begin *b = arg;
    b->working = false;
    if (b->abandoned)
        begin_destroy(b);
    else if (b->state == TOPICS_READY && b->options.window_ms)
        find_recent(b);
    else
        begin_settle(b);
}

static void begin_try(void *arg) {
    struct feed_begin *b = arg;
    b->working = true;
    loop_task(b->loop, begin_work, begin_done, b);
}

struct feed_begin *feed_begin_new(struct loop *loop, const struct feed_begin_options *options) {
    struct feed_begin *b = mem_zero(sizeof *b);
    b->loop = loop;
    b->options = *options;
    b->again_ms = AGAIN_MIN_MS;
    loop_timer_init(&b->again, begin_try, b);
    begin_try(b);
    return b;
}

void feed_begin_free(struct feed_begin *b) {
    if (!b)
        return;
    b->abandoned = true;
    offsets_drop(b->question);
    if (!b->working)
        begin_destroy(b);
}
