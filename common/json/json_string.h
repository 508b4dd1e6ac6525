/* One JSON string: whether it is valid, and its text with the escapes resolved. No allocation. Any
 * thread. */
#ifndef ESS_MODEL_JSON_STRING_H
#define ESS_MODEL_JSON_STRING_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/span.h"

/* Goes from after the opening quote to after the closing one: UTF-8 (RFC 3629), no raw control
 * characters, the escapes of RFC 8259, no lone surrogates. Returns NULL, or the reason, and then
 * `*at` is the place. */
const char *json_string_scan(const char **at, const char *end, bool *escaped);

/* The bytes of what stands between the quotes of a scanned string, one after another, escapes
 * resolved. */
struct json_string_reader {
    const char *at, *end;
    unsigned char rest[4]; /* of the character that an escape stood for */
    int rest_at, rest_count;
};
void json_string_reader_init(struct json_string_reader *reader, struct span inner);
/* The next byte, or -1 at the end. */
int json_string_reader_next(struct json_string_reader *reader);

/* Resolves a scanned string value (with its quotes) to its text. Returns its length, or -1 when it
 * is not below `out_size` (out then holds as many whole characters as fit). NUL-terminated; U+0000
 * counts like any other byte. */
long json_unescape(struct span value, char *out, size_t out_size);

#endif
