/* Checks a JSON string, and resolves its escapes. No allocation. Any thread. */
#ifndef ESS_JSON_JSON_STRING_H
#define ESS_JSON_JSON_STRING_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/span.h"

/* Moves `*at` from after the opening quote to after the closing one. Checks UTF-8 (RFC 3629), the
 * escapes of RFC 8259, raw control characters and lone surrogates. Returns NULL, or the reason with
 * `*at` at the fault. */
const char *json_string_scan(const char **at, const char *end, bool *escaped);

/* Whether the whole of `value` is a valid string with its quotes. For text that another program may
 * have written: the functions below may read only scanned text. */
bool json_string_is_valid(struct span value);

/* Reads the text of a scanned string byte by byte, escapes resolved. */
struct json_string_reader {
    const char *at, *end;
    unsigned char rest[4]; /* of an escaped character */
    int rest_at, rest_count;
};
void json_string_reader_init(struct json_string_reader *reader, struct span inner);
/* The next byte, or -1 at the end. */
int json_string_reader_next(struct json_string_reader *reader);

/* Resolves a scanned string value (with its quotes). Returns the length of its text, or -1 when not
 * below `out_size`; `out` then holds as many whole characters as fit. NUL-terminated; U+0000 counts
 * like any byte. */
long json_unescape(struct span value, char *out, size_t out_size);

#endif
