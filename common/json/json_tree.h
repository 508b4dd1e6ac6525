/* JSON as json-c's tree, for what is read once and is small: a subscriber, a command, a filter. No
 * number loses anything: written again (json_object_to_json_string) it has the digits that it came
 * with, where json-c's own reader cuts whole numbers at 64 bits. Any thread. */
#ifndef ESS_JSON_JSON_TREE_H
#define ESS_JSON_JSON_TREE_H

#include <json-c/json.h>

#include "common/base/span.h"

/* The tree of a text that json_scan has accepted; its depth must have been bounded there. NULL for
 * `null`. The caller puts it. A string or name with U+0000 is cut there. */
struct json_object *json_tree_of(struct span text);

/* A number, as JSON writes numbers (the text is copied). A whole number beyond int64 has int64's
 * end as its value, as json-c reads it. */
struct json_object *json_tree_number(const char *text);

#endif
