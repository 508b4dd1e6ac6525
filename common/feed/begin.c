/* Waits for Kafka and its topics; see begin.h. What blocks runs as a task of the loop. */
#include "common/feed/begin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/kafka/times.h"

enum { AGAIN_MS = 300 };

struct feed_begin {
    struct loop *loop;
    struct feed_begin_options options;
    struct loop_timer again;
    bool said_waiting;
    bool working;   /* the task has the part below */
    bool abandoned; /* freed while the task worked */
    enum topics_state state;
    struct genesis genesis;
    struct topics topics;
    struct error err;
};

static void destroy(struct feed_begin *b) {
    loop_timer_clear(b->loop, &b->again);
    buf_fini(&b->topics.warnings);
    free(b);
}

/* Where the window begins. */
static enum topics_state find_recent(struct feed_begin *b) {
    char topic[KAFKA_TOPIC_BYTES];
    int64_t first = clock_wall_ms() - b->options.window_ms, end;
    kafka_topic_name(b->options.kafka, "events", topic);
    if (kafka_offsets_at(b->options.kafka, topic, 0, &first, 1, &end, &b->err))
        return TOPICS_AWAY;
    b->genesis.recent = first > b->genesis.end ? b->genesis.end : first > 0 ? first - 1 : 0;
    return TOPICS_READY;
}

static void work(void *arg) {
    struct feed_begin *b = arg;
    buf_clear(&b->topics.warnings);
    b->state = topics_ensure(b->options.kafka, b->options.create, &b->topics, &b->err);
    if (b->state == TOPICS_READY)
        b->state = genesis_ensure(b->options.kafka, b->options.create, &b->genesis, &b->err);
    if (b->state == TOPICS_READY && b->options.window_ms)
        b->state = find_recent(b);
}

static void warn(struct feed_begin *b) {
    const char *line = buf_string(&b->topics.warnings);
    for (const char *end; (end = strchr(line, '\n')); line = end + 1) {
        char text[512];
        snprintf(text, sizeof text, "%.*s", (int)(end - line), line);
        b->options.warning(b->options.arg, text);
    }
}

static void done(void *arg) {
    struct feed_begin *b = arg;
    b->working = false;
    if (b->abandoned) {
        destroy(b);
    } else if (b->state == TOPICS_AWAY) {
        loop_timer_set(b->loop, &b->again, clock_ms() + AGAIN_MS);
        if (!b->said_waiting)
            b->options.waiting(b->options.arg, b->err.message);
        b->said_waiting = true;
    } else if (b->state == TOPICS_REFUSED) {
        b->options.refused(b->options.arg, b->err.message);
    } else {
        warn(b);
        b->genesis.record_bytes_max = b->topics.record_bytes_max;
        b->options.ready(b->options.arg, &b->genesis);
    }
}

static void try(void *arg) {
    struct feed_begin *b = arg;
    b->working = true;
    loop_task(b->loop, work, done, b);
}

struct feed_begin *feed_begin_new(struct loop *loop, const struct feed_begin_options *options) {
    struct feed_begin *b = mem_zero(sizeof *b);
    b->loop = loop;
    b->options = *options;
    loop_timer_init(&b->again, try, b);
    try(b);
    return b;
}

void feed_begin_free(struct feed_begin *b) {
    if (!b)
        return;
    b->abandoned = true;
    if (!b->working)
        destroy(b);
}
