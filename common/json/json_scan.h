/* One pass over JSON bytes: decides whether they are valid, and where the outermost object's
 * members are.
 *
 * Strict RFC 8259 and UTF-8 (RFC 3629): no NaN, no single quotes, no leading zeros, no raw control
 * characters, no overlong forms or surrogates, no byte order mark, nothing after the value. Refuses
 * duplicate member names (compared unescaped) and escaped lone surrogates at any depth. Allocates
 * only to compare member names; runs in linear time on any input (names are hashed with a random
 * seed). Any thread. */
#ifndef ESS_JSON_JSON_SCAN_H
#define ESS_JSON_JSON_SCAN_H

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
    struct span name;  /* between the quotes, escapes unresolved */
    struct span value; /* as in the text; a string with its quotes */
    enum json_kind kind;
};

enum { JSON_DEPTH_MAX = 32 };

/* Checks the whole of `text`, with at most `depth_max` levels of arrays and objects. Returns 0, or
 * -1 with line, column (in bytes, from 1) and reason; for a duplicate member, err->field holds the
 * name. */
int json_scan(struct span text, unsigned depth_max, struct error *err);

/* json_scan for an object, storing its members in order. Returns -1 beyond `members_max` members. A
 * member name may hold escapes. */
int json_scan_object(struct span text, unsigned depth_max, struct json_member *members,
                     size_t members_max, size_t *members_count, struct error *err);

/* The member whose name has no escapes and is `name`, or NULL. */
const struct json_member *json_find_member(const struct json_member *members, size_t count,
                                           const char *name);

/* An element of an array. */
struct json_element {
    struct span value;
    enum json_kind kind;
    const struct json_member *members; /* of an object, in order */
    size_t members_count;
};

enum { JSON_ELEMENT_MEMBERS_MAX = 32 };

/* json_scan for an array, calling `take` for each element in order. Depth counts from the element's
 * own braces: an element may have depth_max levels. Refuses an object of more than
 * JSON_ELEMENT_MEMBERS_MAX members. Stops with -1 when `take` returns -1 (with err filled). */
int json_scan_array(struct span text, unsigned depth_max,
                    int (*take)(void *arg, size_t index, const struct json_element *element,
                                struct error *err),
                    void *arg, struct error *err);

#endif
