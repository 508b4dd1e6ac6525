/* Steps through JSON accepted by json_scan, without building anything: members of an object,
 * elements of an array, the extent of a value.
 *
 * Invalid JSON never causes a read outside of the text, but gives meaningless results. No
 * allocation. Any thread. */
#ifndef ESS_JSON_JSON_WALK_H
#define ESS_JSON_JSON_WALK_H

#include <stdbool.h>

#include "common/base/span.h"

/* A position inside an object or an array. */
struct json_walk {
    const char *at, *end;
};

/* Starts before the first member or element. `value` starts with an object or array; text may
 * follow. Any other value has nothing to step to. */
void json_walk_init(struct json_walk *walk, struct span value);

/* Steps to the next member. `name` is the text between the quotes, escapes included; `value` is the
 * text after the colon, strings with quotes. Returns false at the end. */
bool json_walk_member(struct json_walk *walk, struct span *name, struct span *value);

/* json_walk_member in two steps: moves to the next member's value, to be taken or judged in place.
 * Returns false at the end. */
bool json_walk_name(struct json_walk *walk, struct span *name);
struct span json_walk_take(struct json_walk *walk);

/* Steps to the next element of an array. Returns false at the end. */
bool json_walk_element(struct json_walk *walk, struct span *value);

/* The value in `text`, without white space before and any text behind. Empty if none. */
struct span json_walk_value(struct span text);

#endif
