/* ess-dispatcher: follows the log and pushes each subscriber's events to its webhook: signed, in
 * order, throttled, until they are settled. One thread, one loop. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/crypto/seal.h"
#include "common/http/authenticator.h"
#include "common/kafka/cause.h"
#include "common/kafka/offsets.h"
#include "common/version.h"
#include "dispatcher/channel/https.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/liveness.h"
#include "dispatcher/ownership/partitions.h"
#include "dispatcher/startup.h"
#include "dispatcher/status.h"

extern char **environ;

enum {
    PRODUCE_TIMEOUT_MS = 5000,
    FLUSH_MS = 5000,
    CLOSE_MS = 3000,
    PRODUCER_QUEUE_BYTES = 64 * 1024 * 1024
};
enum { REFUSED_STATUS = 1, BAD_OPTION_STATUS = 2 };

static const struct http_route routes[] = {
    {"GET", "/healthz", status_healthz, false, AUTHENTICATOR_OPEN},
    {"GET", "/readyz", status_readyz, false, AUTHENTICATOR_OPEN},
    {"GET", "/metrics", status_metrics, false, AUTHENTICATOR_ADMIN},
};

static void on_signal(void *arg, int signo) {
    struct dispatcher *d = arg;
    if (d->stopping)
        return;
    log_info("stopping", LOG_S("signal", signo == SIGTERM ? "SIGTERM" : "SIGINT"),
             LOG_N("in_flight", d->capacity.in_flight));
    d->stopping = true;
    if (d->partitions)
        partitions_stop(d->partitions, clock_ms() + d->settings.dispatcher.stop_timeout_ms);
    else
        loop_stop(d->loop);
}

static void on_link(void *arg, bool up) {
    struct dispatcher *d = arg;
    d->kafka_up = up;
    if (up)
        log_info("kafka_up", LOG_S("brokers", d->settings.kafka.brokers));
    else
        log_warn("kafka_down", LOG_S("brokers", d->settings.kafka.brokers));
}

static void on_replaced(void *arg, const char *reason, int64_t pause_ms) {
    (void)arg;
    log_warn("producer_replaced", LOG_S("reason", reason), LOG_N("pause_ms", pause_ms));
}

/* From librdkafka's threads. */
static void on_kafka_log(void *arg, int level, const char *text) {
    int64_t held_back;
    if (causes_pass(arg, level, text, clock_ms(), &held_back))
        log_warn("kafka_error", LOG_S("text", text), LOG_N("held_back", held_back));
    else
        log_debug("kafka", LOG_S("text", text));
}

static int open_producer(struct dispatcher *d, struct error *err) {
    const struct producer_options options = {.kafka = &d->settings.kafka,
                                             .timeout_ms = PRODUCE_TIMEOUT_MS,
                                             .queue_bytes = PRODUCER_QUEUE_BYTES,
                                             .link = on_link,
                                             .replaced = on_replaced,
                                             .arg = d};
    d->producer = producer_new(d->loop, &options, err);
    d->offsets = offsets_new(d->loop, &d->settings.kafka, err);
    if (!d->producer || !d->offsets)
        return -1;
    producer_warm(
        d->producer,
        d->tokens_topic); /* before it has connected: then it need not be asked for later */
    producer_warm(d->producer, d->dlq_topic);
    return 0;
}

static void on_auth_file(void *arg, size_t tokens, const struct error *err) {
    (void)arg;
    if (err)
        log_error("bad_auth_file", LOG_S("reason", err->message), LOG_N("tokens_in_force", tokens));
    else
        log_info("auth_file_read", LOG_N("tokens", tokens));
}

static int open_auth(struct dispatcher *d, struct error *err) {
    const struct authenticator_options options = {.loop = d->loop,
                                                  .file = d->settings.auth_file,
                                                  .hosts = d->settings.dispatcher.hosts,
                                                  .hosts_option = "dispatcher.hosts",
                                                  .reloaded = on_auth_file};
    d->authenticator = authenticator_new(&options, err);
    return d->authenticator ? 0 : -1;
}

static bool admit(void *arg, struct http_request *request) {
    struct dispatcher *d = arg;
    return authenticator_admit(d->authenticator, request);
}

static int open_http(struct dispatcher *d, struct error *err) {
    const struct http_server_options options = {.listen = d->settings.dispatcher.listen,
                                                .max_connections = 1000,
                                                .header_timeout_ms = 10000,
                                                .body_timeout_ms = 10000,
                                                .routes = routes,
                                                .routes_count = sizeof routes / sizeof *routes,
                                                .admit = admit,
                                                .arg = d};
    d->http = http_server_new(d->loop, &options, err);
    if (!d->http)
        return -1;
    log_info("listening", LOG_S("address", http_server_address(d->http)));
    return 0;
}

static int open_https(struct dispatcher *d, struct error *err) {
    const struct https_client_options options = {
        .max_connections = d->settings.dispatcher.max_connections,
        .connect_timeout_ms = d->settings.delivery.connect_timeout_ms,
        .idle_timeout_ms = d->settings.delivery.idle_timeout_ms,
        .lifetime_ms = d->settings.delivery.connection_lifetime_ms,
        .ca_file = d->settings.egress_ca_file,
        .name_servers = &d->settings.egress_dns,
        .allowed = d->settings.allowed,
        .allowed_count = d->settings.allowed_count};
    d->https = https_client_new(d->loop, &options, err);
    return d->https ? 0 : -1;
}

/* False: a thread hangs in librdkafka. */
static bool close_all(struct dispatcher *d) {
    startup_undo(d);
    partitions_free(d->partitions);
    d->partitions = NULL;
    producer_stop(d->producer, FLUSH_MS);
    producer_free(d->producer);
    offsets_free(d->offsets);
    https_client_free(d->https);
    http_server_free(d->http);
    authenticator_free(d->authenticator);
    match_free(d->match);
    if (!loop_free(d->loop))
        return false;
    keyring_free(d->keyring);
    settings_free(&d->settings);
    return kafka_handles_destroyed(CLOSE_MS);
}

static void name_things(struct dispatcher *d) {
    const char *group = d->settings.dispatcher.group;
    kafka_topic_name(&d->settings.kafka, "events", d->events_topic);
    kafka_topic_name(&d->settings.kafka, "subscribers", d->subscribers_topic);
    kafka_topic_name(&d->settings.kafka, "tokens", d->tokens_topic);
    kafka_topic_name(&d->settings.kafka, "dlq", d->dlq_topic);
    if (*group)
        snprintf(d->group, sizeof d->group, "%s", group);
    else
        snprintf(d->group, sizeof d->group, "%s-dispatcher", d->settings.kafka.prefix);
}

int main(int argc, char **argv) {
    static struct dispatcher d;
    struct error err;
    if (settings_load(&d.settings, "ess-dispatcher", argc, argv, environ, &d.exit_status))
        return d.exit_status;
    d.exit_status = 0;
    if (getrandom(&d.random, sizeof d.random, 0) != sizeof d.random)
        abort();
    causes_init(&d.causes);
    d.settings.kafka.log = on_kafka_log;
    d.settings.kafka.log_arg = &d.causes;
    name_things(&d);
    d.loop = loop_new();
    dispatcher_init_capacity(&d);
    d.match = match_new();
    loop_on_signal(d.loop, on_signal, &d);
    log_info("starting", LOG_S("version", ESS_VERSION));
    if (open_auth(&d, &err)) {
        log_error("bad_option", LOG_S("reason", err.message));
        d.exit_status = BAD_OPTION_STATUS;
    } else if (open_http(&d, &err) || open_https(&d, &err) || open_producer(&d, &err)) {
        log_error("cannot_start", LOG_S("reason", err.message));
        d.exit_status = REFUSED_STATUS;
    } else {
        startup_begin(&d);
        liveness_begin(&d);
        loop_run(d.loop);
    }
    if (!close_all(&d))
        _exit(d.exit_status);
    return d.exit_status;
}
