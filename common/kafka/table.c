/* A compacted topic as a table; see table.h. */
#include "common/kafka/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/kafka/consumer.h"

/* A partition of a topic. */
struct place {
    bool chosen, ended;
    bool unheard; /* in trouble: nothing read since the last try */
    int64_t next; /* next offset to read; 0 at first, not KAFKA_BEGINNING, which is looked up for
                     one partition at a time */
};

enum { AGAIN_FIRST_MS = 1000, AGAIN_LONGEST_MS = 8000, SAY_AGAIN_MS = 60 * 1000 };

struct table {
    struct loop *loop;
    struct table_options options;
    struct consumer *consumer;
    size_t topics;
    struct place *places; /* [topic][partition] */
    int64_t to_end;
    /* Set once every partition has been read to its end, which proves that the topics exist. */
    bool known;
    /* set while partitions cannot be read */
    char trouble[400]; /* "" while readable */
    struct loop_timer again;
    int64_t pause_ms, said_ms;
    int64_t unheard; /* positions */
};

static size_t table_topic_number(const struct table *t, const char *topic) {
    size_t i = 0;
    while (t->options.topics[i] && strcmp(t->options.topics[i], topic) != 0)
        i++;
    return i;
}

static struct place *place_of(const struct table *t, size_t topic, int32_t partition) {
    return &t->places[topic * (size_t)t->options.partitions + (size_t)partition];
}

static void reach_end(struct table *t, size_t topic, int32_t partition) {
    struct place *place = place_of(t, topic, partition);
    if (place->ended)
        return;
    place->ended = true;
    t->to_end--;
    t->known |= t->to_end == 0;
    if (t->options.ended)
        t->options.ended(t->options.arg, t->options.topics[topic], partition);
    if (t->to_end == 0 && t->options.loaded)
        t->options.loaded(t->options.arg);
}

/* --- trouble */

static int table_assign(struct table *t, struct error *err) {
    size_t count = 0;
    struct kafka_position *at = mem_alloc((t->topics * (size_t)t->options.partitions + 1) *
                                          sizeof *at);
    for (size_t topic = 0; topic < t->topics; topic++)
        for (int32_t i = 0; i < t->options.partitions; i++)
            if (place_of(t, topic, i)->chosen)
                at[count++] = (struct kafka_position){t->options.topics[topic], i,
                                                      place_of(t, topic, i)->next};
    int result = consumer_assign_list(t->consumer, at, count, err);
    free(at);
    return result;
}

/* From now on, each partition must be read again before the trouble is over. */
static void doubt_all(struct table *t) {
    t->unheard = 0;
    for (size_t i = 0; i < t->topics * (size_t)t->options.partitions; i++) {
        t->places[i].unheard = t->places[i].chosen;
        t->unheard += t->places[i].chosen;
    }
}

static void say_trouble(struct table *t, const char *reason) {
    t->said_ms = clock_ms();
    if (t->options.trouble)
        t->options.trouble(t->options.arg, reason);
}

static void end_trouble(struct table *t) {
    t->trouble[0] = 0;
    loop_timer_clear(t->loop, &t->again);
    say_trouble(t, NULL);
}

static void hear_of(struct table *t, struct place *place) {
    if (!place->unheard)
        return;
    place->unheard = false;
    if (--t->unheard == 0)
        end_trouble(t);
}

/* Assigns again: librdkafka retries some partitions only after minutes. */
static void on_again(void *arg) {
    struct table *t = arg;
    struct error err;
    if (clock_ms() - t->said_ms >= SAY_AGAIN_MS)
        say_trouble(t, t->trouble);
    t->pause_ms = t->pause_ms * 2 < AGAIN_LONGEST_MS ? t->pause_ms * 2 : AGAIN_LONGEST_MS;
    loop_timer_set(t->loop, &t->again, clock_ms() + t->pause_ms);
    doubt_all(t);
    if (table_assign(t, &err))
        t->options.failed(t->options.arg, err.message);
}

static void begin_trouble(struct table *t, const char *topic, enum consumer_fault fault,
                          const char *reason) {
    char text[sizeof t->trouble];
    if (fault == CONSUMER_NO_RIGHT)
        snprintf(text, sizeof text,
                 "no right to read topic %s: grant Read and Describe on it to ESS's user", topic);
    else
        snprintf(text, sizeof text, "topic %s cannot be fetched: %.200s", topic, reason);
    bool first = !t->trouble[0]; /* partitions may word the same fault differently */
    memcpy(t->trouble, text, sizeof text);
    if (first) {
        t->pause_ms = AGAIN_FIRST_MS;
        loop_timer_set(t->loop, &t->again, clock_ms() + t->pause_ms);
    }
    doubt_all(t);
    if (first)
        say_trouble(t, t->trouble);
}

/* --- reading */

static void table_on_record(void *arg, const struct kafka_record *found) {
    struct table *t = arg;
    size_t topic = table_topic_number(t, found->topic);
    struct place *place = place_of(t, topic, found->partition);
    struct kafka_record record = *found;
    record.topic = t->options.topics[topic];
    if (!place->chosen || found->offset < place->next)
        return;
    place->next = found->offset + 1;
    hear_of(t, place);
    t->options.record(t->options.arg, &record);
    if (!place->ended &&
        consumer_at_end(t->consumer,
                        found)) /* the end is reported only after a fetch that waited */
        reach_end(t, topic, found->partition);
}

static void table_on_end(void *arg, const char *name, int32_t partition, int64_t offset) {
    struct table *t = arg;
    size_t topic = table_topic_number(t, name);
    struct place *place = place_of(t, topic, partition);
    if (!place->chosen || offset < place->next)
        return;
    hear_of(t, place);
    reach_end(t, topic, partition);
}

static void table_on_failed(void *arg, const char *topic, enum consumer_fault fault,
                            const char *reason) {
    struct table *t = arg;
    if (fault == CONSUMER_NO_TOPIC && !t->known)
        return; /* just created; brokers will know it soon */
    bool other_log = fault == CONSUMER_NO_TOPIC || fault == CONSUMER_OUT_OF_RANGE;
    if (other_log || !topic)
        t->options.failed(t->options.arg, reason);
    else
        begin_trouble(t, topic, fault, reason);
}

int table_choose(struct table *t, const bool *chosen, struct error *err) {
    t->to_end = 0;
    for (size_t topic = 0; topic < t->topics; topic++) {
        for (int32_t i = 0; i < t->options.partitions; i++) {
            struct place *place = place_of(t, topic, i);
            *place = (struct place){.chosen = chosen[i],
                                    .next = place->chosen && chosen[i] ? place->next : 0};
            t->to_end += chosen[i];
        }
    }
    if (t->trouble[0])
        doubt_all(t);
    if (t->trouble[0] && t->unheard == 0)
        end_trouble(t);
    return table_assign(t, err);
}

static int choose_all(struct table *t, struct error *err) {
    bool *all = mem_alloc((size_t)t->options.partitions);
    memset(all, true, (size_t)t->options.partitions);
    int result = table_choose(t, all, err);
    free(all);
    return result;
}

struct table *table_new(struct loop *loop, const struct table_options *options, struct error *err) {
    struct table *t = mem_zero(sizeof *t);
    t->loop = loop;
    t->options = *options;
    loop_timer_init(&t->again, on_again, t);
    while (options->topics[t->topics])
        t->topics++;
    t->places = mem_zero(t->topics * (size_t)options->partitions * sizeof *t->places);
    const struct consumer_options consumer = {
        .kafka = options->kafka,
        .fetch_wait_ms = options->fetch_wait_ms ? options->fetch_wait_ms : 500,
        .queue_kib = 65536,
        .record = table_on_record,
        .end = table_on_end,
        .failed = table_on_failed,
        .arg = t};
    t->consumer = consumer_new(loop, &consumer, err);
    if (!t->consumer || (!options->chosen && choose_all(t, err))) {
        table_free(t);
        return NULL;
    }
    for (size_t i = 0; i < t->topics; i++)
        consumer_warm(t->consumer, options->topics[i]);
    return t;
}

const char *table_trouble(const struct table *t) { return t->trouble[0] ? t->trouble : NULL; }

bool table_loaded(const struct table *t) { return t->to_end == 0; }

void table_free(struct table *t) {
    if (!t)
        return;
    loop_timer_clear(t->loop, &t->again);
    consumer_free(t->consumer);
    free(t->places);
    free(t);
}
