/* librdkafka's messages as records; see message.h. */
#include "common/kafka/message.h"

#include <stdlib.h>

#include "common/base/buf.h"

static size_t read_headers(const rd_kafka_message_t *message, struct message_headers *headers) {
    rd_kafka_headers_t *list;
    if (rd_kafka_message_headers(message, &list))
        return 0;
    const size_t count = rd_kafka_header_cnt(list);
    if (count > headers->cap) {
        headers->room = mem_resize(headers->room, count * sizeof *headers->room);
        headers->cap = count;
    }
    for (size_t i = 0; i < count; i++) {
        struct kafka_header *header = &headers->room[i];
        const void *value = NULL;
        rd_kafka_header_get_all(list, i, &header->name, &value, &header->value.len);
        header->value.data = value;
    }
    return count;
}

void message_read(const rd_kafka_message_t *message, struct message_headers *headers,
                  struct kafka_record *record) {
    rd_kafka_timestamp_type_t type;
    *record = (struct kafka_record){
        .topic = rd_kafka_topic_name(message->rkt),
        .partition = message->partition,
        .offset = message->offset,
        .appended_ms = rd_kafka_message_timestamp(message, &type),
        .key = {message->key, message->key_len},
        .value = {message->payload, message->len},
        .headers_count = read_headers(message, headers),
    };
    record->headers = headers->room;
}

void message_headers_fini(struct message_headers *headers) {
    free(headers->room);
    *headers = (struct message_headers){0};
}
