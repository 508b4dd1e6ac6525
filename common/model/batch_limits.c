/* The field `batch`; see batch_limits.h. */
#include "common/model/batch_limits.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/size.h"
#include "common/json/json_tree.h"
#include "common/json/writer.h"
#include "common/model/spec.h"

enum {
    EVENTS_DEFAULT = 100,
    BYTES_DEFAULT = 1024 * 1024,
    BYTES_MIN = 1024,
    WAIT_MAX_MS = 60 * 1000,
};

static int batch_take_events(struct batch_limits *limits, struct json_object *value,
                             struct error *err) {
    limits->max_events = json_object_is_type(value, json_type_int) ? json_object_get_int64(value)
                                                                   : 0;
    return limits->max_events >= 1 && limits->max_events <= BATCH_EVENTS_MAX
               ? 0
               : error_set_field(err, "batch.max_events", "must be a whole number from 1 to %d",
                                 BATCH_EVENTS_MAX);
}

static int batch_take_bytes(struct batch_limits *limits, struct json_object *value,
                            struct error *err) {
    bool number = json_object_is_type(value, json_type_int);
    limits->max_bytes = number ? json_object_get_int64(value) : 0;
    if ((number || size_parse(json_tree_text(value), &limits->max_bytes) == 0) &&
        limits->max_bytes >= BYTES_MIN && limits->max_bytes <= BATCH_BYTES_MAX)
        return 0;
    return error_set_field(err, "batch.max_bytes",
                           "must be a size such as 256KiB, from 1KiB to 4MiB");
}

static int batch_take_wait(struct batch_limits *limits, struct json_object *value,
                           struct error *err) {
    const char *text = json_tree_text(value);
    return clock_parse_duration(text, strlen(text), &limits->max_wait_ms) == 0 &&
                   limits->max_wait_ms >= 0 && limits->max_wait_ms <= WAIT_MAX_MS
               ? 0
               : error_set_field(err, "batch.max_wait",
                                 "must be a duration such as 200ms, from 0s to 60s");
}

static int batch_take(struct batch_limits *limits, const char *name, struct json_object *value,
                      const struct spec_rules *rules, struct error *err) {
    char field[64];
    if (strcmp(name, "max_events") == 0)
        return batch_take_events(limits, value, err);
    if (strcmp(name, "max_bytes") == 0)
        return batch_take_bytes(limits, value, err);
    if (strcmp(name, "max_wait") == 0)
        return batch_take_wait(limits, value, err);
    snprintf(field, sizeof field, "batch.%.32s", name);
    return rules->from_record ? 0 : error_set_field(err, field, "is no field of batch");
}

int batch_limits_from_tree(struct batch_limits *limits, struct json_object *value,
                           const struct spec_rules *rules, struct error *err) {
    if (!json_object_is_type(value, json_type_object))
        return error_set_field(err, "batch",
                               "must be a map with max_events, max_bytes and max_wait");
    *limits = (struct batch_limits){.max_events = EVENTS_DEFAULT, .max_bytes = BYTES_DEFAULT};
    json_object_object_foreach(value, name, member) {
        if (batch_take(limits, name, member, rules, err))
            return -1;
    }
    return 0;
}

void batch_limits_to_json(const struct batch_limits *limits, struct buf *out) {
    char bytes[SIZE_TEXT_BYTES], wait[CLOCK_TEXT_BYTES];
    size_format(limits->max_bytes, bytes);
    if (limits->max_wait_ms)
        clock_format_duration(limits->max_wait_ms, wait);
    else
        snprintf(wait, sizeof wait, "0s");
    json_put_object(out);
    json_member_number(out, "max_events", limits->max_events);
    json_member_string(out, "max_bytes", bytes);
    json_member_string(out, "max_wait", wait);
    json_end_object(out);
}
