/* Takes the fields of a spec; see spec_fields.h. */
#include "common/model/spec_fields.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/clock.h"
#include "common/base/names.h"
#include "common/crypto/signature.h"
#include "common/json/json_tree.h"
#include "common/model/batch_limits.h"
#include "common/model/oauth2_grant.h"
#include "common/model/pattern.h"
#include "common/model/sns_target.h"
#include "common/model/spec_form.h"
#include "common/model/tls_identity.h"
#include "common/net/url.h"

/* json-c silently clamps numbers above int64. */
#define CURSOR_MAX INT64_C(999999999999999999)
enum {
    DESCRIPTION_BYTES_MAX = 1024,
    HEADERS_BYTES_MAX = 8192,
    SECOND = 1000,
    MINUTE = 60 * SECOND,
    HOUR = 60 * MINUTE,
    DAY = 24 * HOUR
};

/* --- texts */

/* A text of 1 to `max` bytes without NUL, or NULL with the reason. */
static const char *spec_text_of(const char *field, struct json_object *value, size_t max,
                                struct error *err) {
    if (!json_object_is_type(value, json_type_string)) {
        error_set_field(err, field, "must be text (a value that looks like a number needs quotes)");
        return NULL;
    }
    size_t len = (size_t)json_object_get_string_len(value);
    const char *text = json_object_get_string(value);
    if (len == 0 || len > max || strlen(text) != len) {
        error_set_field(
            err, field,
            len ? "must not be longer than %zu bytes, nor hold U+0000" : "must not be empty", max);
        return NULL;
    }
    return text;
}

static int spec_take_text(const char *field, struct json_object *value, size_t max, char **out,
                          struct error *err) {
    const char *text = spec_text_of(field, value, max, err);
    *out = text ? mem_copy_string(text, strlen(text)) : NULL;
    return text ? 0 : -1;
}

static int spec_take_id(struct spec *spec, struct json_object *value, struct error *err) {
    const char *text = spec_text_of("id", value, SPEC_ID_BYTES_MAX, err);
    if (!text)
        return -1;
    for (const char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '_' && *p != '-')
            return error_set_field(err, "id", "may hold only A-Z a-z 0-9 _ -");
    snprintf(spec->id, sizeof spec->id, "%s", text);
    return 0;
}

static int take_secret(struct spec *spec, struct json_object *value, struct error *err) {
    if (spec_take_text("secret", value, SPEC_SECRET_BYTES_MAX, &spec->secret, err))
        return -1;
    return signature_check_secret(spec->secret, err);
}

static int take_url(struct spec *spec, struct json_object *value, const struct spec_rules *rules,
                    struct error *err) {
    if (spec_take_text("url", value, SPEC_URL_BYTES_MAX, &spec->url, err))
        return -1;
    return url_check("url", spec->url, rules->allowed, rules->allowed_count, err);
}

static int take_sns(struct spec *spec, struct json_object *value, const struct spec_rules *rules,
                    struct error *err) {
    spec->sns = sns_target_new(value, rules, err);
    return spec->sns ? 0 : -1;
}

static int take_tls(struct spec *spec, struct json_object *value, const struct spec_rules *rules,
                    struct error *err) {
    spec->tls = tls_identity_new(value, rules, err);
    return spec->tls ? 0 : -1;
}

static int take_oauth2(struct spec *spec, struct json_object *value, const struct spec_rules *rules,
                       struct error *err) {
    spec->oauth2 = oauth2_grant_new(value, rules, err);
    return spec->oauth2 ? 0 : -1;
}

static int take_batch(struct spec *spec, struct json_object *value, const struct spec_rules *rules,
                      struct error *err) {
    return batch_limits_from_tree(&spec->batch, value, rules, err);
}

/* --- lists, numbers, durations */

static int take_topics(struct spec *spec, struct json_object *value, struct error *err) {
    struct error reason;
    size_t count = json_object_is_type(value, json_type_array) ? json_object_array_length(value)
                                                               : 0;
    if (count == 0 || count > SPEC_TOPICS_MAX)
        return error_set_field(
            err, "topics",
            "must be a list of 1 to %d topics, such as [\"drug.copay\", \"appointment.*\"]",
            SPEC_TOPICS_MAX);
    for (size_t i = 0; i < count; i++) {
        const char *topic = spec_text_of("topics", json_object_array_get_idx(value, i),
                                         TOPIC_BYTES_MAX, err);
        if (!topic)
            return -1;
        if (pattern_check(span_of(topic), &reason))
            return error_set_field(err, "topics", "\"%s\" %s", topic, reason.message);
        subscription_add(&spec->subscription, topic);
    }
    return 0;
}

static int take_filter(struct spec *spec, struct json_object *value, struct error *err) {
    const char *text = json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN |
                                                                 JSON_C_TO_STRING_NOSLASHESCAPE);
    if (subscription_set_filter(&spec->subscription, span_of(text), err))
        return -1;
    spec->filter = mem_copy_string(text, strlen(text));
    return 0;
}

static int take_throttle(struct spec *spec, struct json_object *value, struct error *err) {
    bool number = json_object_is_type(value, json_type_int) ||
                  json_object_is_type(value, json_type_double);
    double rate = number ? json_object_get_double(value) : 0;
    if (!number || !(rate >= 0.01 && rate <= 10000))
        return error_set_field(err, "throttle",
                               "must be a number of events a second from 0.01 to 10000");
    spec->throttle = rate;
    return 0;
}

static int take_integer(const char *field, struct json_object *value, int64_t min, int64_t max,
                        int64_t *out, struct error *err) {
    int64_t n = json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : min - 1;
    if (n < min || n > max)
        return error_set_field(err, field, "must be a whole number from %" PRId64 " to %" PRId64,
                               min, max);
    *out = n;
    return 0;
}

static int take_duration(const char *field, struct json_object *value, int64_t min, int64_t max,
                         int64_t *out, struct error *err) {
    const char *text = json_tree_text(value);
    char min_text[CLOCK_TEXT_BYTES], max_text[CLOCK_TEXT_BYTES];
    int64_t ms;
    clock_format_duration(min, min_text);
    clock_format_duration(max, max_text);
    if (clock_parse_duration(text, strlen(text), &ms) || ms < min || ms > max)
        return error_set_field(err, field, "must be a duration such as 15s, from %s to %s",
                               min_text, max_text);
    *out = ms;
    return 0;
}

static int take_from(struct spec *spec, struct json_object *value, struct error *err) {
    const char *text = json_tree_text(value);
    if (json_object_is_type(value, json_type_int)) {
        spec->from = SPEC_FROM_CURSOR;
        return take_integer("from", value, 0, CURSOR_MAX, &spec->from_value, err);
    }
    if (strcmp(text, "end") == 0)
        spec->from = SPEC_FROM_END;
    else if (strcmp(text, "beginning") == 0)
        spec->from = SPEC_FROM_BEGINNING;
    else if (clock_parse(text, strlen(text), &spec->from_value) == 0)
        spec->from = SPEC_FROM_TIME;
    else
        return error_set_field(
            err, "from",
            "must be end, beginning, a cursor, or a time such as 2024-05-07T14:03:11Z");
    return 0;
}

static int take_expires(struct spec *spec, struct json_object *value,
                        const struct spec_rules *rules, struct error *err) {
    const char *text = json_tree_text(value);
    if (clock_parse(text, strlen(text), &spec->expires_ms) || spec->expires_ms <= 0)
        return error_set_field(err, "expires", "must be a time such as 2034-05-07T14:03:11Z");
    if (rules->now_ms && spec->expires_ms <= rules->now_ms)
        return error_set_field(err, "expires", "must lie in the future");
    return 0;
}

static int take_flag(const char *field, struct json_object *value, bool *out, struct error *err) {
    *out = json_object_get_boolean(value);
    return json_object_is_type(value, json_type_boolean)
               ? 0
               : error_set_field(err, field, "must be true or false");
}

static const char *const orderings[] = {
    [SPEC_STRICT] = "strict", [SPEC_KEY] = "key", [SPEC_NONE] = "none"};

const char *spec_ordering_name(enum spec_ordering ordering) { return orderings[ordering]; }

static int take_ordering(struct spec *spec, struct json_object *value, struct error *err) {
    const char *text = json_tree_text(value);
    int found = names_find(orderings, sizeof orderings / sizeof *orderings, text);
    if (found < 0)
        return error_set_field(err, "ordering", "must be strict, key or none");
    spec->ordering = (enum spec_ordering)found;
    return 0;
}

static int take_exhausted(struct spec *spec, struct json_object *value, struct error *err) {
    const char *text = json_tree_text(value);
    spec->dead_letters_all = strcmp(text, "dead_letter") == 0;
    return spec->dead_letters_all || strcmp(text, "wait") == 0
               ? 0
               : error_set_field(err, "exhausted", "must be wait or dead_letter");
}

/* --- headers */

/* Headers set by ESS, HTTP or the connection. A name ending in - is a prefix. */
static bool header_is_reserved(const char *name) {
    static const char *const reserved[] = {
        "Content-Type", "Content-Length", "Content-Encoding",  "User-Agent",  "Host",
        "Connection",   "Keep-Alive",     "Transfer-Encoding", "TE",          "Trailer",
        "Upgrade",      "Expect",         "Accept-Encoding",   "traceparent", "X-ESS-",
        "webhook-",     "Proxy-"};
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        size_t len = strlen(reserved[i]);
        bool prefix = reserved[i][len - 1] == '-';
        if (strncasecmp(name, reserved[i], len) == 0 && (prefix || name[len] == 0))
            return true;
    }
    return false;
}

static int spec_check_header(const struct spec *spec, const char *name, const char *value,
                             struct error *err) {
    size_t len = strlen(value);
    if (!*name || strlen(name) > 128 ||
        name[strspn(
            name, "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")])
        return error_set_field(err, "headers",
                               "must have names of letters, digits and hyphens, not \"%s\"", name);
    if (header_is_reserved(name))
        return error_set_field(err, "headers", "%s is set by ESS itself", name);
    for (const char *p = value; *p; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
            return error_set_field(err, "headers", "the value of %s may hold only printable ASCII",
                                   name);
    if (len && (value[0] == ' ' || value[len - 1] == ' '))
        return error_set_field(err, "headers", "the value of %s must not begin or end with a space",
                               name);
    for (size_t i = 0; i < spec->headers_count; i++)
        if (strcasecmp(spec->headers[i].name, name) == 0)
            return error_set_field(err, "headers", "%s is there twice", name);
    return 0;
}

static int by_name(const void *a, const void *b) {
    const struct spec_header *x = a, *y = b;
    return strcasecmp(x->name, y->name);
}

/* Sorted, so that equal specs give equal bytes. */
static int take_headers(struct spec *spec, struct json_object *value, struct error *err) {
    size_t bytes = 0;
    if (!json_object_is_type(value, json_type_object) ||
        json_object_object_length(value) > SPEC_HEADERS_MAX)
        return error_set_field(err, "headers", "must be a map of at most %d names with values",
                               SPEC_HEADERS_MAX);
    spec->headers = mem_zero((size_t)json_object_object_length(value) * sizeof *spec->headers);
    json_object_object_foreach(value, name, member) {
        const char *text = spec_text_of("headers", member, HEADERS_BYTES_MAX, err);
        if (!text || spec_check_header(spec, name, text, err))
            return -1;
        bytes += strlen(name) + strlen(text) + 4;
        if (bytes > HEADERS_BYTES_MAX)
            return error_set_field(err, "headers", "must not have more than %d bytes in all",
                                   HEADERS_BYTES_MAX);
        spec->headers[spec->headers_count++] = (struct spec_header){
            mem_copy_string(name, strlen(name)), mem_copy_string(text, strlen(text))};
    }
    qsort(spec->headers, spec->headers_count, sizeof *spec->headers, by_name);
    return 0;
}

/* --- all fields */

/* A field whose value needs code of its own: one of the two takers. */
struct spec_field {
    const char *name;
    int (*take)(struct spec *spec, struct json_object *value, struct error *err);
    int (*take_by_rules)(struct spec *spec, struct json_object *value,
                         const struct spec_rules *rules, struct error *err);
};
static const struct spec_field fields[] = {
    {.name = "id", .take = spec_take_id},
    {.name = "url", .take_by_rules = take_url},
    {.name = "sns", .take_by_rules = take_sns},
    {.name = "topics", .take = take_topics},
    {.name = "filter", .take = take_filter},
    {.name = "secret", .take = take_secret},
    {.name = "throttle", .take = take_throttle},
    {.name = "from", .take = take_from},
    {.name = "ordering", .take = take_ordering},
    {.name = "exhausted", .take = take_exhausted},
    {.name = "headers", .take = take_headers},
    {.name = "format", .take = spec_take_format},
    {.name = "content", .take = spec_take_content},
    {.name = "signatures", .take_by_rules = spec_take_signatures},
    {.name = "tls", .take_by_rules = take_tls},
    {.name = "oauth2", .take_by_rules = take_oauth2},
    {.name = "expires", .take_by_rules = take_expires},
    {.name = "batch", .take_by_rules = take_batch},
};

/* A text as it is. */
struct spec_text {
    const char *name;
    size_t max_bytes;
    bool of_file; /* only a YAML file may have the field */
    size_t at;    /* of the char * in struct spec */
};
static const struct spec_text texts[] = {
    {"secret_file", 4095, true, offsetof(struct spec, secret_file)},
    {"description", DESCRIPTION_BYTES_MAX, false, offsetof(struct spec, description)},
    {"owner", DESCRIPTION_BYTES_MAX, false, offsetof(struct spec, owner)},
};

/* True or false. */
struct spec_flag {
    const char *name;
    size_t at; /* of the bool in struct spec */
};
static const struct spec_flag flags[] = {
    {"adaptive", offsetof(struct spec, adaptive)},
    {"handshake", offsetof(struct spec, handshake)},
};

/* A whole number or a duration within bounds. */
struct spec_limit {
    const char *name;
    bool duration; /* in ms */
    int64_t min, max;
    size_t at; /* of the int64_t in struct spec */
};
static const struct spec_limit limits[] = {
    {"max_in_flight", false, 1, SPEC_IN_FLIGHT_MAX, offsetof(struct spec, max_in_flight)},
    {"max_attempts", false, 1, 1000, offsetof(struct spec, max_attempts)},
    {"timeout", true, 100, 5 * MINUTE, offsetof(struct spec, timeout_ms)},
    {"backoff_min", true, 10, HOUR, offsetof(struct spec, backoff_min_ms)},
    {"backoff_max", true, 10, DAY, offsetof(struct spec, backoff_max_ms)},
    {"disable_after", true, MINUTE, 30LL * DAY, offsetof(struct spec, disable_after_ms)},
    {"heartbeat", true, 10 * SECOND, DAY, offsetof(struct spec, heartbeat_ms)},
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static int spec_take_limit(struct spec *spec, const struct spec_limit *limit,
                           struct json_object *value, struct error *err) {
    int64_t *out = (int64_t *)((char *)spec + limit->at);
    return (limit->duration ? take_duration : take_integer)(limit->name, value, limit->min,
                                                            limit->max, out, err);
}

int spec_take_field(struct spec *spec, const char *name, struct json_object *value,
                    const struct spec_rules *rules, struct error *err) {
    for (size_t i = 0; i < COUNT(fields); i++)
        if (strcmp(fields[i].name, name) == 0)
            return fields[i].take ? fields[i].take(spec, value, err)
                                  : fields[i].take_by_rules(spec, value, rules, err);
    for (size_t i = 0; i < COUNT(texts); i++)
        if (strcmp(texts[i].name, name) == 0 && (rules->from_file || !texts[i].of_file))
            return spec_take_text(name, value, texts[i].max_bytes,
                                  (char **)((char *)spec + texts[i].at), err);
    for (size_t i = 0; i < COUNT(flags); i++)
        if (strcmp(flags[i].name, name) == 0)
            return take_flag(name, value, (bool *)((char *)spec + flags[i].at), err);
    for (size_t i = 0; i < COUNT(limits); i++)
        if (strcmp(limits[i].name, name) == 0)
            return spec_take_limit(spec, &limits[i], value, err);
    return rules->from_record ? 0 : error_set_field(err, name, "is no field of a subscriber");
}
