/* The reader of dead letters; see letters.h. A pass reads one partition from where its first user
 * stands, until nobody wants more of it or others have waited for long enough. */
#include "dispatcher/subscriber/letters.h"

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

struct letters {
    struct dispatcher *dispatcher;
    struct consumer *consumer;
    struct letters_user *waiting; /* in their order */
    size_t users;
    bool reading;
    int32_t partition; /* of the pass */
    int64_t at, count; /* the newest record it has read, and how many */
    struct loop_timer turn;
    struct log_limit failures;
};

/* --- a pass */

static void letters_assign(struct letters *l, int64_t offset) {
    struct error err;
    l->reading = consumer_assign(l->consumer, l->dispatcher->dlq_topic, l->partition, offset,
                                 &err) == 0;
    if (!l->reading)
        loop_timer_set(l->dispatcher->service.loop, &l->turn, clock_ms() + FAILURE_LOG_PERIOD_MS);
}

static void letters_join_pass(const struct letters *l, struct letters_user *user) {
    user->in_pass = user->partition == l->partition && user->read >= l->at;
}

static void letters_on_turn(void *arg) {
    struct letters *l = arg;
    struct letters_user *user;
    if (l->reading || !l->waiting)
        return;
    l->partition = l->waiting->partition;
    l->at = l->waiting->read;
    l->count = 0;
    DL_FOREACH(l->waiting, user) {
        letters_join_pass(l, user);
    }
    letters_assign(l, l->at + 1);
}

static void letters_end_pass(struct letters *l) {
    struct letters_user *user;
    consumer_unassign(l->consumer);
    l->reading = false;
    DL_FOREACH(l->waiting, user) {
        user->in_pass = false;
    }
    loop_timer_set(l->dispatcher->service.loop, &l->turn, clock_ms());
}

static void letters_drop(struct letters *l, struct letters_user *user) {
    DL_DELETE(l->waiting, user);
    user->waits = user->in_pass = false;
}

static bool letters_wanted(const struct letters *l) {
    const struct letters_user *user;
    DL_FOREACH(l->waiting, user) {
        if (user->in_pass)
            return true;
    }
    return false;
}

/* The others have their turn; those of this pass come behind them. */
static void letters_rotate(struct letters *l) {
    struct letters_user *user, *next, *moved = NULL;
    DL_FOREACH_SAFE(l->waiting, user, next) {
        if (!user->in_pass)
            continue;
        DL_DELETE(l->waiting, user);
        DL_APPEND(moved, user);
    }
    DL_CONCAT(l->waiting, moved);
}

static void letters_on_record(void *arg, const struct kafka_record *found) {
    struct letters *l = arg;
    struct letters_user *user, *next;
    const struct letters_record record = {
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
            letters_drop(l, user);
    }
    if (l->count >= PASS_RECORDS)
        letters_rotate(l);
    if (l->count >= PASS_RECORDS || !letters_wanted(l))
        letters_end_pass(l);
}

static void letters_on_end(void *arg, const char *topic, int32_t partition, int64_t offset) {
    struct letters *l = arg;
    struct letters_user *user, *next;
    (void)topic, (void)offset;
    if (!l->reading || partition != l->partition)
        return;
    DL_FOREACH_SAFE(l->waiting, user, next) {
        if (!user->in_pass)
            continue;
        letters_drop(l, user);
        user->ended(user);
    }
    letters_end_pass(l);
}

/* Out of range: the retention took what stood there. The pass reads what is left. */
static void letters_on_failed(void *arg, const char *topic, enum consumer_fault fault,
                              const char *reason) {
    (void)topic;
    struct letters *l = arg;
    int64_t held_back;
    if (fault == CONSUMER_OUT_OF_RANGE) {
        if (l->reading)
            letters_assign(l, KAFKA_BEGINNING);
    } else if (log_limit_pass(&l->failures, clock_ms(), FAILURE_LOG_PERIOD_MS, &held_back)) {
        log_warn("dead_letters_not_read", LOG_S("topic", l->dispatcher->dlq_topic),
                 LOG_S("reason", reason), LOG_N("held_back", held_back));
    }
}

static void letters_on_drained(void *arg) {
    struct letters *l = arg;
    if (l->reading)
        letters_assign(l, l->at + 1);
}

/* --- its users */

void letters_ask(struct letters *l, struct letters_user *user) {
    if (user->waits)
        return;
    user->waits = true;
    DL_APPEND(l->waiting, user);
    if (l->reading)
        letters_join_pass(l, user);
    else
        loop_timer_set(l->dispatcher->service.loop, &l->turn, clock_ms());
}

size_t letters_share_bytes(const struct letters *l) {
    size_t share = ALL_BYTES / (l->users ? l->users : 1);
    return share < SHARE_BYTES_MAX ? share : SHARE_BYTES_MAX;
}

static struct letters *letters_new(struct dispatcher *d, struct error *err) {
    struct letters *l = mem_zero(sizeof *l);
    l->dispatcher = d;
    const struct consumer_options options = {.kafka = &d->service.settings.kafka,
                                             .fetch_wait_ms = FETCH_WAIT_MS,
                                             .queue_kib = QUEUE_KIB,
                                             .record = letters_on_record,
                                             .end = letters_on_end,
                                             .failed = letters_on_failed,
                                             .drained = letters_on_drained,
                                             .arg = l};
    loop_timer_init(&l->turn, letters_on_turn, l);
    l->consumer = consumer_new(d->service.loop, &options, err);
    if (l->consumer)
        return l;
    free(l);
    return NULL;
}

struct letters *letters_join(struct dispatcher *d, struct error *err) {
    if (!d->letters)
        d->letters = letters_new(d, err);
    if (d->letters)
        d->letters->users++;
    return d->letters;
}

void letters_leave(struct letters *l, struct letters_user *user) {
    if (user->waits)
        letters_drop(l, user);
    if (--l->users)
        return; /* a pass that only this one wanted ends with its next record */
    loop_timer_clear(l->dispatcher->service.loop, &l->turn);
    l->dispatcher->letters = NULL;
    consumer_free(l->consumer);
    free(l);
}
