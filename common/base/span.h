/* A run of bytes owned by somebody else. Not NUL-terminated. */
#ifndef ESS_BASE_SPAN_H
#define ESS_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
    const char *data;
    size_t len;
};

static inline struct span span_of(const char *text) {
    return (struct span){text, text ? strlen(text) : 0};
}

static inline bool span_equal(struct span a, struct span b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

#endif
