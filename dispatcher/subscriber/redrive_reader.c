/* The reader of dead letters; see redrive_reader.h. A pass reads one partition from the first
 * user's offset on, until no user wants more or other users have waited long enough. */
#include "dispatcher/subscriber/redrive_reader.h"

#include <stdlib.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/kafka/consumer.h"
#include "dispatcher/dispatcher.h"

enum {
    PASS_RECORDS = 20000,
    FETCH_WAIT_MS = 10, /* a new pass waits for a fetch parked at a partition's end */
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
    int64_t at, count; /* offset of the newest record read, and the number read */
    struct loop_timer turn;
    struct log_limit failures;
};

/* --- a pass */

static void redrive_reader_assign(struct redrive_reader *r, int64_t offset) {
    struct error err;
    r->reading = consumer_assign(r->consumer, r->dispatcher->dlq_topic, r->partition, offset,
                                 &err) == 0;
    if (!r->reading)
        loop_timer_set(r->dispatcher->service.loop, &r->turn, clock_ms() + FAILURE_LOG_PERIOD_MS);
}

static void redrive_reader_join_pass(const struct redrive_reader *r,
                                     struct redrive_reader_user *user) {
    user->in_pass = user->partition == r->partition && user->read >= r->at;
}

static void redrive_reader_on_turn(void *arg) {
    struct redrive_reader *r = arg;
    struct redrive_reader_user *user;
    if (r->reading || !r->waiting)
        return;
    r->partition = r->waiting->partition;
    r->at = r->waiting->read;
    r->count = 0;
    DL_FOREACH(r->waiting, user) {
        redrive_reader_join_pass(r, user);
    }
    redrive_reader_assign(r, r->at + 1);
}

static void redrive_reader_end_pass(struct redrive_reader *r) {
    struct redrive_reader_user *user;
    consumer_unassign(r->consumer);
    r->reading = false;
    DL_FOREACH(r->waiting, user) {
        user->in_pass = false;
    }
    loop_timer_set(r->dispatcher->service.loop, &r->turn, clock_ms());
}

static void redrive_reader_drop(struct redrive_reader *r, struct redrive_reader_user *user) {
    DL_DELETE(r->waiting, user);
    user->waits = user->in_pass = false;
}

static bool redrive_reader_wanted(const struct redrive_reader *r) {
    const struct redrive_reader_user *user;
    DL_FOREACH(r->waiting, user) {
        if (user->in_pass)
            return true;
    }
    return false;
}

/* Gives the other users a turn; users of this pass queue up behind. */
static void redrive_reader_rotate(struct redrive_reader *r) {
    struct redrive_reader_user *user, *next, *moved = NULL;
    DL_FOREACH_SAFE(r->waiting, user, next) {
        if (!user->in_pass)
            continue;
        DL_DELETE(r->waiting, user);
        DL_APPEND(moved, user);
    }
    DL_CONCAT(r->waiting, moved);
}

static void redrive_reader_on_record(void *arg, const struct kafka_record *found) {
    struct redrive_reader *r = arg;
    struct redrive_reader_user *user, *next;
    const struct redrive_reader_record record = {
        .offset = found->offset, .key = found->key, .value = found->value};
    if (!r->reading || found->offset <= r->at)
        return;
    r->at = found->offset;
    r->count++;
    DL_FOREACH_SAFE(r->waiting, user, next) {
        if (!user->in_pass || user->read >= found->offset)
            continue;
        user->read = found->offset;
        if (!user->take(user, &record))
            redrive_reader_drop(r, user);
    }
    if (r->count >= PASS_RECORDS)
        redrive_reader_rotate(r);
    if (r->count >= PASS_RECORDS || !redrive_reader_wanted(r))
        redrive_reader_end_pass(r);
}

static void redrive_reader_on_end(void *arg, const char *topic, int32_t partition, int64_t offset) {
    struct redrive_reader *r = arg;
    struct redrive_reader_user *user, *next;
    (void)topic, (void)offset;
    if (!r->reading || partition != r->partition)
        return;
    DL_FOREACH_SAFE(r->waiting, user, next) {
        if (!user->in_pass)
            continue;
        redrive_reader_drop(r, user);
        user->ended(user);
    }
    redrive_reader_end_pass(r);
}

/* Out of range: retention took the records. The pass reads what is left. */
static void redrive_reader_on_failed(void *arg, const char *topic, enum consumer_fault fault,
                                     const char *reason) {
    (void)topic;
    struct redrive_reader *r = arg;
    int64_t held_back;
    if (fault == CONSUMER_OUT_OF_RANGE) {
        if (r->reading)
            redrive_reader_assign(r, KAFKA_BEGINNING);
    } else if (log_limit_pass(&r->failures, clock_ms(), FAILURE_LOG_PERIOD_MS, &held_back)) {
        log_warn("dead_letters_not_read", LOG_S("topic", r->dispatcher->dlq_topic),
                 LOG_S("reason", reason), LOG_N("held_back", held_back));
    }
}

static void redrive_reader_on_drained(void *arg) {
    struct redrive_reader *r = arg;
    if (r->reading)
        redrive_reader_assign(r, r->at + 1);
}

/* --- users */

void redrive_reader_ask(struct redrive_reader *r, struct redrive_reader_user *user) {
    if (user->waits)
        return;
    user->waits = true;
    DL_APPEND(r->waiting, user);
    if (r->reading)
        redrive_reader_join_pass(r, user);
    else
        loop_timer_set(r->dispatcher->service.loop, &r->turn, clock_ms());
}

size_t redrive_reader_share_bytes(const struct redrive_reader *r) {
    size_t share = ALL_BYTES / (r->users ? r->users : 1);
    return share < SHARE_BYTES_MAX ? share : SHARE_BYTES_MAX;
}

static struct redrive_reader *redrive_reader_new(struct dispatcher *d, struct error *err) {
    struct redrive_reader *r = mem_zero(sizeof *r);
    r->dispatcher = d;
    const struct consumer_options options = {.kafka = &d->service.settings.kafka,
                                             .fetch_wait_ms = FETCH_WAIT_MS,
                                             .queue_kib = QUEUE_KIB,
                                             .record = redrive_reader_on_record,
                                             .end = redrive_reader_on_end,
                                             .failed = redrive_reader_on_failed,
                                             .drained = redrive_reader_on_drained,
                                             .arg = r};
    loop_timer_init(&r->turn, redrive_reader_on_turn, r);
    r->consumer = consumer_new(d->service.loop, &options, err);
    if (r->consumer)
        return r;
    free(r);
    return NULL;
}

struct redrive_reader *redrive_reader_join(struct dispatcher *d, struct error *err) {
    if (!d->redrive_reader)
        d->redrive_reader = redrive_reader_new(d, err);
    if (d->redrive_reader)
        d->redrive_reader->users++;
    return d->redrive_reader;
}

void redrive_reader_leave(struct redrive_reader *r, struct redrive_reader_user *user) {
    if (user->waits)
        redrive_reader_drop(r, user);
    if (--r->users)
        return; /* a pass wanted only by this user ends with the next record */
    loop_timer_clear(r->dispatcher->service.loop, &r->turn);
    r->dispatcher->redrive_reader = NULL;
    consumer_free(r->consumer);
    free(r);
}
