/* JSON into a buf; see writer.h. Without printf, which would take as long as the rest of an
 * event. */
#include "common/json/writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool writer_needs_comma(const struct buf *out) {
    char last = out->len ? out->data[out->len - 1] : '{';
    return last != '{' && last != '[' && last != ':';
}

void json_put_comma(struct buf *out) {
    if (writer_needs_comma(out))
        buf_append(out, ",", 1);
}

void json_put_object(struct buf *out) {
    json_put_comma(out);
    buf_append(out, "{", 1);
}

void json_end_object(struct buf *out) { buf_append(out, "}", 1); }

void json_put_list(struct buf *out) {
    json_put_comma(out);
    buf_append(out, "[", 1);
}

void json_end_list(struct buf *out) { buf_append(out, "]", 1); }

void json_put_span(struct buf *out, struct span text) {
    json_put_comma(out);
    buf_json_string(out, text.data, text.len);
}

void json_put_string(struct buf *out, const char *text) { json_put_span(out, span_of(text)); }

void json_put_number(struct buf *out, int64_t n) {
    char digits[24], *at = digits + sizeof digits;
    uint64_t rest = n < 0 ? -(uint64_t)n : (uint64_t)n;
    do
        *--at = (char)('0' + rest % 10);
    while (rest /= 10);
    if (n < 0)
        *--at = '-';
    json_put_comma(out);
    buf_append(out, at, (size_t)(digits + sizeof digits - at));
}

void json_put_real(struct buf *out, double n) {
    char text[32];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, n);
        if (fabs(strtod(text, NULL) - n) <= 0)
            break;
    }
    json_put_raw(out, span_of(text));
}

void json_put_bool(struct buf *out, bool truth) {
    json_put_raw(out, span_of(truth ? "true" : "false"));
}

void json_put_raw(struct buf *out, struct span json) {
    if (json.len == 0)
        return;
    json_put_comma(out);
    buf_append(out, json.data, json.len);
}

void json_put_numbers(struct buf *out, const int64_t *list, size_t count) {
    json_put_list(out);
    for (size_t i = 0; i < count; i++)
        json_put_number(out, list[i]);
    json_end_list(out);
}

/* --- members */

void json_member_named(struct buf *out, struct span name) {
    char *to = buf_reserve(out, name.len + 4), *at = to;
    if (writer_needs_comma(out))
        *at++ = ',';
    *at++ = '"';
    memcpy(at, name.data, name.len);
    at += name.len;
    *at++ = '"';
    *at++ = ':';
    buf_commit(out, (size_t)(at - to));
}

void json_member(struct buf *out, const char *name) { json_member_named(out, span_of(name)); }

void json_member_object(struct buf *out, const char *name) {
    json_member(out, name);
    json_put_object(out);
}

void json_member_list(struct buf *out, const char *name) {
    json_member(out, name);
    json_put_list(out);
}

void json_member_string(struct buf *out, const char *name, const char *text) {
    json_member(out, name);
    json_put_string(out, text);
}

void json_member_span(struct buf *out, const char *name, struct span text) {
    json_member(out, name);
    json_put_span(out, text);
}

void json_member_number(struct buf *out, const char *name, int64_t n) {
    json_member(out, name);
    json_put_number(out, n);
}

void json_member_real(struct buf *out, const char *name, double n) {
    json_member(out, name);
    json_put_real(out, n);
}

void json_member_bool(struct buf *out, const char *name, bool truth) {
    json_member(out, name);
    json_put_bool(out, truth);
}

void json_member_raw(struct buf *out, const char *name, struct span json) {
    json_member(out, name);
    json_put_raw(out, json);
}

void json_member_numbers(struct buf *out, const char *name, const int64_t *list, size_t count) {
    json_member(out, name);
    json_put_numbers(out, list, count);
}
