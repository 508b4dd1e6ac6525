/* See event_form.h. The members of ESS's own form are found by one walk over the body, and each
 * form is written from them alone: a member that is not in the table goes nowhere. */
#include "common/model/event_form.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/number.h"
#include "common/base/utf8.h"
#include "common/json/json_string.h"
#include "common/json/json_walk.h"
#include "common/json/writer.h"
#include "common/model/event.h"

/* In the order of ESS's own form. */
enum event_member {
    MEMBER_TOPIC,
    MEMBER_CURSOR,
    MEMBER_PREV_CURSOR,
    MEMBER_COMPACTED,
    MEMBER_ID,
    MEMBER_KEY,
    MEMBER_TS,
    MEMBER_SOURCE_CURSOR,
    MEMBER_DATA,
    MEMBERS
};

static const char *const member_names[MEMBERS] = {
    "topic", "cursor", "prev_cursor", "compacted", "id", "key", "ts", "source_cursor", "data"};

struct event_members {
    struct span of[MEMBERS]; /* as in the body; empty: absent */
};

static void event_form_read(struct span body, struct event_members *members) {
    struct json_walk walk;
    struct span name, value;
    *members = (struct event_members){0};
    for (json_walk_init(&walk, body); json_walk_member(&walk, &name, &value);)
        for (int i = 0; i < MEMBERS; i++)
            if (span_equal(name, span_of(member_names[i])))
                members->of[i] = value;
}

static bool event_form_is_event(struct span body) {
    static const char begin[] = "{\"topic\":\"";
    return body.len > sizeof begin && memcmp(body.data, begin, sizeof begin - 1) == 0;
}

/* --- ESS's own form without data */

static void event_form_put_own(const struct event_members *members, struct buf *out) {
    json_put_object(out);
    for (int i = 0; i < MEMBER_DATA; i++)
        if (members->of[i].len)
            json_member_raw(out, member_names[i], members->of[i]);
    json_end_object(out);
}

/* --- CloudEvents. Names of attributes are lower-case letters and digits. An Integer has 32 bits,
 * so that cursors are Strings. */

static bool event_form_is_string(struct span value) { return value.len > 1 && *value.data == '"'; }

/* A value that is no string, which only another program can have appended, becomes one. */
static void event_form_put_text(struct buf *out, const char *name, struct span value) {
    if (event_form_is_string(value))
        json_member_raw(out, name, value);
    else if (value.len)
        json_member_span(out, name, value);
}

static void event_form_put_source(struct buf *out, const char *feed) {
    struct buf source = {0};
    buf_printf(&source, "ess/%s", feed);
    json_member_string(out, "source", buf_string(&source));
    buf_fini(&source);
}

/* The extension `sequence` compares as text. */
static void event_form_put_cursor(struct buf *out, const char *name, struct span value) {
    char text[24];
    const int64_t cursor = number_parse(value);
    if (cursor < 0)
        return;
    snprintf(text, sizeof text, "%020" PRId64, cursor);
    json_member_string(out, name, text);
}

static uint32_t event_form_code_point(const unsigned char *text, size_t length) {
    static const unsigned char lead[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t point = text[0] & lead[length];
    for (size_t i = 1; i < length; i++)
        point = point << 6 | (text[i] & 0x3f);
    return point;
}

/* Control characters and noncharacters. */
static bool event_form_is_forbidden(uint32_t point) {
    return point < 0x20 || (point >= 0x7f && point <= 0x9f) || (point & 0xfffe) == 0xfffe ||
           (point >= 0xfdd0 && point <= 0xfdef);
}

/* Percent-encodes the characters that CloudEvents forbids in a String. */
static void event_form_put_allowed(struct span text, struct buf *out) {
    for (size_t at = 0, length; at < text.len; at += length) {
        const unsigned char *p = (const unsigned char *)text.data + at;
        length = utf8_length(text.data + at, text.len - at);
        if (length && !event_form_is_forbidden(event_form_code_point(p, length))) {
            buf_append(out, p, length);
            continue;
        }
        length = length ? length : 1;
        for (size_t i = 0; i < length; i++)
            buf_printf(out, "%%%02X", p[i]);
    }
}

/* Puts no subject for a key that is not a string of up to 256 bytes, which only another program can
 * have appended. */
static void event_form_put_subject(struct buf *out, struct span value) {
    char key[EVENT_KEY_BYTES_MAX + 1];
    struct buf subject = {0};
    const long len = json_string_is_valid(value) ? json_unescape(value, key, sizeof key) : 0;
    if (len <= 0)
        return;
    event_form_put_allowed((struct span){key, (size_t)len}, &subject);
    json_member_string(out, "subject", buf_string(&subject));
    buf_fini(&subject);
}

static void event_form_put_time(struct buf *out, struct span value) {
    if (event_form_is_string(value) && clock_parse(value.data + 1, value.len - 2, NULL) == 0)
        json_member_raw(out, "time", value);
}

static void event_form_put_data(struct buf *out, struct span data) {
    if (!data.len)
        return;
    json_member_string(out, "datacontenttype", "application/json");
    json_member_raw(out, "data", data);
}

static void event_form_put_cloudevent(struct event_form form, const char *feed,
                                      const struct event_members *members, struct buf *out) {
    const struct span *of = members->of;
    json_put_object(out);
    json_member_string(out, "specversion", "1.0");
    event_form_put_text(out, "id", of[MEMBER_ID]);
    event_form_put_source(out, feed);
    event_form_put_text(out, "type", of[MEMBER_TOPIC]);
    event_form_put_subject(out, of[MEMBER_KEY]);
    event_form_put_time(out, of[MEMBER_TS]);
    event_form_put_cursor(out, "sequence", of[MEMBER_CURSOR]);
    event_form_put_cursor(out, "essprevcursor", of[MEMBER_PREV_CURSOR]);
    if (of[MEMBER_COMPACTED].len)
        json_member_bool(out, "esscompacted", true);
    event_form_put_text(out, "esssourcecursor", of[MEMBER_SOURCE_CURSOR]);
    if (!form.without_data)
        event_form_put_data(out, of[MEMBER_DATA]);
    json_end_object(out);
}

/* --- one event */

bool event_form_changes(struct event_form form, struct span body) {
    return (form.format != EVENT_FORMAT_ESS || form.without_data) && event_form_is_event(body);
}

void event_form_put(struct event_form form, const char *feed, struct span body, struct buf *out) {
    struct event_members members;
    if (!event_form_changes(form, body)) {
        json_put_raw(out, body);
        return;
    }
    event_form_read(body, &members);
    if (form.format == EVENT_FORMAT_CLOUDEVENTS)
        event_form_put_cloudevent(form, feed, &members, out);
    else
        event_form_put_own(&members, out);
}

const char *event_form_type(struct event_form form, struct span body) {
    return form.format == EVENT_FORMAT_CLOUDEVENTS && event_form_is_event(body)
               ? "application/cloudevents+json"
               : "application/json";
}

/* --- several */

void event_form_begin_batch(struct event_form form, struct buf *out) {
    if (form.format == EVENT_FORMAT_CLOUDEVENTS) {
        json_put_list(out);
        return;
    }
    json_put_object(out);
    json_member_list(out, "events");
}

void event_form_end_batch(struct event_form form, struct buf *out) {
    json_end_list(out);
    if (form.format != EVENT_FORMAT_CLOUDEVENTS)
        json_end_object(out);
}

const char *event_form_batch_type(struct event_form form) {
    return form.format == EVENT_FORMAT_CLOUDEVENTS ? "application/cloudevents-batch+json"
                                                   : "application/json";
}
