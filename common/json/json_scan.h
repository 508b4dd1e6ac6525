/* One pass over JSON bytes that decides whether they are valid and where the members of the
 * outermost object are.
 *
 * RFC 8259 and UTF-8 (RFC 3629), strictly: no NaN, no single quotes, no leading zeros, no raw
 * control characters, no overlong forms or surrogates, no byte order mark, nothing after the value.
 * Duplicate member names (compared after unescaping) and escaped lone surrogates are refused at any
 * depth. It allocates only to compare member names; its time is linear in the input whatever the
 * input is (names are hashed with a random seed). Any thread. */
#ifndef ESS_MODEL_JSON_SCAN_H
#define ESS_MODEL_JSON_SCAN_H

#include <stddef.h>

#include "common/base/error.h"
#include "common/base/span.h"
#include "common/json/json_string.h" /* json_unescape */

enum json_kind {
    JSON_IS_NULL,
    JSON_IS_BOOL,
    JSON_IS_NUMBER,
    JSON_IS_STRING,
    JSON_IS_ARRAY,
    JSON_IS_OBJECT
};

struct json_member {
    struct span name;  /* between the quotes, as it stands (escapes not resolved) */
    struct span value; /* as it stands; a string with its quotes */
    enum json_kind kind;
};

enum { JSON_DEPTH_MAX = 32 };

/* Checks the whole of `text`, of at most `depth_max` levels of arrays and objects. Returns 0, or -1
 * with a message that tells line, column (in bytes, from 1) and reason, and with the name in
 * err->field when a member is there twice. */
int json_scan(struct span text, unsigned depth_max, struct error *err);

/* The same, where the outermost value must be an object; its members are stored in order. More than
 * `members_max` of them: -1. A member whose name has escapes is stored with them. */
int json_scan_object(struct span text, unsigned depth_max, struct json_member *members,
                     size_t members_max, size_t *members_count, struct error *err);

/* What an array holds. */
struct json_element {
    struct span value;
    enum json_kind kind;
    const struct json_member *members; /* of an object, in order */
    size_t members_count;
};

enum { JSON_ELEMENT_MEMBERS_MAX = 32 };

/* The same for an array: calls `take` for each element in order (their depth counts from the
 * element's own braces: an element may have depth_max levels itself). An object of more than
 * JSON_ELEMENT_MEMBERS_MAX members is refused. Stops with -1 when `take` returns -1 (it has filled
 * err). */
int json_scan_array(struct span text, unsigned depth_max,
                    int (*take)(void *arg, size_t index, const struct json_element *element,
                                struct error *err),
                    void *arg, struct error *err);

#endif
