/* A growing byte buffer. One owner, any thread. Running out of memory aborts. */
#ifndef ESS_BASE_BUF_H
#define ESS_BASE_BUF_H

#include <stddef.h>

#include "common/base/span.h"

struct buf {
    char *data; /* NUL-terminated after `len` bytes once anything was appended; else NULL */
    size_t len;
    size_t cap;
};

void buf_init(struct buf *b); /* all zero is the same */
void buf_fini(struct buf *b);
void buf_clear(struct buf *b); /* keeps the memory */

/* Makes room for `more` further bytes and returns where they go; the caller adds to `len` itself. */
char *buf_reserve(struct buf *b, size_t more);
void buf_append(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends text as a JSON string with its quotes (RFC 8259, section 7). The text must be UTF-8. */
void buf_json_string(struct buf *b, const char *text, size_t len);

/* The content as a string, "" when empty. Valid until the next change. */
const char *buf_string(const struct buf *b);

/* Hands the memory (NUL-terminated, to be freed with free()) to the caller and leaves the buffer empty. */
char *buf_detach(struct buf *b, size_t *len);

/* malloc/calloc/realloc/strndup that abort when memory runs out. */
void *mem_alloc(size_t bytes);
void *mem_zero(size_t bytes);
void *mem_resize(void *old, size_t bytes);
char *mem_copy_string(const char *text, size_t len);

#endif
