/* Growing byte buffer; see buf.h. */
#include "common/base/buf.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/utf8.h"

void *mem_resize(void *old, size_t bytes) {
    void *p = realloc(old, bytes ? bytes : 1);
    if (!p)
        abort();
    return p;
}

void *mem_alloc(size_t bytes) { return mem_resize(NULL, bytes); }

void *mem_zero(size_t bytes) {
    void *p = calloc(1, bytes ? bytes : 1);
    if (!p)
        abort();
    return p;
}

void mem_wipe_string(char *secret) {
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

char *mem_copy_string(const char *text, size_t len) {
    char *copy = mem_alloc(len + 1);
    if (len)
        memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}

void buf_init(struct buf *b) { *b = (struct buf){0}; }

void buf_fini(struct buf *b) {
    free(b->data);
    buf_init(b);
}

void buf_wipe(struct buf *b) {
    if (b->data)
        explicit_bzero(b->data, b->cap);
    buf_fini(b);
}

void buf_clear(struct buf *b) {
    b->len = 0;
    if (b->data)
        b->data[0] = 0;
}

char *buf_reserve(struct buf *b, size_t more) {
    if (more >= (size_t)-1 / 2 - b->len)
        abort();
    if (b->len + more + 1 > b->cap) {
        size_t cap = b->cap ? b->cap : 64;
        while (cap < b->len + more + 1)
            cap *= 2;
        b->data = mem_resize(b->data, cap);
        b->cap = cap;
        b->data[b->len] = 0;
    }
    return b->data + b->len;
}

void buf_commit(struct buf *b, size_t len) {
    b->len += len;
    b->data[b->len] = 0;
}

void buf_append(struct buf *b, const void *data, size_t len) {
    char *to = buf_reserve(b, len);
    if (len)
        memcpy(to, data, len);
    buf_commit(b, len);
}

void buf_puts(struct buf *b, const char *text) { buf_append(b, text, strlen(text)); }

void buf_printf(struct buf *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (need < 0)
        abort();
    char *to = buf_reserve(b, (size_t)need);
    va_start(args, format);
    vsnprintf(to, (size_t)need + 1, format, args);
    va_end(args);
    buf_commit(b, (size_t)need);
}

static void append_escaped(struct buf *b, unsigned code) {
    static const char short_form[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    if (code == '"' || code == '\\')
        buf_printf(b, "\\%c", (int)code);
    else if (code < sizeof short_form && short_form[code])
        buf_printf(b, "\\%c", short_form[code]);
    else
        buf_printf(b, "\\u%04x", code);
}

static bool is_control(unsigned code) { return code < 0x20 || (code >= 0x7f && code <= 0x9f); }

void buf_json_string(struct buf *b, const char *text, size_t len) {
    size_t start = 0, length;
    buf_append(b, "\"", 1);
    for (size_t i = 0; i < len; i += length) {
        unsigned code = (unsigned char)text[i];
        length = utf8_length(text + i, len - i);
        if (length == 2 && code == 0xc2)
            code = (unsigned char)text[i + 1];
        if (length && !is_control(code) && code != '"' && code != '\\')
            continue;
        buf_append(b, text + start, i - start);
        if (length)
            append_escaped(b, code);
        else
            buf_puts(b, "\xef\xbf\xbd");
        length += !length;
        start = i + length;
    }
    if (start < len)
        buf_append(b, text + start, len - start);
    buf_append(b, "\"", 1);
}

const char *buf_string(const struct buf *b) { return b->data ? b->data : ""; }

char *buf_detach(struct buf *b, size_t *len) {
    buf_reserve(b, 0);
    char *data = b->data;
    if (len)
        *len = b->len;
    buf_init(b);
    return data;
}
