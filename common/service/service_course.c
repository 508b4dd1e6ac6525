/* The life of a service: opening, beginning, starting over, closing; see service.h. Has the
 * callbacks of the parts that both services share. */
#include "common/service/service.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/feed/begin.h"
#include "common/http/tls.h"
#include "common/kafka/offsets.h"
#include "common/service/signing_file.h"
#include "common/version.h"

extern char **environ;

enum { FLUSH_MS = 5000, CLOSE_MS = 3000, LEAVE_LOOK_MS = 20 };
enum { CROWDED_PERIOD_MS = 10 * 60 * 1000 };

/* --- Kafka */

/* From librdkafka's threads. */
static void service_on_kafka_log(void *arg, int level, const char *text) {
    int64_t held_back;
    if (causes_pass(arg, level, text, clock_ms(), &held_back))
        log_warn("kafka_error", LOG_S("text", text), LOG_N("held_back", held_back));
    else
        log_debug("kafka", LOG_S("text", text));
}

static void service_on_link(void *arg, bool up) {
    struct service *s = arg;
    s->kafka_up = up;
    if (up)
        log_info("kafka_up", LOG_S("brokers", s->settings.kafka.brokers));
    else
        log_warn("kafka_down", LOG_S("brokers", s->settings.kafka.brokers));
}

static void service_on_replaced(void *arg, const char *reason, int64_t pause_ms) {
    (void)arg;
    log_warn("producer_replaced", LOG_S("reason", reason), LOG_N("pause_ms", pause_ms));
}

static int service_open_producer(struct service *s, struct error *err) {
    const struct producer_options options = {.kafka = &s->settings.kafka,
                                             .timeout_ms = s->plan.produce_timeout_ms,
                                             .queue_bytes = s->plan.produce_queue_bytes,
                                             .link = service_on_link,
                                             .replaced = service_on_replaced,
                                             .arg = s};
    s->producer = producer_new(s->loop, &options, err);
    s->offsets = offsets_new(s->loop, &s->settings.kafka, err);
    return s->producer && s->offsets ? 0 : -1;
}

/* --- HTTP */

static void service_on_auth_file(void *arg, size_t tokens, const struct error *err) {
    (void)arg;
    if (err)
        log_error("bad_auth_file", LOG_S("reason", err->message), LOG_N("tokens_in_force", tokens));
    else
        log_info("auth_file_read", LOG_N("tokens", tokens));
}

static int service_open_authenticator(struct service *s, struct error *err) {
    struct authenticator_options options = s->plan.authenticator;
    options.loop = s->loop;
    options.file = s->settings.auth_file;
    options.reloaded = service_on_auth_file;
    options.arg = s->arg;
    s->authenticator = authenticator_new(&options, err);
    return s->authenticator ? 0 : -1;
}

static void service_on_certificate(void *arg, const struct error *err) {
    (void)arg;
    if (err)
        log_error("bad_certificate", LOG_S("reason", err->message));
    else
        log_info("certificate_read");
}

static int service_open_tls(struct service *s, struct error *err) {
    const char *certificate = s->plan.tls_certificate;
    if (!certificate || !*certificate)
        return 0;
    s->tls = tls_new(s->loop, certificate, s->plan.tls_key, service_on_certificate, NULL, err);
    return s->tls ? 0 : -1;
}

static int service_open_http(struct service *s, struct error *err) {
    struct http_server_options options = s->plan.http;
    options.routes = s->role->routes;
    options.routes_count = s->role->routes_count;
    options.tls = s->tls;
    options.arg = s->arg;
    s->http = http_server_new(s->loop, &options, err);
    if (!s->http)
        return -1;
    int64_t wanted = options.max_connections,
            connections = (int64_t)http_server_connections_max(s->http);
    if (connections < wanted)
        log_warn("few_descriptors", LOG_N("connections", connections), LOG_N("wanted", wanted),
                 LOG_S("reason", "the limit of open files (ulimit -n) allows no more besides the "
                                 "descriptors that Kafka needs"));
    log_info("listening", LOG_S("address", http_server_address(s->http)),
             LOG_S("scheme", s->tls ? "https" : "http"));
    return 0;
}

/* --- the log */

static void service_on_appended(void *arg, const struct feed_event *event) {
    struct service *s = arg;
    s->role->appended(s->arg, event);
}

static void service_on_advanced(void *arg, int64_t end) {
    struct service *s = arg;
    if (s->role->advanced)
        s->role->advanced(s->arg, end);
}

static void service_on_broken(void *arg, const char *reason) { service_start_over(arg, reason); }

static void service_on_trouble(void *arg, const char *reason) {
    struct service *s = arg;
    if (reason)
        log_warn("log_not_read", LOG_S("reason", reason));
    else
        log_info("log_read_again");
    if (s->role->trouble_changed)
        s->role->trouble_changed(s->arg);
}

static void service_on_crowded(void *arg, size_t readers) {
    struct service *s = arg;
    int64_t held_back;
    if (log_limit_pass(&s->crowded_warning, clock_ms(), CROWDED_PERIOD_MS, &held_back))
        log_warn("feed_cache_small", LOG_N("readers", (int64_t)readers),
                 LOG_N("feed_cache", s->settings.feed_cache),
                 LOG_S("reason", "most of what is read from Kafka is evicted before it is used: "
                                 "raise feed.cache"));
}

static void service_on_foreign(void *arg, int64_t cursor) {
    struct service *s = arg;
    if (s->foreign_records++ == 0)
        log_warn("foreign_record", LOG_S("topic", s->events_topic), LOG_N("offset", cursor),
                 LOG_S("reason", "not written by ESS, or for another feed; skipped"));
}

int service_open_feed(struct service *s, int64_t start, struct error *err) {
    const struct feed_options options = {.kafka = &s->settings.kafka,
                                         .offsets = s->offsets,
                                         .feed_id = s->genesis.feed,
                                         .start = start,
                                         .end = s->genesis.end,
                                         .cache_bytes = s->settings.feed_cache,
                                         .appended = service_on_appended,
                                         .advanced = service_on_advanced,
                                         .broken = service_on_broken,
                                         .trouble = service_on_trouble,
                                         .crowded = service_on_crowded,
                                         .foreign = service_on_foreign,
                                         .arg = s};
    s->feed = feed_new(s->loop, &options, err);
    return s->feed ? 0 : -1;
}

static void service_on_waiting(void *arg, const char *reason) {
    struct service *s = arg;
    snprintf(s->waiting_for, sizeof s->waiting_for, "%s", reason);
    log_warn("waiting_for_kafka", LOG_S("brokers", s->settings.kafka.brokers),
             LOG_S("reason", reason));
}

static void service_on_warning(void *arg, const char *reason) {
    const struct service *s = arg;
    if (s->plan.makes_topics) /* a warning from one of the services is enough */
        log_warn("topic_differs", LOG_S("reason", reason));
}

static void service_on_refused(void *arg, const char *reason) {
    service_refuse(arg, "bad_topic", reason);
}

static void service_on_ready(void *arg, const struct genesis *genesis) {
    struct service *s = arg;
    s->genesis = *genesis;
    *s->waiting_for = 0;
    s->role->log_found(s->arg);
}

static void service_begin(struct service *s) {
    const struct feed_begin_options options = {.kafka = &s->settings.kafka,
                                               .create = s->plan.makes_topics,
                                               .window_ms = s->plan.window_ms,
                                               .offsets = s->offsets,
                                               .waiting = service_on_waiting,
                                               .warning = service_on_warning,
                                               .refused = service_on_refused,
                                               .ready = service_on_ready,
                                               .arg = s};
    s->begin = feed_begin_new(s->loop, &options);
}

void service_lose_log(struct service *s) {
    feed_begin_free(s->begin);
    s->begin = NULL;
    s->role->log_lost(s->arg);
    feed_free(s->feed);
    s->feed = NULL;
}

static void service_on_restart(void *arg) {
    struct service *s = arg;
    int64_t now_ms = clock_ms();
    if (s->stopping)
        return;
    if (s->role->leave && s->role->leave(s->arg)) {
        loop_timer_set(s->loop, &s->restart, now_ms + LEAVE_LOOK_MS);
        return;
    }
    service_lose_log(s);
    if (now_ms < s->restarts.until_ms) {
        loop_timer_set(s->loop, &s->restart, s->restarts.until_ms);
        return;
    }
    s->starting_over = false;
    service_begin(s);
}

/* --- life */

static void service_on_signal(void *arg, int signo) {
    struct service *s = arg;
    const char *signal = signo == SIGTERM ? "SIGTERM" : "SIGINT";
    if (s->stopping)
        return;
    s->stopping = true;
    if (s->role->stop) {
        s->role->stop(s->arg, signal);
        return;
    }
    log_info("stopping", LOG_S("signal", signal));
    loop_stop(s->loop);
}

static void service_init(struct service *s) {
    causes_init(&s->causes);
    s->settings.kafka.log = service_on_kafka_log;
    s->settings.kafka.log_arg = &s->causes;
    kafka_topic_name(&s->settings.kafka, "events", s->events_topic);
    kafka_topic_name(&s->settings.kafka, "subscribers", s->subscribers_topic);
    kafka_topic_name(&s->settings.kafka, "tokens", s->tokens_topic);
    s->loop = loop_new();
    loop_timer_init(&s->restart, service_on_restart, s);
    s->role->init(s->arg);
    s->role->plan(s->arg, &s->plan);
}

static int service_check_options(struct service *s, struct error *err) {
    return service_open_authenticator(s, err) || service_open_tls(s, err) ||
                   signing_file_open(s, err) || (s->role->check && s->role->check(s->arg, err))
               ? -1
               : 0;
}

static int service_open_parts(struct service *s, struct error *err) {
    return service_open_http(s, err) || service_open_producer(s, err) ||
                   (s->role->open && s->role->open(s->arg, err))
               ? -1
               : 0;
}

int service_open(struct service *s, const struct service_role *role, void *arg) {
    struct error err;
    s->role = role;
    s->arg = arg;
    service_init(s);
    loop_on_signal(s->loop, service_on_signal, s);
    log_info("starting", LOG_S("version", ESS_VERSION));
    if (service_check_options(s, &err)) {
        log_error("bad_option", LOG_S("reason", err.message));
        s->exit_status = SERVICE_BAD_OPTION_STATUS;
        return -1;
    }
    if (service_open_parts(s, &err)) {
        log_error("cannot_start", LOG_S("reason", err.message));
        s->exit_status = SERVICE_REFUSED_STATUS;
        return -1;
    }
    service_begin(s);
    return 0;
}

void service_flush(struct service *s) { producer_stop(s->producer, FLUSH_MS); }

bool service_close(struct service *s) {
    if (s->http)
        http_server_quiesce(s->http);
    s->role->close(s->arg);
    producer_free(s->producer);
    offsets_free(s->offsets);
    http_server_free(s->http);
    tls_free(s->tls);
    authenticator_free(s->authenticator);
    s->role->free(s->arg);
    signing_file_close(s);
    if (!loop_free(s->loop))
        return false;
    settings_free(&s->settings);
    return true;
}

int service_main(struct service *s, const struct service_role *role, void *arg, int argc,
                 char **argv) {
    if (settings_load(&s->settings, role->program, argc, argv, environ, &s->exit_status))
        return s->exit_status;
    s->exit_status = 0;
    if (service_open(s, role, arg) == 0)
        loop_run(s->loop);
    if (!service_close(s) || !kafka_handles_destroyed(CLOSE_MS))
        _exit(s->exit_status);
    return s->exit_status;
}
