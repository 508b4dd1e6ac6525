/* Handles with the settings that ESS rests on; see config.h. */
#include "common/kafka/config.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/file.h"

void (*kafka_log)(int syslog_level, const char *text);

/* What the operator cannot set: order, durability and reading positions hang on these. */
static const char *const reserved[] = {
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "enable.gapless.guarantee",
    "bootstrap.servers",
    "metadata.broker.list",
    "client.id",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "max.poll.interval.ms",
    "partition.assignment.strategy",
    "auto.offset.reset",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "isolation.level",
    "transactional.id",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "retries",
    "message.send.max.retries",
    "linger.ms",
    "queue.buffering.max.ms",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "allow.auto.create.topics",
    "fetch.wait.max.ms",
    "fetch.min.bytes",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "partitioner",
    "plugin.library.paths",
};

int kafka_check_rdkafka(const char *name, const char *value, struct error *err) {
    char reason[256];
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strcmp(name, reserved[i]) == 0)
            return error_set(err, "ESS rests on its own value of this setting; leave it out");
    if (strncmp(name, "sasl.mechanism", strlen("sasl.mechanism")) == 0 &&
        strcasecmp(value, "OAUTHBEARER") == 0)
        return error_set(err, "ESS cannot renew OAUTHBEARER's tokens: take SCRAM, GSSAPI, PLAIN "
                              "over TLS, or a client certificate");
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_res_t res = rd_kafka_conf_set(conf, name, value, reason, sizeof reason);
    rd_kafka_conf_destroy(conf);
    return res == RD_KAFKA_CONF_OK ? 0 : error_set(err, "librdkafka: %s", reason);
}

void kafka_topic_name(const struct kafka_config *config, const char *name,
                      char out[KAFKA_TOPIC_BYTES]) {
    snprintf(out, KAFKA_TOPIC_BYTES, "%s.%s", config->prefix, name);
}

int32_t kafka_partition_of(const char *subscriber_id, int32_t partitions) {
    return rd_kafka_msg_partitioner_murmur2(NULL, subscriber_id, strlen(subscriber_id), partitions,
                                            NULL, NULL);
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text) {
    (void)rk;
    bool harmless = strcmp(facility, "CONFWARN") == 0; /* a setting for consumers, at a producer */
    if (kafka_log)
        kafka_log(harmless ? LOG_DEBUG : level, text);
}

static const struct kafka_setting common[] = {
    {"client.id", "ess"},
    {"socket.nagle.disable", "true"},
    {"socket.keepalive.enable", "true"},
    {"allow.auto.create.topics", "false"},
    {"log.connection.close", "false"},
    {"reconnect.backoff.ms", "50"}, /* a broker that comes back is found within a second */
    {"reconnect.backoff.max.ms", "1000"},
    {"topic.metadata.propagation.max.ms", "5000"},
    {NULL, NULL},
};

static int apply(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *err) {
    char reason[256];
    if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason) != RD_KAFKA_CONF_OK)
        return error_set(err, "librdkafka: %s", reason);
    return 0;
}

static int apply_list(rd_kafka_conf_t *conf, const struct kafka_setting *settings,
                      struct error *err) {
    for (; settings->name; settings++)
        if (apply(conf, settings->name, settings->value, err))
            return -1;
    return 0;
}

/* assign() wants a group although nothing is joined or committed: that of the dispatchers, so that
 * one ACL will do. */
static int apply_group(rd_kafka_conf_t *conf, const struct kafka_config *config,
                       struct error *err) {
    char group[KAFKA_TOPIC_BYTES];
    snprintf(group, sizeof group, "%s-dispatcher", config->prefix);
    return apply(conf, "group.id", group, err);
}

/* Read for each handle: a changed password is in force at the next one. */
static int apply_password(rd_kafka_conf_t *conf, const char *path, struct error *err) {
    enum { PASSWORD_BYTES_MAX = 4096 };
    struct buf text = {0};
    int result = file_read(path, PASSWORD_BYTES_MAX, &text, err);
    if (result) {
        error_prefix(err, "kafka.password_file %s: ", path);
    } else {
        char *line = (char *)(uintptr_t)buf_string(&text);
        line[strcspn(line, "\r\n")] = 0;
        result = apply(conf, "sasl.password", line, err);
    }
    explicit_bzero(text.data, text.len);
    buf_fini(&text);
    return result;
}

static int apply_all(rd_kafka_type_t type, rd_kafka_conf_t *conf, const struct kafka_config *config,
                     const struct kafka_setting *settings, struct error *err) {
    struct error ignored;
    apply(conf, "enable.metrics.push", "false", &ignored); /* only newer versions know these: */
    apply(conf, "fetch.queue.backoff.ms", "1", &ignored);
    if (apply_list(conf, common, err) || apply(conf, "bootstrap.servers", config->brokers, err))
        return -1;
    if (type == RD_KAFKA_CONSUMER && apply_group(conf, config, err))
        return -1;
    if (type == RD_KAFKA_PRODUCER)
        apply(conf, "compression.codec", "lz4",
              &ignored); /* the operator's wins; a build may be without */
    if (config->password_file && *config->password_file &&
        apply_password(conf, config->password_file, err))
        return -1;
    for (size_t i = 0; i < config->rdkafka.count; i++)
        if (apply(conf, config->rdkafka.names[i], config->rdkafka.values[i], err))
            return -1;
    return apply_list(conf, settings, err);
}

/* --- the connection that a consumer reads over. librdkafka has a thread for each connection, which
 * gets its answers and closes its socket. */

enum { API_FETCH = 1 };

static int on_socket_done(int fd, void *opaque) {
    struct kafka_watch *watch = opaque;
    unsigned long self = pthread_self();
    int result = close(fd);
    if (atomic_compare_exchange_strong(&watch->reader, &self, 0))
        watch->lost(watch->arg);
    return result;
}

static rd_kafka_resp_err_t on_response(rd_kafka_t *rk, int fd, const char *broker, int32_t id,
                                       int16_t api, int16_t version, int32_t number, size_t size,
                                       int64_t rtt, rd_kafka_resp_err_t code, void *opaque) {
    struct kafka_watch *watch = opaque;
    unsigned long self = pthread_self();
    (void)rk, (void)fd, (void)broker, (void)id, (void)version, (void)number, (void)size, (void)rtt;
    if (api == API_FETCH && !code) {
        unsigned long before = atomic_exchange(&watch->reader, self);
        if (before && before != self)
            watch->lost(watch->arg);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *opaque,
                                  char *reason, size_t bytes) {
    (void)conf, (void)reason, (void)bytes;
    return rd_kafka_interceptor_add_on_response_received(rk, "ess", on_response, opaque);
}

static void watch_connections(rd_kafka_conf_t *conf, struct kafka_watch *watch) {
    rd_kafka_conf_set_opaque(conf, watch);
    rd_kafka_conf_set_closesocket_cb(conf, on_socket_done);
    rd_kafka_conf_interceptor_add_on_new(conf, "ess", on_new, watch);
}

rd_kafka_t *kafka_handle_new(rd_kafka_type_t type, const struct kafka_config *config,
                             const struct kafka_setting *settings, struct error *err) {
    return kafka_handle_new_watched(type, config, settings, NULL, err);
}

rd_kafka_t *kafka_handle_new_watched(rd_kafka_type_t type, const struct kafka_config *config,
                                     const struct kafka_setting *settings,
                                     struct kafka_watch *watch, struct error *err) {
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_FETCH |
                                       RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT);
    if (watch)
        watch_connections(conf, watch);
    if (apply_all(type, conf, config, settings, err) ||
        /* ESS has no transactions; another program's, left open, would stop every reader until it
           times out */
        (type == RD_KAFKA_CONSUMER && apply(conf, "isolation.level", "read_uncommitted", err))) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_t *rk = rd_kafka_new(type, conf, reason, sizeof reason);
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        error_set(err, "librdkafka: %s", reason);
    }
    return rk;
}

/* --- the end of a handle */

struct destruction {
    rd_kafka_t *rk;
    void (*done)(void *);
    void *arg;
};

static void *destroy(void *arg) {
    struct destruction d = *(struct destruction *)arg;
    free(arg);
    rd_kafka_destroy(d.rk);
    if (d.done)
        d.done(d.arg);
    return NULL;
}

/* The thread takes no signals: they are the loop's. */
void kafka_handle_destroy(rd_kafka_t *rk, void (*done)(void *), void *arg) {
    struct destruction *d = mem_alloc(sizeof *d);
    sigset_t signals, before;
    pthread_t thread;
    *d = (struct destruction){rk, done, arg};
    sigfillset(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, &before);
    if (pthread_create(&thread, NULL, destroy, d) != 0)
        abort();
    pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

bool kafka_handles_destroyed(int64_t timeout_ms) {
    return rd_kafka_wait_destroyed((int)timeout_ms) == 0;
}
