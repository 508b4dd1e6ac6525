/* Fence records; see fence.h. Numbers are hexadecimal texts, since JSON numbers lose bits above
 * 2^53. */
#include "common/model/fence.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/json/writer.h"

enum { FENCE_VERSION = 1 };

static void put_number(struct buf *out, const char *name, uint64_t n) {
    char text[20];
    snprintf(text, sizeof text, "%016" PRIx64, n);
    json_member_string(out, name, text);
}

void fence_to_json(uint64_t owner, uint64_t assignment, struct buf *out) {
    json_put_object(out);
    json_member_number(out, "v", FENCE_VERSION);
    put_number(out, "owner", owner);
    put_number(out, "assignment", assignment);
    json_end_object(out);
}

static uint64_t fence_number(struct json_object *object, const char *name) {
    struct json_object *value;
    char *end;
    if (!json_object_object_get_ex(object, name, &value) ||
        !json_object_is_type(value, json_type_string))
        return 0;
    errno = 0;
    uint64_t n = strtoull(json_object_get_string(value), &end, 16);
    return errno || *end ? 0 : n;
}

void fence_from_json(struct span text, uint64_t *owner, uint64_t *assignment) {
    struct json_tokener *tokener = json_tokener_new_ex(4);
    struct json_object *object = text.data
                                     ? json_tokener_parse_ex(tokener, text.data, (int)text.len)
                                     : NULL;
    bool readable = json_object_is_type(object, json_type_object);
    *owner = readable ? fence_number(object, "owner") : 0;
    *assignment = readable ? fence_number(object, "assignment") : 0;
    json_object_put(object);
    json_tokener_free(tokener);
}
