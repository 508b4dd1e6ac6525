/* How ess-dispatcher is put together: its routes, its parts, and the steps from an open log to
 * ready: the key that opens secrets, the log's tail, the consumer group. */
#include "dispatcher/role.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "common/base/clock.h"
#include "common/crypto/seal.h"
#include "common/service/readiness.h"
#include "dispatcher/certificates.h"
#include "dispatcher/channel/https.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/liveness.h"
#include "dispatcher/ownership/log_check.h"
#include "dispatcher/ownership/partitions.h"
#include "dispatcher/status.h"
#include "dispatcher/subscriber/lag_monitor.h"
#include "dispatcher/subscriber/subscriber.h"
#include "dispatcher/subscriber/subscribers.h"

enum { WRITE_MS = 2000, PRODUCE_TIMEOUT_MS = 5000, PRODUCER_QUEUE_BYTES = 64 * 1024 * 1024 };

static void dispatcher_role_on_appended(void *arg, const struct feed_event *event) {
    subscribers_appended(arg, event);
}

static void dispatcher_role_on_trouble_changed(void *arg) {
    const struct dispatcher *d = arg;
    for (struct subscriber *s = subscribers_first(d->subscribers); s; s = s->hh.next)
        if (s->running)
            checkpoint_soon(&s->checkpoint); /* its lag has changed */
}

/* --- callbacks of the partitions */

static void dispatcher_role_on_record(void *arg, const struct kafka_record *record) {
    const struct dispatcher *d = arg;
    subscribers_read(d->subscribers, record);
}
static void dispatcher_role_on_start(void *arg, int32_t partition) {
    const struct dispatcher *d = arg;
    subscribers_start(d->subscribers, partition);
}
static void dispatcher_role_on_resume(void *arg, int32_t partition, bool rewrite) {
    const struct dispatcher *d = arg;
    subscribers_resume(d->subscribers, partition, rewrite);
}
static void dispatcher_role_on_forget(void *arg, int32_t partition) {
    const struct dispatcher *d = arg;
    subscribers_forget(d->subscribers, partition);
}
static void dispatcher_role_on_close(void *arg) {
    const struct dispatcher *d = arg;
    subscribers_close(d->subscribers);
}
static void dispatcher_role_on_write(void *arg) {
    const struct dispatcher *d = arg;
    subscribers_write(d->subscribers);
}
static void dispatcher_role_on_stop(void *arg) {
    const struct dispatcher *d = arg;
    subscribers_stop(d->subscribers);
}
static void dispatcher_role_on_look(void *arg, struct ownership_view *view) {
    const struct dispatcher *d = arg;
    view->in_flight = d->slots.in_flight + d->dead_letters_pending;
    view->unwritten = d->checkpoints.pending;
}
static void dispatcher_role_on_settled(void *arg, int32_t owned, int64_t after_ms) {
    const struct dispatcher *d = arg;
    log_info("ready", LOG_S("feed", d->service.genesis.feed),
             LOG_N("end", feed_end(d->service.feed)), LOG_N("partitions", owned),
             LOG_N("subscribers", subscribers_count(d->subscribers)), LOG_N("after_ms", after_ms));
}
static uint64_t dispatcher_role_random(void *arg) { return dispatcher_random(arg); }
static void dispatcher_role_on_broken(void *arg, const char *reason) {
    struct dispatcher *d = arg;
    service_start_over(&d->service, reason);
}
static void dispatcher_role_on_refused(void *arg, const char *event, const char *reason) {
    struct dispatcher *d = arg;
    service_refuse(&d->service, event, reason);
}

static struct partitions *dispatcher_role_join(struct dispatcher *d, struct error *err) {
    const struct partitions_options options = {.loop = d->service.loop,
                                               .kafka = &d->service.settings.kafka,
                                               .producer = d->service.producer,
                                               .group = d->group,
                                               .subscribers_topic = d->service.subscribers_topic,
                                               .tokens_topic = d->service.tokens_topic,
                                               .owner = {.read = dispatcher_role_on_record,
                                                         .start = dispatcher_role_on_start,
                                                         .resume = dispatcher_role_on_resume,
                                                         .forget = dispatcher_role_on_forget,
                                                         .close = dispatcher_role_on_close,
                                                         .write = dispatcher_role_on_write,
                                                         .stop = dispatcher_role_on_stop,
                                                         .look = dispatcher_role_on_look,
                                                         .settled = dispatcher_role_on_settled,
                                                         .random = dispatcher_role_random,
                                                         .start_over = dispatcher_role_on_broken,
                                                         .refuse = dispatcher_role_on_refused},
                                               .arg = d};
    return partitions_new(&options, err);
}

/* The count of pending tokens and the newest failure outlive a start-over. */
static void dispatcher_role_begin_checkpoints(struct dispatcher *d) {
    struct checkpoints *all = &d->checkpoints;
    all->loop = d->service.loop;
    all->producer = d->service.producer;
    all->partitions = d->partitions;
    all->topic = d->service.tokens_topic;
    all->hold_after_ms = d->service.settings.dispatcher.hold_after_ms;
    all->random = &d->random;
}

static int dispatcher_role_open_subscribers(struct dispatcher *d, struct error *err) {
    const struct log_check_options options = {.loop = d->service.loop,
                                              .offsets = d->service.offsets,
                                              .topic = d->service.events_topic,
                                              .feed = d->service.feed,
                                              .feed_id = d->service.genesis.feed};
    d->log_check = log_check_new(&options);
    d->lag_monitor = lag_monitor_new(d->service.loop, d->service.feed,
                                     d->service.settings.kafka.replay_window_ms);
    d->subscribers = subscribers_new(d);
    if (!d->partitions)
        d->partitions = dispatcher_role_join(d, err);
    dispatcher_role_begin_checkpoints(d);
    return d->partitions
               ? partitions_open(d->partitions, d->service.genesis.subscriber_partitions, err)
               : -1;
}

static void dispatcher_role_open_log(struct dispatcher *d) {
    struct error err;
    if (service_open_feed(&d->service, d->service.genesis.end, &err) ||
        dispatcher_role_open_subscribers(d, &err))
        service_refuse(&d->service, "kafka_handle", err.message);
}

static void dispatcher_role_on_log_found(void *arg) {
    key_check_begin(arg, dispatcher_role_open_log);
}

/* Each token names its log. Writes the tokens of the old log, if Kafka takes them, before a new log
 * is read. */
static bool dispatcher_role_on_leave(void *arg) {
    struct dispatcher *d = arg;
    int64_t now_ms = clock_ms();
    if (!d->write_until_ms && d->subscribers) {
        subscribers_close(d->subscribers);
        subscribers_write(d->subscribers);
        d->write_until_ms = now_ms + WRITE_MS;
    }
    return d->checkpoints.pending && now_ms < d->write_until_ms;
}

/* Stops all lanes and writes nothing. The membership in the group stays. */
static void dispatcher_role_on_log_lost(void *arg) {
    struct dispatcher *d = arg;
    key_check_end(d);
    partitions_close(d->partitions);
    subscribers_free(d->subscribers);
    d->subscribers = NULL;
    lag_monitor_free(d->lag_monitor);
    d->lag_monitor = NULL;
    log_check_free(d->log_check);
    d->log_check = NULL;
    d->write_until_ms = 0;
}

/* --- life */

static bool dispatcher_role_admit(void *arg, struct http_request *request) {
    const struct dispatcher *d = arg;
    return authenticator_admit(d->service.authenticator, request);
}

static void dispatcher_role_plan(void *arg, struct service_plan *plan) {
    const struct settings *settings = &((struct dispatcher *)arg)->service.settings;
    plan->http = (struct http_server_options){.listen = settings->dispatcher.listen,
                                              .max_connections = 1000,
                                              .header_timeout_ms = 10000,
                                              .body_timeout_ms = 10000,
                                              .admit = dispatcher_role_admit};
    plan->authenticator = (struct authenticator_options){.hosts = settings->dispatcher.hosts,
                                                         .hosts_option = "dispatcher.hosts"};
    plan->produce_timeout_ms = PRODUCE_TIMEOUT_MS;
    plan->produce_queue_bytes = PRODUCER_QUEUE_BYTES;
}

static void dispatcher_role_init(void *arg) {
    struct dispatcher *d = arg;
    const char *group = d->service.settings.dispatcher.group;
    if (getrandom(&d->random, sizeof d->random, 0) != sizeof d->random)
        abort();
    kafka_topic_name(&d->service.settings.kafka, "dlq", d->dlq_topic);
    if (*group)
        snprintf(d->group, sizeof d->group, "%s", group);
    else
        snprintf(d->group, sizeof d->group, "%s-dispatcher", d->service.settings.kafka.prefix);
    dispatcher_init_slots(d);
    d->match = match_new();
}

static int dispatcher_role_open(void *arg, struct error *err) {
    struct dispatcher *d = arg;
    const struct https_client_options options = {
        .max_connections = d->service.settings.dispatcher.max_connections,
        .connect_timeout_ms = d->service.settings.delivery.connect_timeout_ms,
        .idle_timeout_ms = d->service.settings.delivery.idle_timeout_ms,
        .lifetime_ms = d->service.settings.delivery.connection_lifetime_ms,
        .ca_file = d->service.settings.egress_ca_file,
        .name_servers = &d->service.settings.egress_dns,
        .allowed = d->service.settings.allowed,
        .allowed_count = d->service.settings.allowed_count,
        .proxy = {.url = d->service.settings.egress_proxy,
                  .password_file = d->service.settings.egress_proxy_password_file,
                  .skipped = &d->service.settings.egress_no_proxy}};
    /* before the producer connects, which saves a request for metadata later */
    producer_warm(d->service.producer, d->service.tokens_topic);
    producer_warm(d->service.producer, d->dlq_topic);
    d->https = https_client_new(d->service.loop, &options, err);
    if (!d->https)
        return -1;
    liveness_begin(d);
    certificates_begin(d);
    return 0;
}

static void dispatcher_role_on_signal(void *arg, const char *signal) {
    struct dispatcher *d = arg;
    log_info("stopping", LOG_S("signal", signal), LOG_N("in_flight", d->slots.in_flight));
    if (d->partitions)
        partitions_stop(d->partitions, clock_ms() + d->service.settings.dispatcher.stop_timeout_ms);
    else
        loop_stop(d->service.loop);
}

static void dispatcher_role_close(void *arg) {
    struct dispatcher *d = arg;
    service_lose_log(&d->service);
    partitions_free(d->partitions);
    d->partitions = NULL;
    service_flush(&d->service);
}

static void dispatcher_role_free(void *arg) {
    struct dispatcher *d = arg;
    https_client_free(d->https);
    match_free(d->match);
    keyring_free(d->keyring);
}

static const struct http_route dispatcher_role_routes[] = {
    {"GET", "/healthz", readiness_healthz, false, AUTHENTICATOR_OPEN},
    {"GET", "/readyz", status_readyz, false, AUTHENTICATOR_OPEN},
    {"GET", "/metrics", status_metrics, false, AUTHENTICATOR_ADMIN},
};

const struct service_role dispatcher_role = {.program = "ess-dispatcher",
                                             .routes = dispatcher_role_routes,
                                             .routes_count = sizeof dispatcher_role_routes /
                                                             sizeof *dispatcher_role_routes,
                                             .plan = dispatcher_role_plan,
                                             .init = dispatcher_role_init,
                                             .open = dispatcher_role_open,
                                             .log_found = dispatcher_role_on_log_found,
                                             .appended = dispatcher_role_on_appended,
                                             .trouble_changed = dispatcher_role_on_trouble_changed,
                                             .leave = dispatcher_role_on_leave,
                                             .log_lost = dispatcher_role_on_log_lost,
                                             .stop = dispatcher_role_on_signal,
                                             .close = dispatcher_role_close,
                                             .free = dispatcher_role_free};
