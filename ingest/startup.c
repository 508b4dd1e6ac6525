/* From nothing to ready; see startup.h. The order is: topics and genesis, then the tail and the
 * subscribers' records, then the key that opens them, then the files. */
#include "ingest/startup.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/crypto/seal.h"
#include "common/feed/begin.h"
#include "ingest/folder/folder.h"
#include "ingest/ingest.h"
#include "ingest/publish/dedupe.h"
#include "ingest/publish/publish.h"
#include "ingest/read/http_reader.h"
#include "ingest/read/parked_readers.h"
#include "ingest/registry/registry.h"
#include "ingest/registry/registry_writer.h"
#include "ingest/registry/reservations.h"

enum { RECORD_REST_BYTES_MAX = 4096 }; /* of an event's record: all but its data */

enum { CROWDED_PERIOD_MS = 10 * 60 * 1000 };

static struct feed_begin *begin;
static int64_t began_ms; /* when the log was opened */

static void warn_newer(struct ingest *ingest, int64_t cursor) {
    if (ingest->newer_events++ == 0)
        log_warn("newer_event", LOG_N("cursor", cursor),
                 LOG_S("reason", "written by a later version of ESS: upgrade this ess-ingest"));
}

static void on_appended(void *arg, const struct feed_event *event) {
    struct ingest *ingest = arg;
    if (event->newer)
        warn_newer(ingest, event->cursor);
    else
        publisher_appended(ingest->publisher, event);
    parked_readers_appended(ingest->parked_readers, event);
}

static void tell_ready(const struct ingest *ingest) {
    if (ingest->ids_read && ingest->folder)
        log_info("ready", LOG_S("feed", ingest->genesis.feed), LOG_N("end", ingest_end(ingest)));
}

static void note_ids_read(struct ingest *ingest) {
    if (ingest->ids_read || feed_end(ingest->feed) < ingest->genesis.end)
        return;
    ingest->ids_read = true;
    log_info("ids_read", LOG_N("ids", publisher_ids(ingest->publisher)),
             LOG_N("took_ms", clock_ms() - began_ms));
    tell_ready(ingest);
}

static void on_advanced(void *arg, int64_t end) {
    struct ingest *ingest = arg;
    (void)end;
    note_ids_read(ingest);
    http_readers_advanced(ingest);
}

static void on_broken(void *arg, const char *reason) { ingest_start_over(arg, reason); }

static void on_trouble(void *arg, const char *reason) {
    (void)arg;
    if (reason)
        log_warn("log_not_read", LOG_S("reason", reason));
    else
        log_info("log_read_again");
}

static void on_crowded(void *arg, size_t readers) {
    struct ingest *ingest = arg;
    int64_t held_back;
    if (log_limit_pass(&ingest->crowded_warning, clock_ms(), CROWDED_PERIOD_MS, &held_back))
        log_warn("feed_cache_small", LOG_N("readers", (int64_t)readers),
                 LOG_N("feed_cache", ingest->settings.feed_cache),
                 LOG_S("reason", "most of what is read from Kafka has to make room before it is "
                                 "used: raise feed.cache"));
}

static void on_foreign(void *arg, int64_t cursor) {
    struct ingest *ingest = arg;
    if (ingest->foreign_records++ == 0)
        log_warn("foreign_record", LOG_S("topic", ingest->events_topic), LOG_N("offset", cursor),
                 LOG_S("reason", "not written by ESS, or for another feed; skipped"));
}

/* There was no key file: one is made where nothing is sealed yet. Of ingests that start at once,
 * one makes it and the others take it. */
static int make_key(struct ingest *ingest, bool wanted, struct error *err) {
    struct error reading;
    const char *path = ingest->settings.secrets_key_file;
    bool missing = false, made = wanted && keyring_create(path, err) == 0;
    ingest->keyring = keyring_load(path, &missing, &reading);
    if (ingest->keyring && made)
        log_info("key_file_made", LOG_S("file", path), LOG_S("key", keyring_id(ingest->keyring)));
    if (!ingest->keyring && !missing)
        *err = reading;
    return ingest->keyring || (missing && !wanted) ? 0 : -1;
}

/* The registry is loaded. Does the key file open what was sealed? */
static int check_key(struct ingest *ingest, bool *old_key, struct error *err) {
    struct span check = registry_check(ingest->registry);
    const char *path = ingest->settings.secrets_key_file;
    char id[16];
    if (!ingest->keyring && make_key(ingest, !check.data, err))
        return -1;
    if (!check.data)
        return 0;
    subscriber_check_key_id(check, id);
    if (!ingest->keyring)
        return error_set(err,
                         "%s does not exist, but secrets in Kafka are sealed with key %s: put that "
                         "key file back",
                         path, id);
    if (subscriber_check_from_json(check, ingest->keyring, old_key, err))
        return error_prefix(
            err, "%s does not fit the secrets in Kafka (sealed with key %s): ", path, id);
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
        registry_writer_write_check(ingest);
    registry_writer_tidy(ingest);
    reservations_tidy(ingest);
    ingest->folder = folder_new(ingest);
    tell_ready(ingest);
}

static int load_keyring(struct ingest *ingest, struct error *err) {
    bool missing = false;
    keyring_free(ingest->keyring);
    ingest->keyring = keyring_load(ingest->settings.secrets_key_file, &missing, err);
    return ingest->keyring || missing ? 0 : -1;
}

static void open_log(struct ingest *ingest) {
    struct error err;
    int64_t newest_ids = ingest->genesis.end - DEDUPE_IDS_MAX, recent = ingest->genesis.recent;
    const struct feed_options options = {.kafka = &ingest->settings.kafka,
                                         .offsets = ingest->offsets,
                                         .feed_id = ingest->genesis.feed,
                                         .start = newest_ids > recent ? newest_ids : recent,
                                         .end = ingest->genesis.end,
                                         .cache_bytes = ingest->settings.feed_cache,
                                         .appended = on_appended,
                                         .advanced = on_advanced,
                                         .broken = on_broken,
                                         .trouble = on_trouble,
                                         .crowded = on_crowded,
                                         .foreign = on_foreign,
                                         .arg = ingest};
    began_ms = clock_ms();
    producer_warm(ingest->producer, ingest->events_topic);
    producer_warm(ingest->producer, ingest->subscribers_topic);
    if (load_keyring(ingest, &err)) {
        ingest_refuse(ingest, "bad_key_file", err.message);
        return;
    }
    ingest->parked_readers = parked_readers_new(ingest->loop);
    ingest->feed = feed_new(ingest->loop, &options, &err);
    if (ingest->feed)
        ingest->registry = registry_new(ingest, on_registry_loaded, &err);
    if (ingest->registry)
        note_ids_read(ingest);
    else
        ingest_refuse(ingest, "kafka_handle", err.message);
}

static void on_waiting(void *arg, const char *reason) {
    struct ingest *ingest = arg;
    snprintf(ingest->waiting_for, sizeof ingest->waiting_for, "%s", reason);
    log_warn("waiting_for_kafka", LOG_S("brokers", ingest->settings.kafka.brokers),
             LOG_S("reason", reason));
}

static void on_warning(void *arg, const char *reason) {
    (void)arg;
    log_warn("topic_differs", LOG_S("reason", reason));
}

static void on_refused(void *arg, const char *reason) { ingest_refuse(arg, "bad_topic", reason); }

/* What Kafka would refuse is refused at the door. */
static void fit_events(struct ingest *ingest) {
    char reason[256];
    int64_t fits = ingest->genesis.record_bytes_max - RECORD_REST_BYTES_MAX;
    fits = fits < 1 ? 1 : fits;
    ingest->max_event = ingest->settings.ingest.max_event;
    if (fits >= ingest->max_event)
        return;
    ingest->max_event = fits;
    snprintf(reason, sizeof reason,
             "topic %s takes records of max.message.bytes=%" PRId64
             " only: larger events are refused with 413",
             ingest->events_topic, ingest->genesis.record_bytes_max);
    log_warn("max_event_lowered", LOG_N("ingest_max_event", ingest->settings.ingest.max_event),
             LOG_N("in_force", fits), LOG_S("reason", reason));
}

static void on_ready(void *arg, const struct genesis *genesis) {
    struct ingest *ingest = arg;
    ingest->genesis = *genesis;
    *ingest->waiting_for = 0;
    fit_events(ingest);
    open_log(ingest);
}

void startup_begin(struct ingest *ingest) {
    const struct feed_begin_options options = {
        .kafka = &ingest->settings.kafka,
        .create = true,
        .window_ms = ingest->settings.ingest.dedupe_window_ms,
        .offsets = ingest->offsets,
        .waiting = on_waiting,
        .warning = on_warning,
        .refused = on_refused,
        .ready = on_ready,
        .arg = ingest};
    begin = feed_begin_new(ingest->loop, &options);
}

void startup_undo(struct ingest *ingest) {
    feed_begin_free(begin);
    begin = NULL;
    http_readers_end(ingest->http_readers);
    publisher_start_over(ingest->publisher);
    parked_readers_free(ingest->parked_readers);
    folder_free(ingest->folder);
    ingest->folder = NULL; /* what the registry ends may ask for it */
    registry_free(ingest->registry);
    feed_free(ingest->feed);
    ingest->parked_readers = NULL;
    ingest->registry = NULL;
    ingest->feed = NULL;
    ingest->acknowledged = 0;
    ingest->ids_read = false;
}
