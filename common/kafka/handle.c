/* librdkafka handles with the settings that ESS depends on; see handle.h. */
#include "common/kafka/handle.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/file.h"

/* Context of a handle's callbacks; lives until rd_kafka_destroy has returned. */
struct handle_context {
    void (*log)(void *arg, int syslog_level, const char *text);
    void *log_arg;
    struct kafka_watch *watch; /* NULL: connections are not watched */
};

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text) {
    const struct handle_context *context = rd_kafka_opaque(rk);
    bool harmless = strcmp(facility, "CONFWARN") == 0; /* a consumer setting on a producer */
    if (context && context->log)
        context->log(context->log_arg, harmless ? LOG_DEBUG : level, text);
}

static const struct kafka_setting common[] = {
    {"client.id", "ess"},
    {"socket.nagle.disable", "true"},
    {"socket.keepalive.enable", "true"},
    {"allow.auto.create.topics", "false"},
    {"log.connection.close", "false"},
    {"reconnect.backoff.ms", "50"}, /* a returning broker is found within a second */
    {"reconnect.backoff.max.ms", "1000"},
    {"topic.metadata.propagation.max.ms", "5000"},
    {"socket.timeout.ms", "5000"}, /* gives up a connection to a broker that hangs, and asks for the
                                      partitions' new leaders */
    {NULL, NULL},
};

static int handle_apply(rd_kafka_conf_t *conf, const char *name, const char *value,
                        struct error *err) {
    char reason[256];
    if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason) != RD_KAFKA_CONF_OK)
        return error_set(err, "librdkafka: %s", reason);
    return 0;
}

static int apply_list(rd_kafka_conf_t *conf, const struct kafka_setting *settings,
                      struct error *err) {
    for (; settings->name; settings++)
        if (handle_apply(conf, settings->name, settings->value, err))
            return -1;
    return 0;
}

/* assign() needs a group name although nothing is joined or committed. Takes the dispatchers'
 * group, so that one ACL suffices. */
static int apply_group(rd_kafka_conf_t *conf, const struct kafka_config *config,
                       struct error *err) {
    char group[KAFKA_TOPIC_BYTES];
    snprintf(group, sizeof group, "%s-dispatcher", config->prefix);
    return handle_apply(conf, "group.id", group, err);
}

/* Read for each handle: a changed password is used by the next one. */
static int apply_password(rd_kafka_conf_t *conf, const char *path, struct error *err) {
    enum { PASSWORD_BYTES_MAX = 4096 };
    struct buf text = {0};
    int result = file_read(path, PASSWORD_BYTES_MAX, &text, err);
    if (result) {
        error_prefix(err, "kafka.password_file %s: ", path);
    } else {
        char *line = (char *)(uintptr_t)buf_string(&text);
        line[strcspn(line, "\r\n")] = 0;
        result = handle_apply(conf, "sasl.password", line, err);
    }
    buf_wipe(&text);
    return result;
}

static int apply_all(rd_kafka_type_t type, rd_kafka_conf_t *conf, const struct kafka_config *config,
                     const struct kafka_setting *settings, struct error *err) {
    struct error ignored;
    handle_apply(conf, "enable.metrics.push", "false",
                 &ignored); /* known only to newer versions: */
    handle_apply(conf, "fetch.queue.backoff.ms", "1", &ignored);
    if (apply_list(conf, common, err) ||
        handle_apply(conf, "bootstrap.servers", config->brokers, err))
        return -1;
    if (type == RD_KAFKA_CONSUMER && apply_group(conf, config, err))
        return -1;
    if (type == RD_KAFKA_PRODUCER)
        handle_apply(conf, "compression.codec", "lz4",
                     &ignored); /* the operator's setting wins; builds may lack it */
    if (config->password_file && *config->password_file &&
        apply_password(conf, config->password_file, err))
        return -1;
    for (size_t i = 0; i < config->rdkafka.count; i++)
        if (handle_apply(conf, config->rdkafka.names[i], config->rdkafka.values[i], err))
            return -1;
    return apply_list(conf, settings, err);
}

/* --- the connection used for reading. librdkafka has a thread per connection, which receives
 * answers and closes the socket. */

enum { API_FETCH = 1 };

static int on_socket_done(int fd, void *opaque) {
    struct kafka_watch *watch = ((struct handle_context *)opaque)->watch;
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

static void handle_watch_connections(rd_kafka_conf_t *conf, struct kafka_watch *watch) {
    rd_kafka_conf_set_closesocket_cb(conf, on_socket_done);
    rd_kafka_conf_interceptor_add_on_new(conf, "ess", on_new, watch);
}

rd_kafka_t *kafka_handle_new(rd_kafka_type_t type, const struct kafka_config *config,
                             const struct kafka_setting *settings, struct error *err) {
    return kafka_handle_new_watched(type, config, settings, NULL, err);
}

static rd_kafka_conf_t *handle_conf(struct handle_context *context) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, context);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_FETCH |
                                       RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT);
    if (context->watch)
        handle_watch_connections(conf, context->watch);
    return conf;
}

rd_kafka_t *kafka_handle_new_watched(rd_kafka_type_t type, const struct kafka_config *config,
                                     const struct kafka_setting *settings,
                                     struct kafka_watch *watch, struct error *err) {
    char reason[256];
    rd_kafka_t *rk = NULL;
    struct handle_context *context = mem_alloc(sizeof *context);
    *context = (struct handle_context){config->log, config->log_arg, watch};
    rd_kafka_conf_t *conf = handle_conf(context);
    if (apply_all(type, conf, config, settings, err) == 0 &&
        /* ESS uses no transactions; a transaction that another program leaves open would stop every
         * reader until the transaction times out */
        (type == RD_KAFKA_PRODUCER ||
         handle_apply(conf, "isolation.level", "read_uncommitted", err) == 0) &&
        !(rk = rd_kafka_new(type, conf, reason, sizeof reason)))
        error_set(err, "librdkafka: %s", reason);
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        free(context);
    }
    return rk;
}

/* librdkafka (2.0.2) may stop a partition that is already stopping, and then fails an assertion.
 * The stop and its confirmation both pass through the main thread before the answer to a query
 * does. */
rd_kafka_resp_err_t kafka_handle_assign(rd_kafka_t *rk,
                                        const rd_kafka_topic_partition_list_t *list) {
    rd_kafka_resp_err_t code = rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_t *assigned;
    for (int i = 0; i < 2; i++)
        if (!rd_kafka_assignment(rk, &assigned))
            rd_kafka_topic_partition_list_destroy(assigned);
    return code;
}

rd_kafka_resp_err_t kafka_handle_offset(rd_kafka_t *rk, const char *topic, int32_t partition,
                                        int64_t *at, int64_t deadline_ms) {
    int64_t left_ms = deadline_ms - clock_ms();
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset =
        *at; /* the call takes a time in this member */
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(rk, list, left_ms > 0 ? (int)left_ms : 0);
    if (!code)
        code = list->elems[0].err;
    *at = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

bool kafka_handle_recovers(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__TRANSPORT ||
           code == RD_KAFKA_RESP_ERR__RESOLVE || code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
           code == RD_KAFKA_RESP_ERR_NOT_COORDINATOR ||
           code == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE ||
           code == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS;
}

/* --- the end of a handle */

void kafka_handle_end(rd_kafka_t *rk, int flags) {
    struct handle_context *context = rd_kafka_opaque(rk);
    rd_kafka_destroy_flags(rk, flags);
    free(context);
}

struct ending {
    rd_kafka_t *rk;
    void (*done)(void *);
    void *arg;
};

static void ending_work(void *arg) {
    struct ending ending = *(struct ending *)arg;
    free(arg);
    kafka_handle_end(ending.rk, 0);
    if (ending.done)
        ending.done(ending.arg);
}

void kafka_handle_destroy(struct loop *loop, rd_kafka_t *rk, void (*done)(void *), void *arg) {
    struct ending *ending = mem_alloc(sizeof *ending);
    *ending = (struct ending){rk, done, arg};
    loop_task(loop, ending_work, NULL, ending);
}

static void *leave_work(void *arg) {
    kafka_handle_end(arg, 0);
    return NULL;
}

/* Blocks signals in the thread, as in its parent. */
void kafka_handle_leave(rd_kafka_t *rk) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, leave_work, rk) == 0)
        pthread_detach(thread);
    else
        kafka_handle_end(rk, 0);
}

bool kafka_handles_destroyed(int64_t timeout_ms) {
    return rd_kafka_wait_destroyed((int)timeout_ms) == 0;
}
