/* A growing byte buffer. One owner, any thread. Running out of memory aborts. */
#ifndef ESS_BASE_BUF_H
#define ESS_BASE_BUF_H

#include <stddef.h>

#include "common/base/span.h"

struct buf {
    char *data; /* NULL at first; else NUL-terminated after `len` bytes */
    size_t len;
    size_t cap;
};

void buf_init(struct buf *b); /* all zero is the same */
void buf_fini(struct buf *b);
void buf_wipe(struct buf *b);  /* buf_fini, after its content was overwritten: it held a secret */
void buf_clear(struct buf *b); /* keeps the memory */

/* Makes room for `more` further bytes and returns where they go. Those that were written count
 * after buf_commit. */
char *buf_reserve(struct buf *b, size_t more);
/* `len` of the reserved bytes were written and belong to the content from now on. */
void buf_commit(struct buf *b, size_t len);

void buf_append(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends text as a JSON string with its quotes (RFC 8259, section 7). Control characters are
 * escaped, also DEL and U+0080 to U+009F; a byte that is not UTF-8 becomes U+FFFD: whatever an
 * outsider sent, the string is valid. */
void buf_json_string(struct buf *b, const char *text, size_t len);

/* The content as a string, "" when empty. Valid until the next change. */
const char *buf_string(const struct buf *b);

/* Hands the memory (NUL-terminated, to be freed with free()) to the caller and leaves the buffer
 * empty. */
char *buf_detach(struct buf *b, size_t *len);

/* malloc, calloc and realloc that abort when memory runs out, and give memory for 0 bytes too. */
void *mem_alloc(size_t bytes);
void *mem_zero(size_t bytes);
void *mem_resize(void *old, size_t bytes);
/* Overwrites a secret, and frees it. NULL is nothing. */
void mem_wipe_string(char *secret);
/* Exactly `len` bytes (`text` may be NULL when there are none) with a NUL behind them. */
char *mem_copy_string(const char *text, size_t len);

#endif
