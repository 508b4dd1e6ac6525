/* What fuzz targets share. A target is tests/fuzz/<name>_fuzz.c: libFuzzer calls it with ever new
 * bytes, and it aborts when something does not hold. The bytes are a block of their own, so that
 * the sanitizer sees a step beyond their end. */
#ifndef ESS_TESTS_FUZZ_H
#define ESS_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: must hold: %s\n", __FILE__, __LINE__, #condition);             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static inline struct span bytes(const uint8_t *data, size_t size) {
    return (struct span){(const char *)data, size};
}
static inline struct span content(const struct buf *b) { return (struct span){b->data, b->len}; }

/* The bytes before the first `end`, which are taken off `rest`; all of them when there is none. */
static inline struct span take_until(struct span *rest, char end) {
    const char *at = rest->len ? memchr(rest->data, end, rest->len) : NULL;
    struct span first = {rest->data, at ? (size_t)(at - rest->data) : rest->len};
    size_t taken = first.len + (at != NULL);
    *rest = (struct span){taken ? rest->data + taken : rest->data, rest->len - taken};
    return first;
}

#endif
