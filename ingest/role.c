/* How ess-ingest is put together: its routes, its parts, and the steps from an open log to ready:
 * first the log's tail and the subscribers' records, then the key that opens the records, then the
 * files. */
#include "ingest/role.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/crypto/seal.h"
#include "common/service/readiness.h"
#include "ingest/access/auth.h"
#include "ingest/access/token_reads.h"
#include "ingest/api/command_api.h"
#include "ingest/api/consumer.h"
#include "ingest/api/dead_letters.h"
#include "ingest/api/jwks.h"
#include "ingest/api/keys.h"
#include "ingest/api/monitoring.h"
#include "ingest/api/openapi.h"
#include "ingest/api/register.h"
#include "ingest/api/subscriber_api.h"
#include "ingest/folder/folder.h"
#include "ingest/ingest.h"
#include "ingest/publish/dedupe.h"
#include "ingest/publish/filter.h"
#include "ingest/publish/publish.h"
#include "ingest/read/http_reader.h"
#include "ingest/read/log_stream.h"
#include "ingest/read/page.h"
#include "ingest/read/parked_readers.h"
#include "ingest/registry/acknowledging.h"
#include "ingest/registry/positions.h"
#include "ingest/registry/registry.h"
#include "ingest/registry/registry_writer.h"
#include "ingest/registry/reservations.h"

enum { RECORD_REST_BYTES_MAX = 4096 }; /* an event's record without its data */

static const struct http_route ingest_role_routes[] = {
    {"POST", "/ess/publish", publish_handle, true, AUTH_PUBLISH},
    {"POST", "/publish", publish_handle, true, AUTH_PUBLISH},
    {"GET", "/ess/replay", page_replay, false, AUTH_READ},
    {"GET", "/ess/poll", page_poll, false, AUTH_READ},
    {"GET", "/ess/stream", log_stream_events, false, AUTH_READ},
    {"GET", "/healthz", readiness_healthz, false, AUTHENTICATOR_OPEN},
    {"GET", "/readyz", monitoring_readyz, false, AUTHENTICATOR_OPEN},
    {"GET", "/metrics", monitoring_metrics, false, AUTHENTICATOR_ADMIN},
    {"GET", "/openapi.json", openapi_handle, false, AUTHENTICATOR_OPEN},
    {"GET", "/.well-known/jwks.json", jwks_handle, false, AUTHENTICATOR_OPEN},
    {"POST", "/register", register_handle, false, AUTH_REGISTER},
    {"POST", "/ess/subscribers", register_handle, false, AUTH_REGISTER},
    {"GET", "/ess/subscribers", subscriber_api_list, false, AUTH_REGISTER},
    {"GET", "/ess/subscribers/{id}", subscriber_api_show, false, AUTH_SUBSCRIBER},
    {"PUT", "/ess/subscribers/{id}", subscriber_api_replace, false, AUTH_REPLACE},
    {"DELETE", "/ess/subscribers/{id}", subscriber_api_delete, false, AUTH_SUBSCRIBER},
    {"POST", "/ess/subscribers/{id}/pause", command_api_pause, false, AUTH_SUBSCRIBER},
    {"POST", "/ess/subscribers/{id}/resume", command_api_resume, false, AUTH_SUBSCRIBER},
    {"POST", "/ess/subscribers/{id}/skip", command_api_skip, false, AUTH_SUBSCRIBER},
    {"GET", "/ess/subscribers/{id}/next", consumer_next, false, AUTH_SUBSCRIBER},
    {"POST", "/ess/subscribers/{id}/ack", consumer_acknowledge, false, AUTH_SUBSCRIBER},
    {"POST", "/ess/subscribers/{id}/rewind", command_api_rewind, false, AUTH_SUBSCRIBER},
    {"POST", "/ess/subscribers/{id}/replay", command_api_replay, false, AUTH_SUBSCRIBER},
    {"POST", "/ess/subscribers/{id}/redrive", command_api_redrive, false, AUTH_SUBSCRIBER},
    {"POST", "/ess/subscribers/{id}/test", command_api_test, false, AUTH_SUBSCRIBER},
    {"DELETE", "/ess/subscribers/{id}/jobs/{job}", command_api_end_job, false, AUTH_SUBSCRIBER},
    {"POST", "/ess/subscribers/{id}/rotate", keys_rotate, false, AUTH_SUBSCRIBER},
    {"POST", "/ess/subscribers/{id}/token", keys_token, false, AUTH_SUBSCRIBER},
    {"GET", "/ess/subscribers/{id}/attempts", subscriber_api_attempts, false, AUTH_SUBSCRIBER},
    {"GET", "/ess/subscribers/{id}/dead-letters", dead_letters_handle, false, AUTH_SUBSCRIBER},
};

static void ingest_role_warn_newer(struct ingest *ingest, int64_t cursor) {
    if (ingest->newer_events++ == 0)
        log_warn("newer_event", LOG_N("cursor", cursor),
                 LOG_S("reason", "written by a later version of ESS: upgrade this ess-ingest"));
}

static void ingest_role_on_appended(void *arg, const struct feed_event *event) {
    struct ingest *ingest = arg;
    if (event->newer)
        ingest_role_warn_newer(ingest, event->cursor);
    else
        publisher_appended(ingest->publisher, event);
    parked_readers_appended(ingest->parked_readers, event);
}

static void ingest_role_log_ready(const struct ingest *ingest) {
    if (ingest->ids_read && ingest->folder)
        log_info("ready", LOG_S("feed", ingest->service.genesis.feed),
                 LOG_N("end", ingest_end(ingest)));
}

static void ingest_role_note_ids_read(struct ingest *ingest) {
    if (ingest->ids_read || feed_end(ingest->service.feed) < ingest->service.genesis.end)
        return;
    ingest->ids_read = true;
    log_info("ids_read", LOG_N("ids", publisher_ids(ingest->publisher)),
             LOG_N("took_ms", clock_ms() - ingest->log_opened_ms));
    ingest_role_log_ready(ingest);
}

static void ingest_role_on_advanced(void *arg, int64_t end) {
    struct ingest *ingest = arg;
    (void)end;
    ingest_role_note_ids_read(ingest);
    http_readers_advanced(ingest);
}

/* Called without a key file. Creates the file if nothing is sealed yet. Of several ingests that
 * start at the same time, one creates the file and the others read it. */
static int ingest_role_make_key(struct ingest *ingest, bool wanted, struct error *err) {
    struct error reading;
    const char *path = ingest->service.settings.secrets_key_file;
    bool missing = false, made = wanted && keyring_create(path, err) == 0;
    ingest->keyring = keyring_load(path, &missing, &reading);
    if (ingest->keyring && made)
        log_info("key_file_made", LOG_S("file", path), LOG_S("key", keyring_id(ingest->keyring)));
    if (!ingest->keyring && !missing)
        *err = reading;
    return ingest->keyring || (missing && !wanted) ? 0 : -1;
}

/* After the registry is loaded: checks whether the key file opens the sealed records. */
static int ingest_role_check_key(struct ingest *ingest, bool *old_key, struct error *err) {
    struct span check = registry_check(ingest->registry);
    const char *path = ingest->service.settings.secrets_key_file;
    char id[16];
    if (!ingest->keyring && ingest_role_make_key(ingest, !check.data, err))
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

static void ingest_role_on_registry_loaded(struct ingest *ingest) {
    struct error err;
    bool old_key = false;
    if (ingest_role_check_key(ingest, &old_key, &err)) {
        service_refuse(&ingest->service, "bad_key_file", err.message);
        return;
    }
    if (!registry_check(ingest->registry).data || old_key)
        registry_writer_write_check(ingest);
    registry_writer_tidy(ingest);
    reservations_tidy(ingest);
    ingest->folder = folder_new(ingest);
    ingest_role_log_ready(ingest);
}

static int ingest_role_load_keyring(struct ingest *ingest, struct error *err) {
    bool missing = false;
    keyring_free(ingest->keyring);
    ingest->keyring = keyring_load(ingest->service.settings.secrets_key_file, &missing, err);
    return ingest->keyring || missing ? 0 : -1;
}

static void ingest_role_open_log(struct ingest *ingest) {
    struct service *s = &ingest->service;
    struct error err;
    int64_t newest_ids = s->genesis.end - DEDUPE_IDS_MAX, recent = s->genesis.recent;
    ingest->log_opened_ms = clock_ms();
    producer_warm(s->producer, s->events_topic);
    producer_warm(s->producer, s->subscribers_topic);
    if (ingest_role_load_keyring(ingest, &err)) {
        service_refuse(s, "bad_key_file", err.message);
        return;
    }
    ingest->parked_readers = parked_readers_new(s->loop);
    if (service_open_feed(s, newest_ids > recent ? newest_ids : recent, &err) == 0)
        ingest->registry = registry_new(ingest, ingest_role_on_registry_loaded, &err);
    if (ingest->registry)
        ingest_role_note_ids_read(ingest);
    else
        service_refuse(s, "kafka_handle", err.message);
}

/* Lowers max_event to what Kafka takes, so that ingest refuses what Kafka would refuse. */
static void ingest_role_fit_events(struct ingest *ingest) {
    char reason[256];
    int64_t fits = ingest->service.genesis.record_bytes_max - RECORD_REST_BYTES_MAX;
    fits = fits < 1 ? 1 : fits;
    ingest->max_event = ingest->service.settings.ingest.max_event;
    if (fits >= ingest->max_event)
        return;
    ingest->max_event = fits;
    snprintf(reason, sizeof reason,
             "topic %s takes records of max.message.bytes=%" PRId64
             " only: larger events are refused with 413",
             ingest->service.events_topic, ingest->service.genesis.record_bytes_max);
    log_warn("max_event_lowered",
             LOG_N("ingest_max_event", ingest->service.settings.ingest.max_event),
             LOG_N("in_force", fits), LOG_S("reason", reason));
}

static void ingest_role_on_log_found(void *arg) {
    ingest_role_fit_events(arg);
    ingest_role_open_log(arg);
}

static void ingest_role_on_log_lost(void *arg) {
    struct ingest *ingest = arg;
    http_readers_end(ingest->http_readers);
    publisher_start_over(ingest->publisher);
    parked_readers_free(ingest->parked_readers);
    folder_free(ingest->folder);
    ingest->folder = NULL; /* registry writes that end below may ask for the folder */
    acknowledging_end(ingest);
    registry_free(ingest->registry);
    ingest->parked_readers = NULL;
    ingest->registry = NULL;
    ingest->acknowledged = 0;
    ingest->ids_read = false;
}

/* --- life */

static void ingest_role_plan(void *arg, struct service_plan *plan) {
    const struct settings *settings = &((struct ingest *)arg)->service.settings;
    plan->http = (struct http_server_options){
        .listen = settings->ingest.listen,
        .body_max_bytes = (size_t)settings->ingest.max_body,
        .large_body_max = publish_body_max,
        .buffers_bytes = (size_t)settings->ingest.buffers,
        .max_connections = settings->ingest.max_connections,
        .max_connections_per_address = settings->ingest.max_connections_per_address,
        .header_timeout_ms = settings->ingest.header_timeout_ms,
        .body_timeout_ms = settings->ingest.body_timeout_ms,
        .admit = auth_admit};
    plan->tls_certificate = settings->ingest.tls_certificate;
    plan->tls_key = settings->ingest.tls_key;
    plan->authenticator = (struct authenticator_options){
        .hosts = settings->ingest.hosts, .hosts_option = "ingest.hosts", .find = auth_find_own};
    plan->produce_timeout_ms = settings->ingest.produce_timeout_ms;
    plan->produce_queue_bytes = settings->ingest.queue;
    plan->makes_topics = true;
    plan->window_ms = settings->ingest.dedupe_window_ms;
}

static void ingest_role_init(void *arg) {
    struct ingest *ingest = arg;
    ingest->max_event = ingest->service.settings.ingest.max_event;
    ingest->publisher = publisher_new(ingest);
    ingest->http_readers = http_readers_new();
    ingest->token_reads = token_reads_new(ingest->service.settings.ingest.max_reads_per_token);
    ingest->positions = positions_new(ingest);
}

static int ingest_role_check(void *arg, struct error *err) {
    struct ingest *ingest = arg;
    ingest->filter = filter_new(ingest->service.loop, ingest->service.settings.pii_file, err);
    return ingest->filter ? 0 : -1;
}

/* Publishes under way get their answers during the flush. */
static void ingest_role_close(void *arg) {
    struct ingest *ingest = arg;
    service_flush(&ingest->service);
    service_lose_log(&ingest->service);
    positions_free(ingest->positions);
}

static void ingest_role_free(void *arg) {
    struct ingest *ingest = arg;
    filter_free(ingest->filter);
    publisher_free(ingest->publisher);
    http_readers_free(ingest->http_readers);
    token_reads_free(ingest->token_reads);
    keyring_free(ingest->keyring);
}

const struct service_role ingest_role = {.program = "ess-ingest",
                                         .routes = ingest_role_routes,
                                         .routes_count = sizeof ingest_role_routes /
                                                         sizeof *ingest_role_routes,
                                         .plan = ingest_role_plan,
                                         .init = ingest_role_init,
                                         .check = ingest_role_check,
                                         .log_found = ingest_role_on_log_found,
                                         .appended = ingest_role_on_appended,
                                         .advanced = ingest_role_on_advanced,
                                         .log_lost = ingest_role_on_log_lost,
                                         .close = ingest_role_close,
                                         .free = ingest_role_free};
