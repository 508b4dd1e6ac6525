/* The reader of dead letters; see redrive_reader.h. A pass reads one partition from where its first
 * user stands, until nobody wants more of it or others have waited for long enough. */
#include "dispatcher/subscriber/redrive_reader.h"

#include <stdlib.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/kafka/consumer.h"
#include "dispatcher/dispatcher.h"

enum {
    PASS_RECORDS = 20000,
    FETCH_WAIT_MS = 10, /* a new pass waits for a fetch that is parked at a partition's end */
    QUEUE_KIB = 8192,
    SHARE_BYTES_MAX = 256 * 1024,
    ALL_BYTES = 32 * 1024 * 1024,
    FAILURE_LOG_PERIOD_MS = 10000,
};

struct redrive_reader {
    struct dispatcher *dispatcher;
    struct consumer *consumer;
    struct redrive_reader_user *waiting; /* in their order */
    size_t users;
    bool reading;
    int32_t partition; /* of the pass */
    int64_t at, count; /* the newest record it has read, and how many */
    struct loop_timer turn;
    struct log_limit failures;
};

/* --- a pass */

static void redrive_reader_assign(struct redrive_reader *l, int64_t offset) {
    struct error err;
    l->reading = consumer_assign(l->consumer, l->dispatcher->dlq_topic, l->partition, offset,
                                 &err) == 0;
    if (!l->reading)
        loop_timer_set(l->dispatcher->service.loop, &l->turn, clock_ms() + FAILURE_LOG_PERIOD_MS);
}

static void redrive_reader_join_pass(const struct redrive_reader *l,
                                     struct redrive_reader_user *user) {
    user->in_pass = user->partition == l->partition && user->read >= l->at;
}

static void redrive_reader_on_turn(void *arg) {
    struct redrive_reader *l = arg;
    struct redrive_reader_user *user;
    if (l->reading || !l->waiting)
        return;
    l->partition = l->waiting->partition;
    l->at = l->waiting->read;
    l->count = 0;
    DL_FOREACH(l->waiting, user) {
        redrive_reader_join_pass(l, user);
    }
    redrive_reader_assign(l, l->at + 1);
}

static void redrive_reader_end_pass(struct redrive_reader *l) {
    struct redrive_reader_user *user;
    consumer_unassign(l->consumer);
    l->reading = false;
    DL_FOREACH(l->waiting, user) {
        user->in_pass = false;
    }
    loop_timer_set(l->dispatcher->service.loop, &l->turn, clock_ms());
}

static void redrive_reader_drop(struct redrive_reader *l, struct redrive_reader_user *user) {
    DL_DELETE(l->waiting, user);
    user->waits = user->in_pass = false;
}

static bool redrive_reader_wanted(const struct redrive_reader *l) {
    const struct redrive_reader_user *user;
    DL_FOREACH(l->waiting, user) {
        if (user->in_pass)
            return true;
    }
    return false;
}

/* The others have their turn; those of this pass come behind them. */
static void redrive_reader_rotate(struct redrive_reader *l) {
    struct redrive_reader_user *user, *next, *moved = NULL;
    DL_FOREACH_SAFE(l->waiting, user, next) {
        if (!user->in_pass)
            continue;
        DL_DELETE(l->waiting, user);
        DL_APPEND(moved, user);
    }
    DL_CONCAT(l->waiting, moved);
}

static void redrive_reader_on_record(void *arg, const struct kafka_record *found) {
    struct redrive_reader *l = arg;
    struct redrive_reader_user *user, *next;
    const struct redrive_reader_record record = {
        .offset = found->offset, .key = found->key, .value = found->value};
    if (!l->reading || found->offset <= l->at)
        return;
    l->at = found->offset;
    l->count++;
    DL_FOREACH_SAFE(l->waiting, user, next) {
        if (!user->in_pass || user->read >= found->offset)
            continue;
        user->read = found->offset;
        if (!user->take(user, &record))
            redrive_reader_drop(l, user);
    }
    if (l->count >= PASS_RECORDS)
        redrive_reader_rotate(l);
    if (l->count >= PASS_RECORDS || !redrive_reader_wanted(l))
        redrive_reader_end_pass(l);
}

static void redrive_reader_on_end(void *arg, const char *topic, int32_t partition, int64_t offset) {
    struct redrive_reader *l = arg;
    struct redrive_reader_user *user, *next;
    (void)topic, (void)offset;
    if (!l->reading || partition != l->partition)
        return;
    DL_FOREACH_SAFE(l->waiting, user, next) {
        if (!user->in_pass)
            continue;
        redrive_reader_drop(l, user);
        user->ended(user);
    }
    redrive_reader_end_pass(l);
}

/* Out of range: the retention took what stood there. The pass reads what is left. */
static void redrive_reader_on_failed(void *arg, const char *topic, enum consumer_fault fault,
                                     const char *reason) {
    (void)topic;
    struct redrive_reader *l = arg;
    int64_t held_back;
    if (fault == CONSUMER_OUT_OF_RANGE) {
        if (l->reading)
            redrive_reader_assign(l, KAFKA_BEGINNING);
    } else if (log_limit_pass(&l->failures, clock_ms(), FAILURE_LOG_PERIOD_MS, &held_back)) {
        log_warn("dead_letters_not_read", LOG_S("topic", l->dispatcher->dlq_topic),
                 LOG_S("reason", reason), LOG_N("held_back", held_back));
    }
}

static void redrive_reader_on_drained(void *arg) {
    struct redrive_reader *l = arg;
    if (l->reading)
        redrive_reader_assign(l, l->at + 1);
}

/* --- its users */

void redrive_reader_ask(struct redrive_reader *l, struct redrive_reader_user *user) {
    if (user->waits)
        return;
    user->waits = true;
    DL_APPEND(l->waiting, user);
    if (l->reading)
        redrive_reader_join_pass(l, user);
    else
        loop_timer_set(l->dispatcher->service.loop, &l->turn, clock_ms());
}

size_t redrive_reader_share_bytes(const struct redrive_reader *l) {
    size_t share = ALL_BYTES / (l->users ? l->users : 1);
    return share < SHARE_BYTES_MAX ? share : SHARE_BYTES_MAX;
}

static struct redrive_reader *redrive_reader_new(struct dispatcher *d, struct error *err) {
    struct redrive_reader *l = mem_zero(sizeof *l);
    l->dispatcher = d;
    const struct consumer_options options = {.kafka = &d->service.settings.kafka,
                                             .fetch_wait_ms = FETCH_WAIT_MS,
                                             .queue_kib = QUEUE_KIB,
                                             .record = redrive_reader_on_record,
                                             .end = redrive_reader_on_end,
                                             .failed = redrive_reader_on_failed,
                                             .drained = redrive_reader_on_drained,
                                             .arg = l};
    loop_timer_init(&l->turn, redrive_reader_on_turn, l);
    l->consumer = consumer_new(d->service.loop, &options, err);
    if (l->consumer)
        return l;
    free(l);
    return NULL;
}

struct redrive_reader *redrive_reader_join(struct dispatcher *d, struct error *err) {
    if (!d->redrive_reader)
        d->redrive_reader = redrive_reader_new(d, err);
    if (d->redrive_reader)
        d->redrive_reader->users++;
    return d->redrive_reader;
}

void redrive_reader_leave(struct redrive_reader *l, struct redrive_reader_user *user) {
    if (user->waits)
        redrive_reader_drop(l, user);
    if (--l->users)
        return; /* a pass that only this one wanted ends with its next record */
    loop_timer_clear(l->dispatcher->service.loop, &l->turn);
    l->dispatcher->redrive_reader = NULL;
    consumer_free(l->consumer);
    free(l);
}
