/* From nothing to ready; see startup.h. What blocks (topics, genesis) runs as a task; while no broker answers it is tried
 * again and said once. */
#include "ingest/startup.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/model/seal.h"
#include "ingest/folder.h"
#include "ingest/ingest.h"
#include "ingest/registry.h"
#include "ingest/replay.h"

enum { RETRY_MS = 500 };

struct attempt {
    struct ingest *ingest;
    enum topics_state state;
    struct genesis genesis;
    struct buf warnings;
    struct error err;
};

static struct loop_timer retry_timer;
static bool said_waiting;

static void prepare_topics(void *arg) {
    struct attempt *a = arg;
    const struct kafka_config *kafka = &a->ingest->settings.kafka;
    a->state = topics_ensure(kafka, true, &a->warnings, &a->err);
    if (a->state == TOPICS_READY)
        a->state = genesis_ensure(kafka, true, &a->genesis, &a->err);
}

static void log_warnings(const char *lines) {
    for (const char *end; *lines; lines = end + 1) {
        char line[512];
        end = strchr(lines, '\n');
        snprintf(line, sizeof line, "%.*s", (int)(end - lines), lines);
        log_warn("topic_differs", LOG_S("reason", line));
    }
}

static void on_advanced(void *arg, int64_t end) {
    (void)end;
    replay_wake(arg);
}

static void on_broken(void *arg, const char *reason) { ingest_start_over(arg, reason); }

static void on_foreign(void *arg, int64_t cursor) {
    struct ingest *ingest = arg;
    if (ingest->foreign_records++ == 0)
        log_warn("foreign_record", LOG_S("topic", ingest->events_topic), LOG_N("offset", cursor), LOG_S("reason", "not written by ESS; skipped"));
}

/* The registry is loaded. Does the key file open what was sealed? */
static int check_key(struct ingest *ingest, bool *old_key, struct error *err) {
    struct span check = registry_check(ingest->registry);
    const char *path = ingest->settings.secrets_key_file;
    char id[16];
    if (!check.data && !ingest->keyring) {
        if (keyring_create(path, err) || !(ingest->keyring = keyring_load(path, NULL, err)))
            return -1;
        log_info("key_file_made", LOG_S("file", path), LOG_S("key", keyring_id(ingest->keyring)));
    }
    if (!check.data)
        return 0;
    subscriber_check_key_id(check, id);
    if (!ingest->keyring)
        return error_set(err, "%s does not exist, but secrets in Kafka are sealed with key %s: put that key file back", path, id);
    if (subscriber_check_from_json(check, ingest->keyring, old_key, err))
        return error_prefix(err, "%s does not fit the secrets in Kafka (sealed with key %s): ", path, id);
    return 0;
}

static void on_registry_loaded(struct ingest *ingest) {
    struct error err;
    bool old_key = false;
    if (check_key(ingest, &old_key, &err)) {
        ingest_refuse(ingest, "bad_key_file", err.message);
        return;
    }
    if (!registry_check(ingest->registry).data || old_key)
        registry_write_check(ingest->registry);
    registry_reseal(ingest->registry);
    ingest->folder = folder_new(ingest);
    log_info("ready", LOG_S("feed", ingest->genesis.feed), LOG_N("end", ingest_end(ingest)));
}

static int load_keyring(struct ingest *ingest, struct error *err) {
    bool missing = false;
    keyring_free(ingest->keyring);
    ingest->keyring = keyring_load(ingest->settings.secrets_key_file, &missing, err);
    return ingest->keyring || missing ? 0 : -1;
}

static void open_log(struct ingest *ingest) {
    struct error err;
    const struct feed_options options = {.kafka = &ingest->settings.kafka,
                                         .feed_id = ingest->genesis.feed,
                                         .start = ingest->genesis.end,
                                         .cache_bytes = ingest->settings.feed_cache,
                                         .advanced = on_advanced,
                                         .broken = on_broken,
                                         .foreign = on_foreign,
                                         .arg = ingest};
    producer_warm(ingest->producer, ingest->events_topic);
    producer_warm(ingest->producer, ingest->subscribers_topic);
    if (load_keyring(ingest, &err)) {
        ingest_refuse(ingest, "bad_key_file", err.message);
        return;
    }
    ingest->feed = feed_new(ingest->loop, &options, &err);
    if (ingest->feed)
        ingest->registry = registry_new(ingest, on_registry_loaded, &err);
    if (!ingest->registry)
        ingest_refuse(ingest, "kafka_handle", err.message);
}

static void on_attempt(void *arg) {
    struct attempt *a = arg;
    struct ingest *ingest = a->ingest;
    if (ingest->stopping) {
        /* nothing more is begun */
    } else if (a->state == TOPICS_AWAY) {
        if (!said_waiting)
            log_warn("waiting_for_kafka", LOG_S("brokers", ingest->settings.kafka.brokers), LOG_S("reason", a->err.message));
        said_waiting = true;
        loop_timer_set(ingest->loop, &retry_timer, clock_ms() + RETRY_MS);
    } else if (a->state == TOPICS_REFUSED) {
        ingest_refuse(ingest, "bad_topic", a->err.message);
    } else {
        said_waiting = false;
        log_warnings(buf_string(&a->warnings));
        ingest->genesis = a->genesis;
        open_log(ingest);
    }
    buf_fini(&a->warnings);
    free(a);
}

static void try_again(void *arg) {
    struct ingest *ingest = arg;
    struct attempt *a = mem_zero(sizeof *a);
    a->ingest = ingest;
    loop_task(ingest->loop, prepare_topics, on_attempt, a);
}

void startup_begin(struct ingest *ingest) {
    loop_timer_init(&retry_timer, try_again, ingest);
    try_again(ingest);
}

void startup_undo(struct ingest *ingest) {
    loop_timer_clear(ingest->loop, &retry_timer);
    replay_end_all();
    folder_free(ingest->folder);
    registry_free(ingest->registry);
    feed_free(ingest->feed);
    ingest->folder = NULL;
    ingest->registry = NULL;
    ingest->feed = NULL;
    ingest->acknowledged = 0;
}
