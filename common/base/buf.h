/* Growing byte buffer. One owner, any thread. Running out of memory aborts. */
#ifndef ESS_BASE_BUF_H
#define ESS_BASE_BUF_H

#include <stddef.h>

#include "common/base/span.h"

struct buf {
    char *data; /* NULL at first; else NUL-terminated after `len` bytes */
    size_t len;
    size_t cap;
};

void buf_init(struct buf *b); /* or zero the struct */
void buf_fini(struct buf *b);
void buf_wipe(struct buf *b);  /* overwrites the content, a secret, then buf_fini */
void buf_clear(struct buf *b); /* keeps the memory */

/* Makes room for `more` bytes and returns where to write. Only bytes passed to buf_commit become
 * content. */
char *buf_reserve(struct buf *b, size_t more);
/* Adds the first `len` reserved bytes to the content. */
void buf_commit(struct buf *b, size_t len);

void buf_append(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends text as a quoted JSON string (RFC 8259, section 7). Escapes control characters, DEL and
 * U+0080 to U+009F included. Replaces a byte outside UTF-8 by U+FFFD, so that any input gives a
 * valid string. */
void buf_json_string(struct buf *b, const char *text, size_t len);

/* The content as a string, "" when empty. Valid until the next change. */
const char *buf_string(const struct buf *b);

/* Hands the memory (NUL-terminated, freed by free()) to the caller and leaves the buffer empty. */
char *buf_detach(struct buf *b, size_t *len);

/* malloc, calloc and realloc that abort when memory runs out, and return memory for 0 bytes too. */
void *mem_alloc(size_t bytes);
void *mem_zero(size_t bytes);
void *mem_resize(void *old, size_t bytes);
/* Overwrites a secret, and frees it. NULL is allowed. */
void mem_wipe_string(char *secret);
/* Copies exactly `len` bytes and appends a NUL. `text` may be NULL when `len` is 0. */
char *mem_copy_string(const char *text, size_t len);

#endif
