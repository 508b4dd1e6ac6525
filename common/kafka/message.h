/* Converts librdkafka's messages to records. Only common/kafka includes this. */
#ifndef ESS_KAFKA_MESSAGE_H
#define ESS_KAFKA_MESSAGE_H

#include <librdkafka/rdkafka.h>

#include "common/kafka/record.h"

/* Room for the headers of one record; all zero at first. */
struct message_headers {
    struct kafka_header *room;
    size_t cap;
};

/* Points `record` into the message, and its headers into `headers`. */
void message_read(const rd_kafka_message_t *message, struct message_headers *headers,
                  struct kafka_record *record);
void message_headers_fini(struct message_headers *headers);

#endif
