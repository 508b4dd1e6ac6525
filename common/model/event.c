/* An event's parsing, storing and delivery; see event.h. */
#include "common/model/event.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/number.h"
#include "common/json/json_scan.h"
#include "common/json/writer.h"
#include "common/model/pattern.h"

#define STORED_BEGIN "{\"topic\":\""
enum { STORED_BEGIN_BYTES = sizeof STORED_BEGIN - 1, NAME_BYTES = 64 };

/* --- parsing */

static int take_string(const struct json_member *member, const char *field, char *out,
                       size_t out_size, size_t *len, struct error *err) {
    if (member->kind != JSON_IS_STRING)
        return error_set_field(err, field, "must be a string");
    long length = json_unescape(member->value, out, out_size);
    if (length < 0)
        return error_set_field(err, field, "must not be longer than %zu bytes", out_size - 1);
    if (memchr(out, 0, (size_t)length))
        return error_set_field(err, field, "must not hold U+0000");
    *len = (size_t)length;
    return 0;
}

static int event_take_topic(struct event *event, const struct json_member *member,
                            struct error *err) {
    struct error reason;
    size_t len;
    if (take_string(member, "topic", event->topic, sizeof event->topic, &len, err))
        return -1;
    return topic_check((struct span){event->topic, len}, &reason)
               ? error_set_field(err, "topic", "%s", reason.message)
               : 0;
}

static int event_take_id(struct event *event, const struct json_member *member, struct error *err) {
    size_t len;
    if (take_string(member, "id", event->id, sizeof event->id, &len, err))
        return -1;
    if (len == 0)
        return error_set_field(err, "id", "must not be empty");
    if (strncmp(event->id, "ess-", 4) == 0)
        return error_set_field(err, "id", "must not begin with ess-, which is for ESS itself");
    for (size_t i = 0; i < len; i++)
        if (event->id[i] < 0x21 || event->id[i] > 0x7e || event->id[i] == '.')
            return error_set_field(err, "id",
                                   "may hold only printable ASCII without spaces and dots");
    event->has_own_id = true;
    return 0;
}

static int event_take_key(struct event *event, const struct json_member *member,
                          struct error *err) {
    if (take_string(member, "key", event->key, sizeof event->key, &event->key_len, err))
        return -1;
    if (event->key_len == 0)
        return error_set_field(err, "key", "must not be empty");
    event->has_key = true;
    return 0;
}

static int take_ts(struct event *event, const struct json_member *member, struct error *err) {
    size_t len;
    if (take_string(member, "ts", event->ts, sizeof event->ts, &len, err))
        return -1;
    if (clock_parse(event->ts, len, NULL))
        return error_set_field(
            err, "ts", "must be a date and time after RFC 3339, such as 2024-05-07T14:03:11Z");
    return 0;
}

static int take_cursor(struct event *event, const struct json_member *member, struct error *err) {
    int64_t n = member->kind == JSON_IS_NUMBER ? number_parse(member->value) : -1;
    if (n < 0)
        return error_set_field(err, "cursor",
                               "must be a whole number from 0 to 999999999999999999");
    event->source_cursor = n;
    event->has_source_cursor = true;
    return 0;
}

static int take_data(struct event *event, const struct json_member *member, size_t data_max,
                     bool *too_large, struct error *err) {
    event->data = member->value;
    if (member->value.len <= data_max)
        return 0;
    *too_large = true;
    return error_set_field(
        err, "data",
        "is %zu bytes, but at most %zu are allowed: publish a link to large data instead",
        member->value.len, data_max);
}

static int take_member(struct event *event, const struct json_member *member, size_t data_max,
                       bool *too_large, struct error *err) {
    char name[NAME_BYTES];
    const struct span quoted = {member->name.data - 1, member->name.len + 2};
    long len = json_unescape(quoted, name, sizeof name);
    if (len < 0 || memchr(name, 0, (size_t)len)) /* bytes after a U+0000 count too */
        return error_set_field(err, name, "is no field of an event");
    if (strcmp(name, "topic") == 0)
        return event_take_topic(event, member, err);
    if (strcmp(name, "data") == 0)
        return take_data(event, member, data_max, too_large, err);
    if (strcmp(name, "id") == 0)
        return event_take_id(event, member, err);
    if (strcmp(name, "key") == 0)
        return event_take_key(event, member, err);
    if (strcmp(name, "ts") == 0)
        return take_ts(event, member, err);
    if (strcmp(name, "cursor") == 0)
        return take_cursor(event, member, err);
    return error_set_field(
        err, name, "is no field of an event; the fields are topic, data, key, id, cursor, ts");
}

bool event_id_topic(const char *id, char topic[TOPIC_BYTES_MAX + 1]) {
    const char *colon = strrchr(id, ':');
    size_t len = colon ? (size_t)(colon - id) : 0,
           digits = colon ? strspn(colon + 1, "0123456789") : 0;
    struct error ignored;
    if (len == 0 || len > TOPIC_BYTES_MAX || digits == 0 || colon[1 + digits])
        return false;
    for (size_t i = 0; i < len; i++)
        topic[i] = id[i] == '/' ? '.' : id[i];
    topic[len] = 0;
    return topic_check((struct span){topic, len}, &ignored) == 0;
}

/* Fills in the members that the publisher left out. Without an id, makes the id from the
 * publisher's cursor, so that a repeated publish is a duplicate. */
static void fill_in(struct event *event, const char *made_id, const char *made_ts) {
    if (!event->has_own_id && event->has_source_cursor) {
        snprintf(event->id, sizeof event->id, "%s:%" PRId64, event->topic, event->source_cursor);
        for (char *p = event->id; *p; p++)
            *p = *p == '.' ? '/' : *p;
        event->has_own_id = true;
    } else if (!event->has_own_id) {
        snprintf(event->id, sizeof event->id, "%s", made_id);
    }
    if (!*event->ts)
        snprintf(event->ts, sizeof event->ts, "%s", made_ts);
}

int event_take(struct event *event, const struct json_member *members, size_t count,
               size_t data_max, const char *made_id, const char *made_ts, bool *too_large,
               struct error *err) {
    *event = (struct event){.data = {NULL, 0}};
    *too_large = false;
    for (size_t i = 0; i < count; i++)
        if (take_member(event, &members[i], data_max, too_large, err))
            return -1;
    if (!*event->topic)
        return error_set_field(err, "topic", "is missing");
    if (!event->data.data)
        return error_set_field(err, "data", "is missing");
    event->tombstone = event->has_key && span_equal(event->data, span_of("null"));
    fill_in(event, made_id, made_ts);
    return 0;
}

int event_parse(struct event *event, struct span body, size_t data_max, const char *made_id,
                const char *made_ts, bool *too_large, struct error *err) {
    struct json_member members[JSON_ELEMENT_MEMBERS_MAX];
    size_t count;
    *too_large = false;
    if (json_scan_object(body, JSON_DEPTH_MAX, members, JSON_ELEMENT_MEMBERS_MAX, &count, err))
        return -1;
    return event_take(event, members, count, data_max, made_id, made_ts, too_large, err);
}

/* --- storing */

static void put_envelope(struct buf *out, struct span topic, struct span id, struct span key,
                         struct span ts) {
    json_put_object(out);
    json_member_span(out, "topic", topic);
    json_member_span(out, "id", id);
    if (key.len)
        json_member_span(out, "key", key);
    if (ts.len)
        json_member_span(out, "ts", ts);
}

/* JSON strings hold no raw line break, so every line break is between tokens. */
static void put_data(struct buf *out, struct span data) {
    json_member(out, "data");
    size_t begin = out->len;
    json_put_raw(out, data);
    for (char *p = out->data + begin; p < out->data + out->len; p++)
        *p = *p == '\n' || *p == '\r' ? ' ' : *p;
}

void event_store(const struct event *event, struct buf *out) {
    put_envelope(out, span_of(event->topic), span_of(event->id),
                 (struct span){event->key, event->key_len}, span_of(event->ts));
    if (event->has_source_cursor)
        json_member_number(out, "source_cursor", event->source_cursor);
    put_data(out, event->data);
    json_end_object(out);
}

void event_kafka_key(const struct event *event, struct buf *out) {
    buf_puts(out, event->topic);
    if (event->has_key) {
        buf_puts(out, "/");
        buf_append(out, event->key, event->key_len);
    }
}

void event_store_tombstone(struct span topic, struct span id, struct span key, struct span ts,
                           int64_t source_cursor, bool has_source_cursor, struct buf *out) {
    put_envelope(out, topic, id, key, ts);
    if (has_source_cursor && source_cursor >= 0)
        json_member_number(out, "source_cursor", source_cursor);
    json_member_raw(out, "data", span_of("null"));
    json_end_object(out);
}

/* Skips a member's name, colon, value and comma. Returns NULL unless laid out as event_store
 * does. */
static const char *skip_member(const char *p, const char *end) {
    bool escaped;
    if (*p++ != '"' || json_string_scan(&p, end, &escaped) || p == end || *p++ != ':' || p == end)
        return NULL;
    if (*p == '"') {
        p++;
        if (json_string_scan(&p, end, &escaped))
            return NULL;
    } else {
        while (p < end && *p >= '0' && *p <= '9')
            p++;
    }
    return p < end && *p == ',' ? p + 1 : NULL;
}

struct span event_stored_data(struct span stored) {
    static const char name[] = "\"data\":";
    const size_t name_len = sizeof name - 1;
    const char *end = stored.data + stored.len, *p = stored.len ? stored.data + 1 : NULL;
    while (p && p < end) {
        if ((size_t)(end - p) > name_len && memcmp(p, name, name_len) == 0)
            return (struct span){p + name_len, (size_t)(end - p) - name_len - 1};
        p = skip_member(p, end);
    }
    return (struct span){NULL, 0};
}

/* --- delivering */

bool event_stored_valid(struct span stored, struct span topic) {
    size_t prefix = STORED_BEGIN_BYTES + topic.len + 2;
    return stored.len > prefix && stored.data[stored.len - 1] == '}' &&
           memcmp(stored.data, STORED_BEGIN, STORED_BEGIN_BYTES) == 0 &&
           memcmp(stored.data + STORED_BEGIN_BYTES, topic.data, topic.len) == 0 &&
           memcmp(stored.data + prefix - 2, "\",", 2) == 0;
}

void event_splice(struct span stored, size_t topic_len, int64_t cursor, int64_t prev_cursor,
                  bool compacted, struct buf *out) {
    size_t prefix = STORED_BEGIN_BYTES + topic_len + 1; /* up to the comma after the topic */
    buf_reserve(out, stored.len + 80);
    buf_append(out, stored.data, prefix);
    if (cursor >= 0)
        json_member_number(out, "cursor", cursor);
    if (cursor >= 0 && prev_cursor >= 0)
        json_member_number(out, "prev_cursor", prev_cursor);
    if (compacted)
        json_member_bool(out, "compacted", true);
    buf_append(out, stored.data + prefix, stored.len - prefix);
}
