/* Kafka's settings; see config.h. */
#include "common/kafka/config.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/names.h"

/* Settings closed to operators: order, durability and read positions depend on them. */
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
    if (names_find(reserved, sizeof reserved / sizeof *reserved, name) >= 0)
        return error_set(err, "ESS depends on its own value of this setting; leave it out");
    if (strncmp(name, "sasl.mechanism", strlen("sasl.mechanism")) == 0 &&
        strcasecmp(value, "OAUTHBEARER") == 0)
        return error_set(err, "ESS cannot renew OAUTHBEARER's tokens: use SCRAM, GSSAPI, PLAIN "
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
