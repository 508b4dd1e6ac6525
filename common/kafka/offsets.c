/* Questions to partition leaders; see offsets.h. librdkafka's call blocks, so a loop task asks: one
 * task per partition at a time. Questions that arrive meanwhile go with the next task, so that many
 * questions share one thread and one look-up of the end. */
#include "common/kafka/offsets.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/kafka/handle.h"

enum { CALL_TIMEOUT_MS = 4000, BATCH_QUESTIONS_MAX = 100 };

/* Reference-counted: a task may be running when the offsets are freed, and the last user ends the
 * handle. */
struct offsets_handle {
    rd_kafka_t *rk;
    atomic_int users;
};

struct offsets_question {
    struct offsets *offsets;
    struct offsets_batch *batch; /* NULL: waits for a batch */
    char topic[KAFKA_TOPIC_BYTES];
    int32_t partition;
    int64_t *at; /* times, then their offsets */
    size_t count;
    void (*answered)(void *arg, const struct offsets_answer *answer, const struct error *err);
    void *arg; /* `answered` NULL: cancelled */
    struct offsets_question *prev, *next;
};

/* The questions about one partition being asked by a task. */
struct offsets_batch {
    struct offsets *offsets; /* NULL: freed */
    struct offsets_handle *handle;
    struct offsets_question *questions;
    int64_t end;
    int result;
    struct error err;
    struct offsets_batch *prev, *next;
};

struct offsets {
    struct loop *loop;
    struct offsets_handle *handle;
    struct offsets_question *waiting;
    struct offsets_batch *batches; /* in flight */
};

/* --- on a task's thread */

/* A negative time would mean one of Kafka's special offsets. A time after the last record means the
 * end. */
static rd_kafka_resp_err_t ask_time(rd_kafka_t *rk, const struct offsets_question *q, int64_t *at,
                                    int64_t end, int64_t deadline_ms) {
    *at = *at < 0 ? 0 : *at;
    rd_kafka_resp_err_t code = kafka_handle_offset(rk, q->topic, q->partition, at, deadline_ms);
    *at = *at < 0 || *at > end ? end : *at;
    return code;
}

static rd_kafka_resp_err_t ask_all(struct offsets_batch *b) {
    const int64_t deadline_ms = clock_ms() + CALL_TIMEOUT_MS;
    const struct offsets_question *q = b->questions;
    rd_kafka_t *rk = b->handle->rk;
    b->end = RD_KAFKA_OFFSET_END;
    rd_kafka_resp_err_t code = kafka_handle_offset(rk, q->topic, q->partition, &b->end,
                                                   deadline_ms);
    for (; q && !code; q = q->next)
        for (size_t i = 0; i < q->count && !code; i++)
            code = ask_time(rk, q, &q->at[i], b->end, deadline_ms);
    return code;
}

static void offsets_work(void *arg) {
    struct offsets_batch *b = arg;
    rd_kafka_resp_err_t code = ask_all(b);
    b->result = code ? error_set(&b->err, "%s", rd_kafka_err2str(code)) : 0;
    if (atomic_fetch_sub(&b->handle->users, 1) > 1)
        return;
    kafka_handle_end(b->handle->rk, 0);
    free(b->handle);
}

/* --- on the loop */

static void question_free(struct offsets_question *q) {
    free(q->at);
    free(q);
}

static bool same_partition(const struct offsets_question *a, const struct offsets_question *b) {
    return a->partition == b->partition && strcmp(a->topic, b->topic) == 0;
}

static bool is_being_asked(const struct offsets *o, const struct offsets_question *q) {
    const struct offsets_batch *b;
    DL_FOREACH(o->batches, b) {
        if (same_partition(b->questions, q))
            return true;
    }
    return false;
}

static void offsets_done(void *arg);

/* Makes a batch of all questions waiting about the partition of `first`. */
static void begin_batch(struct offsets *o, struct offsets_question *first) {
    struct offsets_question *q, *next;
    int count = 0;
    struct offsets_batch *b = mem_zero(sizeof *b);
    b->offsets = o;
    b->handle = o->handle;
    atomic_fetch_add(&b->handle->users, 1);
    DL_FOREACH_SAFE(o->waiting, q, next) {
        if (count == BATCH_QUESTIONS_MAX || !same_partition(q, first))
            continue;
        count++;
        DL_DELETE(o->waiting, q);
        DL_APPEND(b->questions, q);
        q->batch = b;
    }
    DL_APPEND(o->batches, b);
    loop_task(o->loop, offsets_work, offsets_done, b);
}

static void begin_next(struct offsets *o) {
    struct offsets_question *q = o->waiting;
    while (q && is_being_asked(o, q))
        q = q->next;
    if (q)
        begin_batch(o, q);
}

/* A callback may ask, cancel other questions, or free the offsets. The first question names the
 * partition, so it stays in the batch until the end. */
static void offsets_done(void *arg) {
    struct offsets_batch *b = arg;
    struct offsets_question *q, *next;
    DL_FOREACH(b->questions, q) {
        const struct offsets_answer answer = {b->end, q->at};
        if (q->answered && b->result)
            q->answered(q->arg, NULL, &b->err);
        else if (q->answered)
            q->answered(q->arg, &answer, NULL);
        q->answered = NULL;
    }
    struct offsets *o = b->offsets;
    if (o)
        DL_DELETE(o->batches, b);
    DL_FOREACH_SAFE(b->questions, q, next) {
        question_free(q);
    }
    free(b);
    if (o)
        begin_next(o);
}

struct offsets_question *offsets_ask(
    struct offsets *o, const char *topic, int32_t partition, const int64_t *times, size_t count,
    void (*answered)(void *, const struct offsets_answer *, const struct error *), void *arg) {
    struct offsets_question *q = mem_zero(sizeof *q);
    *q = (struct offsets_question){.offsets = o,
                                   .partition = partition,
                                   .at = mem_alloc((count + 1) * sizeof *q->at),
                                   .count = count,
                                   .answered = answered,
                                   .arg = arg};
    snprintf(q->topic, sizeof q->topic, "%s", topic);
    if (count)
        memcpy(q->at, times, count * sizeof *times);
    DL_APPEND(o->waiting, q);
    if (!is_being_asked(o, q))
        begin_batch(o, q);
    return q;
}

void offsets_drop(struct offsets_question *q) {
    if (!q)
        return;
    q->answered = NULL;
    if (q->batch)
        return; /* the task's thread reads it */
    DL_DELETE(q->offsets->waiting, q);
    question_free(q);
}

/* --- life */

struct offsets *offsets_new(struct loop *loop, const struct kafka_config *config,
                            struct error *err) {
    static const struct kafka_setting none[] = {{NULL, NULL}};
    rd_kafka_t *rk = kafka_handle_new(RD_KAFKA_CONSUMER, config, none, err);
    if (!rk)
        return NULL;
    struct offsets *o = mem_zero(sizeof *o);
    o->loop = loop;
    o->handle = mem_zero(sizeof *o->handle);
    o->handle->rk = rk;
    atomic_init(&o->handle->users, 1);
    return o;
}

static void abandon_batches(struct offsets *o) {
    struct offsets_batch *b, *next;
    struct offsets_question *q;
    DL_FOREACH_SAFE(o->batches, b, next) {
        b->offsets = NULL;
        DL_FOREACH(b->questions, q) {
            q->answered = NULL;
        }
    }
}

void offsets_free(struct offsets *o) {
    struct offsets_question *q, *next;
    if (!o)
        return;
    abandon_batches(o);
    DL_FOREACH_SAFE(o->waiting, q, next) {
        question_free(q);
    }
    if (atomic_fetch_sub(&o->handle->users, 1) == 1)
        kafka_handle_destroy(o->loop, o->handle->rk, free, o->handle);
    free(o);
}
