/* JSON as json-c's tree, for small texts that are read once: a subscriber, a command, a filter.
 * Numbers keep all their digits when written again by json_object_to_json_string (json-c's own
 * reader cuts whole numbers at 64 bits). Any thread. */
#ifndef ESS_JSON_JSON_TREE_H
#define ESS_JSON_JSON_TREE_H

#include <json-c/json.h>

#include "common/base/span.h"

/* Builds the tree of a text that json_scan has accepted with a limit on depth. Returns NULL for
 * `null`. The caller releases the tree by json_object_put. Cuts a string or name at U+0000. */
struct json_object *json_tree_of(struct span text);

/* Makes a number from its JSON text, which is copied. A whole number beyond int64 gets the nearest
 * int64 as its value, as in json-c. */
struct json_object *json_tree_number(const char *text);

/* The text of a string; "" for any other value. Lives as long as the value. */
const char *json_tree_text(struct json_object *value);

#endif
