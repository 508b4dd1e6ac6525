/* JSON strings; see json_string.h. */
#include "common/json/json_string.h"

#include "common/base/hex.h"
#include "common/base/utf8.h"

/* The code unit of four hex digits at p, or -1. */
static int code_unit(const char *p, const char *end) {
    int unit = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* Scans after a backslash. Returns the reason, or NULL. */
static const char *scan_escape(const char **at, const char *end) {
    if (*at == end)
        return "the text ends within a string";
    char c = *(*at)++;
    if (c != 'u')
        return memchr("\"\\/bfnrt", c, 8) ? NULL : "an unknown escape";
    int unit = code_unit(*at, end);
    if (unit < 0)
        return "\\u needs four hex digits";
    *at += 4;
    if (unit < 0xd800 || unit > 0xdfff)
        return NULL;
    bool paired = unit <= 0xdbff && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u';
    int low = paired ? code_unit(*at + 2, end) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return "a lone surrogate";
    *at += 6;
    return NULL;
}

const char *json_string_scan(const char **at, const char *end, bool *escaped) {
    const char *p = *at, *reason;
    *escaped = false;
    while (p < end) {
        const char *begin = p;
        unsigned char c = (unsigned char)*p++;
        if (c == '"') {
            *at = p;
            return NULL;
        }
        if (c == '\\') {
            *escaped = true;
            reason = scan_escape(&p, end);
        } else if (c < 0x20) {
            reason = "a control character in a string must be escaped";
        } else if (c >= 0x80) {
            size_t length = utf8_length(begin, (size_t)(end - begin));
            reason = length ? NULL : "not UTF-8";
            p = begin + length;
        } else {
            continue;
        }
        *at = begin;
        if (reason)
            return reason;
    }
    *at = end;
    return "the text ends within a string";
}

bool json_string_is_valid(struct span value) {
    bool escaped;
    if (value.len < 2 || value.data[0] != '"')
        return false;
    const char *at = value.data + 1, *end = value.data + value.len;
    return !json_string_scan(&at, end, &escaped) && at == end;
}

void json_string_reader_init(struct json_string_reader *reader, struct span inner) {
    *reader = (struct json_string_reader){.at = inner.data, .end = inner.data + inner.len};
}

static void put_utf8(struct json_string_reader *r, unsigned code) {
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    r->rest_count = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    r->rest_at = 0;
    for (int i = r->rest_count - 1; i > 0; i--, code >>= 6)
        r->rest[i] = (unsigned char)(0x80 | (code & 0x3f));
    r->rest[0] = (unsigned char)(lead[r->rest_count] | code);
}

static void resolve_escape(struct json_string_reader *r) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = r->at[1];
    r->at += 2;
    if (c != 'u') {
        put_utf8(r, (unsigned char)to[strchr(from, c) - from]);
        return;
    }
    unsigned code = (unsigned)code_unit(r->at, r->end);
    r->at += 4;
    if (code >= 0xd800 && code <= 0xdbff) {
        code = 0x10000 + ((code - 0xd800) << 10) +
               ((unsigned)code_unit(r->at + 2, r->end) - 0xdc00);
        r->at += 6;
    }
    put_utf8(r, code);
}

int json_string_reader_next(struct json_string_reader *r) {
    if (r->rest_at == r->rest_count) {
        if (r->at == r->end)
            return -1;
        if (*r->at != '\\')
            return (unsigned char)*r->at++;
        resolve_escape(r);
    }
    return r->rest[r->rest_at++];
}

long json_unescape(struct span value, char *out, size_t out_size) {
    struct json_string_reader reader;
    size_t len = 0, begin = 0; /* of the last character */
    json_string_reader_init(&reader, (struct span){value.data + 1, value.len - 2});
    for (int c = json_string_reader_next(&reader); c >= 0; c = json_string_reader_next(&reader)) {
        bool continues = (c & 0xc0) == 0x80;
        if (len + 1 >= out_size) {
            out[continues ? begin : len] = 0;
            return -1;
        }
        begin = continues ? begin : len;
        out[len++] = (char)c;
    }
    out[len] = 0;
    return (long)len;
}
