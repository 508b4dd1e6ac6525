/* From nothing to ready; see startup.h. */
#include "dispatcher/startup.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/crypto/seal.h"
#include "common/feed/begin.h"
#include "common/kafka/table.h"
#include "common/model/subscriber.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/ownership/log_check.h"
#include "dispatcher/ownership/partitions.h"
#include "dispatcher/subscriber/lag_monitor.h"
#include "dispatcher/subscriber/subscriber.h"
#include "dispatcher/subscriber/subscribers.h"

enum {
    KEY_AGAIN_MS = 300,
    WRITE_MS = 2000,
    WRITE_LOOK_MS = 20,
    CROWDED_PERIOD_MS = 10 * 60 * 1000
};

static struct feed_begin *begin;
static struct table *check;    /* while it is read, */
static struct buf check_value; /* and its newest record so far */
static struct loop_timer key_timer, checked_timer;
static bool said_no_key;

static void on_appended(void *arg, const struct feed_event *event) {
    subscribers_appended(arg, event);
}

static void on_broken(void *arg, const char *reason) { dispatcher_start_over(arg, reason); }

static void on_trouble(void *arg, const char *reason) {
    struct dispatcher *d = arg;
    if (reason)
        log_warn("log_not_read", LOG_S("reason", reason));
    else
        log_info("log_read_again");
    for (struct subscriber *s = subscribers_first(d->subscribers); s; s = s->hh.next)
        if (s->running)
            checkpoint_soon(&s->checkpoint); /* its lag is another now */
}

static void on_crowded(void *arg, size_t readers) {
    struct dispatcher *d = arg;
    int64_t held_back;
    if (log_limit_pass(&d->crowded_warning, clock_ms(), CROWDED_PERIOD_MS, &held_back))
        log_warn("feed_cache_small", LOG_N("readers", (int64_t)readers),
                 LOG_N("feed_cache", d->settings.feed_cache),
                 LOG_S("reason", "most of what is read from Kafka has to make room before it is "
                                 "used: raise feed.cache"));
}

static void on_foreign(void *arg, int64_t cursor) {
    struct dispatcher *d = arg;
    if (d->foreign_records++ == 0)
        log_warn("foreign_record", LOG_N("offset", cursor),
                 LOG_S("reason", "not written by ESS; skipped"));
}

/* --- what the partitions ask of their subscribers and of the process */

static void startup_on_record(void *arg, const struct table_record *record) {
    const struct dispatcher *d = arg;
    subscribers_read(d->subscribers, record);
}
static void startup_on_start(void *arg, int32_t partition) {
    const struct dispatcher *d = arg;
    subscribers_start(d->subscribers, partition);
}
static void startup_on_resume(void *arg, int32_t partition, bool rewrite) {
    const struct dispatcher *d = arg;
    subscribers_resume(d->subscribers, partition, rewrite);
}
static void startup_on_forget(void *arg, int32_t partition) {
    const struct dispatcher *d = arg;
    subscribers_forget(d->subscribers, partition);
}
static void startup_on_close(void *arg) {
    const struct dispatcher *d = arg;
    subscribers_close(d->subscribers);
}
static void startup_on_write(void *arg) {
    const struct dispatcher *d = arg;
    subscribers_write(d->subscribers);
}
static void startup_on_stop(void *arg) {
    const struct dispatcher *d = arg;
    subscribers_stop(d->subscribers);
}
static void startup_on_look(void *arg, struct ownership_view *view) {
    const struct dispatcher *d = arg;
    view->in_flight = d->capacity.in_flight + d->dead_letters_pending;
    view->unwritten = d->checkpoints.pending;
}
static void startup_on_settled(void *arg, int32_t owned, int64_t after_ms) {
    const struct dispatcher *d = arg;
    log_info("ready", LOG_S("feed", d->genesis.feed), LOG_N("end", feed_end(d->feed)),
             LOG_N("partitions", owned), LOG_N("subscribers", subscribers_count(d->subscribers)),
             LOG_N("after_ms", after_ms));
}
static uint64_t startup_random(void *arg) { return dispatcher_random(arg); }
static void startup_on_refused(void *arg, const char *event, const char *reason) {
    dispatcher_refuse(arg, event, reason);
}

static struct partitions *join(struct dispatcher *d, struct error *err) {
    const struct partitions_options options = {.loop = d->loop,
                                               .kafka = &d->settings.kafka,
                                               .producer = d->producer,
                                               .group = d->group,
                                               .subscribers_topic = d->subscribers_topic,
                                               .tokens_topic = d->tokens_topic,
                                               .owner = {.read = startup_on_record,
                                                         .start = startup_on_start,
                                                         .resume = startup_on_resume,
                                                         .forget = startup_on_forget,
                                                         .close = startup_on_close,
                                                         .write = startup_on_write,
                                                         .stop = startup_on_stop,
                                                         .look = startup_on_look,
                                                         .settled = startup_on_settled,
                                                         .random = startup_random,
                                                         .start_over = on_broken,
                                                         .refuse = startup_on_refused},
                                               .arg = d};
    return partitions_new(&options, err);
}

/* What is pending, and why the newest one failed, outlives a start-over. */
static void begin_checkpoints(struct dispatcher *d) {
    struct checkpoints *all = &d->checkpoints;
    all->loop = d->loop;
    all->producer = d->producer;
    all->partitions = d->partitions;
    all->topic = d->tokens_topic;
    all->hold_after_ms = d->settings.dispatcher.hold_after_ms;
    all->random = &d->random;
}

static int open_subscribers(struct dispatcher *d, struct error *err) {
    const struct log_check_options options = {.loop = d->loop,
                                              .offsets = d->offsets,
                                              .topic = d->events_topic,
                                              .feed = d->feed,
                                              .feed_id = d->genesis.feed};
    d->log_check = log_check_new(&options);
    d->lag_monitor = lag_monitor_new(d->loop, d->feed, d->settings.kafka.replay_window_ms);
    d->subscribers = subscribers_new(d);
    if (!d->partitions)
        d->partitions = join(d, err);
    begin_checkpoints(d);
    return d->partitions ? partitions_open(d->partitions, d->genesis.subscriber_partitions, err)
                         : -1;
}

static void open_log(struct dispatcher *d) {
    struct error err;
    const struct feed_options options = {.kafka = &d->settings.kafka,
                                         .offsets = d->offsets,
                                         .feed_id = d->genesis.feed,
                                         .start = d->genesis.end,
                                         .end = d->genesis.end,
                                         .cache_bytes = d->settings.feed_cache,
                                         .appended = on_appended,
                                         .broken = on_broken,
                                         .trouble = on_trouble,
                                         .crowded = on_crowded,
                                         .foreign = on_foreign,
                                         .arg = d};
    d->feed = feed_new(d->loop, &options, &err);
    if (!d->feed || open_subscribers(d, &err))
        dispatcher_refuse(d, "kafka_handle", err.message);
}

/* --- does the key fit what is in Kafka? The sealed check record is in partition 0, whoever that
 * may be assigned to. */

static void on_check_record(void *arg, const struct table_record *record) {
    char id[SPEC_ID_BYTES_MAX + 1];
    (void)arg;
    if (subscriber_key_parse(record->key, id) != SUBSCRIBER_KEY_CHECK)
        return;
    buf_clear(&check_value); /* an older one may be sealed by a key that is no longer needed */
    if (record->value.data)
        buf_append(&check_value, record->value.data, record->value.len);
}

static void on_check_trouble(void *arg, const char *reason) {
    (void)arg;
    if (reason)
        log_warn("subscribers_not_read", LOG_S("reason", reason));
}

static void on_checked(void *arg) {
    struct dispatcher *d = arg;
    struct error err;
    if (subscribers_check_key(d, (struct span){check_value.data, check_value.len}, &err))
        dispatcher_refuse(d, "bad_key_file", err.message);
    buf_fini(&check_value);
    loop_timer_set(d->loop, &checked_timer,
                   clock_ms()); /* a table cannot be freed from its own callback */
}

static void go_on(void *arg) {
    struct dispatcher *d = arg;
    table_free(check);
    check = NULL;
    if (!d->stopping)
        open_log(d);
}

static void read_check(struct dispatcher *d) {
    static const char *topics[2];
    struct error err;
    topics[0] = d->subscribers_topic;
    const struct table_options options = {.kafka = &d->settings.kafka,
                                          .topics = topics,
                                          .partitions = 1,
                                          .record = on_check_record,
                                          .loaded = on_checked,
                                          .trouble = on_check_trouble,
                                          .failed = on_broken,
                                          .arg = d};
    check = table_new(d->loop, &options, &err);
    if (!check)
        dispatcher_refuse(d, "kafka_handle", err.message);
}

/* Ingest makes the key file; until it is there nothing can be signed. */
static void load_key(void *arg) {
    struct dispatcher *d = arg;
    struct error err;
    bool missing = false;
    keyring_free(d->keyring);
    d->keyring = keyring_load(d->settings.secrets_key_file, &missing, &err);
    if (d->keyring) {
        read_check(d);
    } else if (missing) {
        if (!said_no_key)
            log_warn("waiting_for_key_file", LOG_S("file", d->settings.secrets_key_file),
                     LOG_S("reason", "it does not exist; ess-ingest makes it"));
        said_no_key = true;
        loop_timer_set(d->loop, &key_timer, clock_ms() + KEY_AGAIN_MS);
    } else {
        dispatcher_refuse(d, "bad_key_file", err.message);
    }
}

static void on_waiting(void *arg, const char *reason) {
    struct dispatcher *d = arg;
    snprintf(d->waiting_for, sizeof d->waiting_for, "%s", reason);
    log_warn("waiting_for_kafka", LOG_S("brokers", d->settings.kafka.brokers),
             LOG_S("reason", reason));
}

static void on_warning(void *arg, const char *reason) {
    (void)arg, (void)reason;
} /* ess-ingest says it */

static void on_refused(void *arg, const char *reason) {
    dispatcher_refuse(arg, "bad_topic", reason);
}

static void on_ready(void *arg, const struct genesis *genesis) {
    struct dispatcher *d = arg;
    d->genesis = *genesis;
    *d->waiting_for = 0;
    load_key(d);
}

/* Tokens say of which log they are: what they are to say of this one is in Kafka, if it can be,
 * before another is read. */
static void startup_on_restart(void *arg) {
    struct dispatcher *d = arg;
    int64_t now_ms = clock_ms();
    if (d->stopping)
        return;
    if (!d->starting_over && d->subscribers) {
        subscribers_close(d->subscribers);
        subscribers_write(d->subscribers);
        d->write_until_ms = now_ms + WRITE_MS;
    }
    d->starting_over = true;
    if (d->checkpoints.pending && now_ms < d->write_until_ms) {
        loop_timer_set(d->loop, &d->restart_due, now_ms + WRITE_LOOK_MS);
        return;
    }
    startup_undo(d);
    if (now_ms < d->restarts.until_ms) {
        loop_timer_set(d->loop, &d->restart_due, d->restarts.until_ms);
        return;
    }
    d->starting_over = false;
    startup_begin(d);
}

void startup_begin(struct dispatcher *d) {
    const struct feed_begin_options options = {.kafka = &d->settings.kafka,
                                               .waiting = on_waiting,
                                               .warning = on_warning,
                                               .refused = on_refused,
                                               .ready = on_ready,
                                               .arg = d};
    loop_timer_init(&d->restart_due, startup_on_restart, d);
    loop_timer_init(&key_timer, load_key, d);
    loop_timer_init(&checked_timer, go_on, d);
    begin = feed_begin_new(d->loop, &options);
}

void startup_undo(struct dispatcher *d) {
    feed_begin_free(begin);
    begin = NULL;
    loop_timer_clear(d->loop, &key_timer);
    loop_timer_clear(d->loop, &checked_timer);
    table_free(check);
    check = NULL;
    partitions_close(d->partitions);
    subscribers_free(d->subscribers);
    d->subscribers = NULL;
    lag_monitor_free(d->lag_monitor);
    d->lag_monitor = NULL;
    log_check_free(d->log_check);
    d->log_check = NULL;
    feed_free(d->feed);
    d->feed = NULL;
}

const char *startup_trouble(void) { return check ? table_trouble(check) : NULL; }
