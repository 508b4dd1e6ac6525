/* A piece of the log in memory; see chunk.h. Records are fixed-size entries that point into one run
 * of bytes. */
#include "common/feed/chunk.h"

#include <stdlib.h>
#include <uthash.h>

struct chunk_topic {
    UT_hash_handle hh;
    uint32_t number;
    size_t len;
    char text[];
};

/* An entry's texts follow each other: id, key, traceparent, stored. */
struct chunk_record {
    int64_t cursor;
    int64_t appended_ms;
    size_t at;
    uint32_t topic;
    uint32_t stored_len;
    uint16_t id_len, key_len, trace_len;
    bool newer;
};

/* No record has a cursor within from..to. */
struct chunk_hole {
    int64_t from, to;
};

struct chunk *chunk_new(int64_t from, uint64_t serial) {
    struct chunk *chunk = mem_zero(sizeof *chunk);
    chunk->from = chunk->to = chunk->read_to = from;
    chunk->serial = serial;
    return chunk;
}

void chunk_free(struct chunk *chunk) {
    struct chunk_topic *topic, *next;
    if (!chunk)
        return;
    HASH_ITER(hh, chunk->topics_by_text, topic, next) {
        HASH_DEL(chunk->topics_by_text, topic);
        free(topic);
    }
    free(chunk->topics);
    free(chunk->records);
    free(chunk->holes);
    buf_fini(&chunk->texts);
    free(chunk);
}

static uint32_t chunk_topic_number(struct chunk *chunk, struct span text) {
    struct chunk_topic *topic;
    HASH_FIND(hh, chunk->topics_by_text, text.data, text.len, topic);
    if (topic)
        return topic->number;
    topic = mem_zero(sizeof *topic + text.len);
    topic->number = (uint32_t)chunk->topics_count;
    topic->len = text.len;
    memcpy(topic->text, text.data, text.len);
    HASH_ADD_KEYPTR(hh, chunk->topics_by_text, topic->text, topic->len, topic);
    if (chunk->topics_count == chunk->topics_cap) {
        chunk->topics_cap = chunk->topics_cap ? chunk->topics_cap * 2 : 8;
        chunk->topics = mem_resize(chunk->topics, chunk->topics_cap * sizeof *chunk->topics);
    }
    chunk->topics[chunk->topics_count++] = topic;
    return topic->number;
}

void chunk_add(struct chunk *chunk, const struct feed_event *event) {
    if (chunk->count == chunk->cap) {
        chunk->cap = chunk->cap ? chunk->cap * 2 : 16;
        chunk->records = mem_resize(chunk->records, chunk->cap * sizeof *chunk->records);
    }
    chunk->records[chunk->count++] = (struct chunk_record){
        .cursor = event->cursor,
        .appended_ms = event->appended_ms,
        .at = chunk->texts.len,
        .topic = chunk_topic_number(chunk, event->topic),
        .stored_len = (uint32_t)event->stored.len,
        .id_len = (uint16_t)event->id.len,
        .key_len = (uint16_t)event->key.len,
        .trace_len = (uint16_t)event->traceparent.len,
        .newer = event->newer,
    };
    buf_append(&chunk->texts, event->id.data, event->id.len);
    buf_append(&chunk->texts, event->key.data, event->key.len);
    buf_append(&chunk->texts, event->traceparent.data, event->traceparent.len);
    buf_append(&chunk->texts, event->stored.data, event->stored.len);
    chunk_pass(chunk, event->cursor);
}

void chunk_pass(struct chunk *chunk, int64_t cursor) {
    chunk_extend(chunk, cursor - 1);
    chunk->to = cursor;
}

void chunk_extend(struct chunk *chunk, int64_t to) {
    if (to <= chunk->to)
        return;
    if (chunk->holes_count == chunk->holes_cap) {
        chunk->holes_cap = chunk->holes_cap ? chunk->holes_cap * 2 : 4;
        chunk->holes = mem_resize(chunk->holes, chunk->holes_cap * sizeof *chunk->holes);
    }
    chunk->holes[chunk->holes_count++] = (struct chunk_hole){chunk->to + 1, to};
    chunk->to = to;
}

void chunk_seal(struct chunk *chunk) {
    chunk->records = mem_resize(chunk->records, chunk->count * sizeof *chunk->records);
    chunk->cap = chunk->count;
    chunk->holes = mem_resize(chunk->holes, chunk->holes_count * sizeof *chunk->holes);
    chunk->holes_cap = chunk->holes_count;
    chunk->texts.data = mem_resize(chunk->texts.data, chunk->texts.len + 1);
    chunk->texts.cap = chunk->texts.len + 1;
    chunk->texts.data[chunk->texts.len] = 0;
}

bool chunk_is_full(const struct chunk *chunk, size_t bytes) {
    return chunk->count * sizeof *chunk->records + chunk->texts.len +
               chunk->holes_count * sizeof *chunk->holes >=
           bytes;
}

size_t chunk_bytes(const struct chunk *chunk) {
    return sizeof *chunk + chunk->cap * sizeof *chunk->records + chunk->texts.cap +
           chunk->holes_cap * sizeof *chunk->holes +
           chunk->topics_count * (sizeof(struct chunk_topic) + 40);
}

size_t chunk_find(const struct chunk *chunk, int64_t cursor) {
    size_t low = 0, high = chunk->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (chunk->records[middle].cursor <= cursor)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool chunk_has_hole(const struct chunk *chunk, int64_t above, int64_t below) {
    size_t low = 0, high = chunk->holes_count; /* the first hole ending above `above` */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (chunk->holes[middle].to <= above)
            low = middle + 1;
        else
            high = middle;
    }
    return low < chunk->holes_count && chunk->holes[low].from < below && above + 1 < below;
}

uint32_t chunk_topic_of(const struct chunk *chunk, size_t number) {
    return chunk->records[number].topic;
}

struct span chunk_topic_text(const struct chunk *chunk, uint32_t topic) {
    return (struct span){chunk->topics[topic]->text, chunk->topics[topic]->len};
}

void chunk_get(const struct chunk *chunk, size_t number, struct feed_event *event) {
    const struct chunk_record *r = &chunk->records[number];
    const char *at = chunk->texts.data + r->at;
    event->cursor = r->cursor;
    event->newer = r->newer;
    event->appended_ms = r->appended_ms;
    event->topic = chunk_topic_text(chunk, r->topic);
    event->id = (struct span){at, r->id_len};
    event->key = (struct span){event->id.data + r->id_len, r->key_len};
    event->traceparent = (struct span){event->key.data + r->key_len, r->trace_len};
    event->stored = (struct span){event->traceparent.data + r->trace_len, r->stored_len};
}
