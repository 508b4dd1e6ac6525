/* ess-ingest: takes events by HTTP, appends them to Kafka and answers when they are there; reads
 * the log for those who ask; brings subscribers' files into Kafka. One thread, one loop. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/crypto/seal.h"
#include "common/http/tls.h"
#include "common/kafka/cause.h"
#include "common/kafka/offsets.h"
#include "common/version.h"
#include "ingest/access/auth.h"
#include "ingest/access/token_reads.h"
#include "ingest/api/command_api.h"
#include "ingest/api/dead_letters.h"
#include "ingest/api/keys.h"
#include "ingest/api/monitoring.h"
#include "ingest/api/openapi.h"
#include "ingest/api/register.h"
#include "ingest/api/subscriber_api.h"
#include "ingest/ingest.h"
#include "ingest/publish/filter.h"
#include "ingest/publish/publish.h"
#include "ingest/read/http_reader.h"
#include "ingest/read/log_stream.h"
#include "ingest/read/page.h"
#include "ingest/registry/positions.h"
#include "ingest/startup.h"

extern char **environ;

enum { FLUSH_MS = 5000, CLOSE_MS = 3000, BAD_OPTION_STATUS = 2 };

static const struct http_route routes[] = {
    {"POST", "/ess/publish", publish_handle, true, AUTH_PUBLISH},
    {"POST", "/publish", publish_handle, true, AUTH_PUBLISH},
    {"GET", "/ess/replay", page_replay, false, AUTH_READ},
    {"GET", "/ess/poll", page_poll, false, AUTH_READ},
    {"GET", "/ess/stream", log_stream_events, false, AUTH_READ},
    {"GET", "/healthz", monitoring_healthz, false, AUTHENTICATOR_OPEN},
    {"GET", "/readyz", monitoring_readyz, false, AUTHENTICATOR_OPEN},
    {"GET", "/metrics", monitoring_metrics, false, AUTHENTICATOR_ADMIN},
    {"GET", "/openapi.json", openapi_handle, false, AUTHENTICATOR_OPEN},
    {"POST", "/register", register_handle, false, AUTH_REGISTER},
    {"POST", "/ess/subscribers", register_handle, false, AUTH_REGISTER},
    {"GET", "/ess/subscribers", subscriber_api_list, false, AUTH_REGISTER},
    {"GET", "/ess/subscribers/{id}", subscriber_api_show, false, AUTH_SUBSCRIBER},
    {"PUT", "/ess/subscribers/{id}", subscriber_api_replace, false, AUTH_REPLACE},
    {"DELETE", "/ess/subscribers/{id}", subscriber_api_delete, false, AUTH_SUBSCRIBER},
    {"POST", "/ess/subscribers/{id}/pause", command_api_pause, false, AUTH_SUBSCRIBER},
    {"POST", "/ess/subscribers/{id}/resume", command_api_resume, false, AUTH_SUBSCRIBER},
    {"POST", "/ess/subscribers/{id}/skip", command_api_skip, false, AUTH_SUBSCRIBER},
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

static void on_restart(void *arg) {
    struct ingest *ingest = arg;
    startup_undo(ingest);
    if (clock_ms() < ingest->restarts.until_ms) {
        loop_timer_set(ingest->loop, &ingest->restart, ingest->restarts.until_ms);
        return;
    }
    ingest->starting_over = false;
    startup_begin(ingest);
}

static void on_link(void *arg, bool up) {
    struct ingest *ingest = arg;
    ingest->kafka_up = up;
    if (up)
        log_info("kafka_up", LOG_S("brokers", ingest->settings.kafka.brokers));
    else
        log_warn("kafka_down", LOG_S("brokers", ingest->settings.kafka.brokers));
}

static void on_replaced(void *arg, const char *reason, int64_t pause_ms) {
    (void)arg;
    log_warn("producer_replaced", LOG_S("reason", reason), LOG_N("pause_ms", pause_ms));
}

static void on_signal(void *arg, int signo) {
    log_info("stopping", LOG_S("signal", signo == SIGTERM ? "SIGTERM" : "SIGINT"));
    ingest_stop(arg);
}

/* From librdkafka's threads. */
static void on_kafka_log(void *arg, int level, const char *text) {
    int64_t held_back;
    if (causes_pass(arg, level, text, clock_ms(), &held_back))
        log_warn("kafka_error", LOG_S("text", text), LOG_N("held_back", held_back));
    else
        log_debug("kafka", LOG_S("text", text));
}

static int open_producer(struct ingest *ingest, struct error *err) {
    const struct producer_options options = {
        .kafka = &ingest->settings.kafka,
        .timeout_ms = ingest->settings.ingest.produce_timeout_ms,
        .queue_bytes = ingest->settings.ingest.queue,
        .link = on_link,
        .replaced = on_replaced,
        .arg = ingest};
    ingest->producer = producer_new(ingest->loop, &options, err);
    ingest->offsets = offsets_new(ingest->loop, &ingest->settings.kafka, err);
    ingest->positions = positions_new(ingest);
    return ingest->producer && ingest->offsets ? 0 : -1;
}

static int open_filter(struct ingest *ingest, struct error *err) {
    ingest->filter = filter_new(ingest->loop, ingest->settings.pii_file, err);
    return ingest->filter ? 0 : -1;
}

static void on_certificate(void *arg, const struct error *err) {
    (void)arg;
    if (err)
        log_error("bad_certificate", LOG_S("reason", err->message));
    else
        log_info("certificate_read");
}

static int open_tls(struct ingest *ingest, struct error *err) {
    const char *certificate = ingest->settings.ingest.tls_certificate,
               *key = ingest->settings.ingest.tls_key;
    if (!*certificate)
        return 0;
    ingest->tls = tls_new(ingest->loop, certificate, key, on_certificate, NULL, err);
    return ingest->tls ? 0 : -1;
}

static int open_http(struct ingest *ingest, struct error *err) {
    const struct http_server_options options = {
        .listen = ingest->settings.ingest.listen,
        .body_max_bytes = (size_t)ingest->settings.ingest.max_body,
        .large_body_max = publish_body_max,
        .buffers_bytes = (size_t)ingest->settings.ingest.buffers,
        .max_connections = ingest->settings.ingest.max_connections,
        .max_connections_per_address = ingest->settings.ingest.max_connections_per_address,
        .header_timeout_ms = ingest->settings.ingest.header_timeout_ms,
        .body_timeout_ms = ingest->settings.ingest.body_timeout_ms,
        .routes = routes,
        .routes_count = sizeof routes / sizeof *routes,
        .tls = ingest->tls,
        .admit = auth_admit,
        .arg = ingest};
    ingest->http = http_server_new(ingest->loop, &options, err);
    if (!ingest->http)
        return -1;
    int64_t wanted = options.max_connections,
            connections = (int64_t)http_server_connections_max(ingest->http);
    if (connections < wanted)
        log_warn("few_descriptors", LOG_N("connections", connections), LOG_N("wanted", wanted),
                 LOG_S("reason", "the limit of open files (ulimit -n) allows no more beside those "
                                 "that Kafka needs"));
    log_info("listening", LOG_S("address", http_server_address(ingest->http)),
             LOG_S("scheme", ingest->tls ? "https" : "http"));
    return 0;
}

/* Publishes under way get their answer before the server goes. False: a thread hangs in librdkafka.
 */
static bool close_all(struct ingest *ingest) {
    if (ingest->http)
        http_server_quiesce(ingest->http);
    producer_stop(ingest->producer, FLUSH_MS);
    startup_undo(ingest);
    producer_free(ingest->producer);
    positions_free(ingest->positions);
    offsets_free(ingest->offsets);
    http_server_free(ingest->http);
    tls_free(ingest->tls);
    auth_close(ingest);
    filter_free(ingest->filter);
    if (!loop_free(ingest->loop))
        return false;
    publisher_free(ingest->publisher);
    http_readers_free(ingest->http_readers);
    token_reads_free(ingest->token_reads);
    keyring_free(ingest->keyring);
    settings_free(&ingest->settings);
    return kafka_handles_destroyed(CLOSE_MS);
}

int main(int argc, char **argv) {
    static struct ingest ingest;
    struct error err;
    if (settings_load(&ingest.settings, "ess-ingest", argc, argv, environ, &ingest.exit_status))
        return ingest.exit_status;
    ingest.exit_status = 0;
    ingest.max_event = ingest.settings.ingest.max_event;
    causes_init(&ingest.causes);
    ingest.settings.kafka.log = on_kafka_log;
    ingest.settings.kafka.log_arg = &ingest.causes;
    kafka_topic_name(&ingest.settings.kafka, "events", ingest.events_topic);
    kafka_topic_name(&ingest.settings.kafka, "subscribers", ingest.subscribers_topic);
    kafka_topic_name(&ingest.settings.kafka, "tokens", ingest.tokens_topic);
    ingest.loop = loop_new();
    ingest.publisher = publisher_new(&ingest);
    ingest.http_readers = http_readers_new();
    ingest.token_reads = token_reads_new(ingest.settings.ingest.max_reads_per_token);
    loop_on_signal(ingest.loop, on_signal, &ingest);
    loop_timer_init(&ingest.restart, on_restart, &ingest);
    log_info("starting", LOG_S("version", ESS_VERSION));
    if (auth_open(&ingest, &err) || open_filter(&ingest, &err) || open_tls(&ingest, &err)) {
        log_error("bad_option", LOG_S("reason", err.message));
        ingest.exit_status = BAD_OPTION_STATUS;
    } else if (open_http(&ingest, &err) || open_producer(&ingest, &err)) {
        log_error("cannot_start", LOG_S("reason", err.message));
        ingest.exit_status = INGEST_REFUSED_STATUS;
    } else {
        startup_begin(&ingest);
        loop_run(ingest.loop);
    }
    if (!close_all(&ingest))
        _exit(ingest.exit_status);
    return ingest.exit_status;
}
