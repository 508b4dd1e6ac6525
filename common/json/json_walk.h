/* Steps through JSON that json_scan has accepted, without building anything: the members of an
 * object, the elements of an array, the extent of a value.
 *
 * Text that is not valid JSON never makes it read outside of the text; what it finds then has no
 * meaning. No allocation. Any thread. */
#ifndef ESS_JSON_JSON_WALK_H
#define ESS_JSON_JSON_WALK_H

#include <stdbool.h>

#include "common/base/span.h"

/* A position inside an object or an array. */
struct json_walk {
    const char *at, *end;
};

/* Starts before the first member or element. `value` is an object or an array as it stands (more
 * text may follow it); with anything else there is nothing to step to. */
void json_walk_init(struct json_walk *walk, struct span value);

/* Steps to the next member. `name` is what stands between the quotes, with its escapes, and `value`
 * what stands behind the colon; a string keeps its quotes. False at the end. */
bool json_walk_member(struct json_walk *walk, struct span *name, struct span *value);

/* The same in two steps: to the value of the next member, which is then taken or judged where it
 * stands. False at the end. */
bool json_walk_name(struct json_walk *walk, struct span *name);
struct span json_walk_take(struct json_walk *walk);

/* Steps to the next element of an array. False at the end. */
bool json_walk_element(struct json_walk *walk, struct span *value);

/* The value in `text` without the white space before it and whatever follows it. Empty when there
 * is none. */
struct span json_walk_value(struct span text);

#endif
