/* A subscriber's spec; see spec.h. Reading YAML and JSON shares one validator, over a json-c
 * tree. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/clock.h"
#include "common/base/names.h"
#include "common/crypto/signature.h"
#include "common/json/json_scan.h"
#include "common/json/json_tree.h"
#include "common/json/writer.h"
#include "common/model/pattern.h"
#include "common/model/sns_target.h"
#include "common/model/spec.h"
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
    const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value)
                                                                    : "";
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
    const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value)
                                                                    : "";
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

static const char *const orderings[] = {
    [SPEC_STRICT] = "strict", [SPEC_KEY] = "key", [SPEC_NONE] = "none"};

static int take_ordering(struct spec *spec, struct json_object *value, struct error *err) {
    const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value)
                                                                    : "";
    int found = names_find(orderings, sizeof orderings / sizeof *orderings, text);
    if (found < 0)
        return error_set_field(err, "ordering", "must be strict, key or none");
    spec->ordering = (enum spec_ordering)found;
    return 0;
}

static int take_exhausted(struct spec *spec, struct json_object *value, struct error *err) {
    const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value)
                                                                    : "";
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

/* --- the whole */

static int take_limits(struct spec *spec, const char *field, struct json_object *value,
                       const struct spec_rules *rules, struct error *err) {
    if (strcmp(field, "max_in_flight") == 0)
        return take_integer(field, value, 1, SPEC_IN_FLIGHT_MAX, &spec->max_in_flight, err);
    if (strcmp(field, "max_attempts") == 0)
        return take_integer(field, value, 1, 1000, &spec->max_attempts, err);
    if (strcmp(field, "timeout") == 0)
        return take_duration(field, value, 100, 5 * MINUTE, &spec->timeout_ms, err);
    if (strcmp(field, "backoff_min") == 0)
        return take_duration(field, value, 10, HOUR, &spec->backoff_min_ms, err);
    if (strcmp(field, "backoff_max") == 0)
        return take_duration(field, value, 10, DAY, &spec->backoff_max_ms, err);
    if (strcmp(field, "disable_after") == 0)
        return take_duration(field, value, MINUTE, 30LL * DAY, &spec->disable_after_ms, err);
    return rules->from_record ? 0 : error_set_field(err, field, "is no field of a subscriber");
}

static int take_field(struct spec *spec, const char *field, struct json_object *value,
                      const struct spec_rules *rules, struct error *err) {
    if (strcmp(field, "id") == 0)
        return spec_take_id(spec, value, err);
    if (strcmp(field, "url") == 0)
        return take_url(spec, value, rules, err);
    if (strcmp(field, "sns") == 0)
        return take_sns(spec, value, rules, err);
    if (strcmp(field, "topics") == 0)
        return take_topics(spec, value, err);
    if (strcmp(field, "filter") == 0)
        return take_filter(spec, value, err);
    if (strcmp(field, "secret") == 0)
        return take_secret(spec, value, err);
    if (strcmp(field, "secret_file") == 0 && rules->from_file)
        return spec_take_text(field, value, 4095, &spec->secret_file, err);
    if (strcmp(field, "throttle") == 0)
        return take_throttle(spec, value, err);
    if (strcmp(field, "from") == 0)
        return take_from(spec, value, err);
    if (strcmp(field, "ordering") == 0)
        return take_ordering(spec, value, err);
    if (strcmp(field, "exhausted") == 0)
        return take_exhausted(spec, value, err);
    if (strcmp(field, "headers") == 0)
        return take_headers(spec, value, err);
    if (strcmp(field, "description") == 0)
        return spec_take_text(field, value, DESCRIPTION_BYTES_MAX, &spec->description, err);
    return take_limits(spec, field, value, rules, err);
}

static int spec_check_endpoint(const struct spec *spec, struct error *err) {
    if (!spec->url && !spec->sns)
        return error_set_field(err, "url", "is missing (url, or sns for a topic of AWS SNS)");
    if (spec->url && spec->sns)
        return error_set_field(err, "sns", "must not stand beside url");
    if (spec->sns && spec->headers_count)
        return error_set_field(err, "headers", "must not stand beside sns, which has none");
    return 0;
}

/* Checks fields against each other. */
static int spec_check_together(struct spec *spec, const struct spec_rules *rules,
                               struct error *err) {
    if (rules->from_file && !*spec->id)
        return error_set_field(err, "id", "is missing");
    if (spec_check_endpoint(spec, err))
        return -1;
    if (!spec->subscription.patterns_count)
        return error_set_field(err, "topics", "is missing");
    if (spec->secret && spec->secret_file)
        return error_set_field(err, "secret_file", "must not stand beside secret");
    if (rules->from_file && !spec->secret && !spec->secret_file)
        return error_set_field(err, "secret", "is missing (secret or secret_file)");
    if (spec->ordering == SPEC_STRICT && spec->max_in_flight > 1)
        return error_set_field(err, "max_in_flight", "must be 1 while ordering is strict");
    if (spec->backoff_min_ms >= 0 && spec->backoff_max_ms >= 0 &&
        spec->backoff_max_ms < spec->backoff_min_ms)
        return error_set_field(err, "backoff_max", "must not be below backoff_min");
    if (spec->max_in_flight == 0)
        spec->max_in_flight = spec->ordering == SPEC_STRICT ? 1 : 16;
    return 0;
}

int spec_from_tree(struct spec *spec, struct json_object *tree, const struct spec_rules *rules,
                   struct error *err) {
    *spec = (struct spec){.timeout_ms = -1,
                          .max_attempts = -1,
                          .backoff_min_ms = -1,
                          .backoff_max_ms = -1,
                          .disable_after_ms = -1};
    json_object_object_foreach(tree, field, value) {
        if (take_field(spec, field, value, rules, err)) {
            spec_fini(spec);
            return -1;
        }
    }
    if (spec_check_together(spec, rules, err) == 0)
        return 0;
    spec_fini(spec);
    return -1;
}

/* json-c cuts a name at U+0000, and would then mix up names. */
static bool holds_zero_character(struct span text) {
    for (size_t i = 0; i + 6 <= text.len; i++) {
        if (text.data[i] != '\\')
            continue;
        if (memcmp(text.data + i, "\\u0000", 6) == 0)
            return true;
        i++; /* skip the escaped character */
    }
    return false;
}

int spec_from_json(struct spec *spec, struct span text, const struct spec_rules *rules,
                   struct error *err) {
    enum { MEMBERS_MAX = 64 };
    struct json_member members[MEMBERS_MAX];
    size_t count;
    if (text.len > SPEC_FILE_BYTES_MAX)
        return error_set(err, "must not be larger than %d bytes", SPEC_FILE_BYTES_MAX);
    if (json_scan_object(text, JSON_DEPTH_MAX, members, MEMBERS_MAX, &count, err))
        return -1;
    if (holds_zero_character(text))
        return error_set(err, "must not hold U+0000");
    struct json_object *tree = json_tree_of(text);
    int result = spec_from_tree(spec, tree, rules, err);
    json_object_put(tree);
    return result;
}

static void put_duration(struct buf *out, const char *name, int64_t ms) {
    char text[CLOCK_TEXT_BYTES];
    if (ms < 0)
        return;
    clock_format_duration(ms, text);
    json_member_string(out, name, text);
}

static void spec_put_headers(const struct spec *spec, bool values, struct buf *out) {
    (values ? json_member_object : json_member_list)(out, "headers");
    for (size_t i = 0; i < spec->headers_count; i++) {
        if (values)
            json_member_string(out, spec->headers[i].name, spec->headers[i].value);
        else
            json_put_string(out, spec->headers[i].name);
    }
    (values ? json_end_object : json_end_list)(out);
}

static void put_topics(const struct spec *spec, struct buf *out) {
    json_member_list(out, "topics");
    for (size_t i = 0; i < spec->subscription.patterns_count; i++)
        json_put_string(out, spec->subscription.patterns[i]);
    json_end_list(out);
}

static void spec_put_endpoint(const struct spec *spec, bool values, struct buf *out) {
    if (spec->url)
        json_member_string(out, "url", spec->url);
    if (!spec->sns)
        return;
    json_member(out, "sns");
    sns_target_to_json(spec->sns, values, out);
}

void spec_put_members(const struct spec *spec, bool values, struct buf *out) {
    json_member_string(out, "id", spec->id);
    spec_put_endpoint(spec, values, out);
    put_topics(spec, out);
    if (spec->filter)
        json_member_raw(out, "filter", span_of(spec->filter));
    if (spec->throttle > 0)
        json_member_real(out, "throttle", spec->throttle);
    if (spec->ordering != SPEC_STRICT)
        json_member_string(out, "ordering", orderings[spec->ordering]);
    if (spec->max_in_flight != (spec->ordering == SPEC_STRICT ? 1 : 16))
        json_member_number(out, "max_in_flight", spec->max_in_flight);
    put_duration(out, "timeout", spec->timeout_ms);
    if (spec->max_attempts >= 0)
        json_member_number(out, "max_attempts", spec->max_attempts);
    put_duration(out, "backoff_min", spec->backoff_min_ms);
    put_duration(out, "backoff_max", spec->backoff_max_ms);
    put_duration(out, "disable_after", spec->disable_after_ms);
    if (spec->dead_letters_all)
        json_member_string(out, "exhausted", "dead_letter");
    if (spec->headers_count)
        spec_put_headers(spec, values, out);
    if (spec->description)
        json_member_string(out, "description", spec->description);
}

void spec_to_json(const struct spec *spec, bool values, struct buf *out) {
    json_put_object(out);
    spec_put_members(spec, values, out);
    json_end_object(out);
}

/* What `put` writes of both, values included, is the same. */
static bool spec_writes_same(const struct spec *a, const struct spec *b,
                             void (*put)(const struct spec *spec, bool values, struct buf *out)) {
    struct buf one = {0}, other = {0};
    put(a, true, &one);
    put(b, true, &other);
    bool equal = strcmp(buf_string(&one), buf_string(&other)) == 0;
    buf_wipe(&one); /* header values and credentials are secret */
    buf_wipe(&other);
    return equal;
}

bool spec_equal(const struct spec *a, const struct spec *b) {
    return spec_writes_same(a, b, spec_to_json);
}

bool spec_same_endpoint(const struct spec *a, const struct spec *b) {
    return spec_writes_same(a, b, spec_put_endpoint);
}

bool spec_same_server(const struct spec *a, const struct spec *b) {
    if (a->url && b->url)
        return url_same_server(a->url, b->url);
    return a->sns && b->sns && sns_target_same_server(a->sns, b->sns);
}

void spec_fini(struct spec *spec) {
    for (size_t i = 0; i < spec->headers_count; i++) {
        free(spec->headers[i].name);
        mem_wipe_string(spec->headers[i].value);
    }
    subscription_fini(&spec->subscription);
    free(spec->headers);
    free(spec->url);
    free(spec->filter);
    sns_target_free(spec->sns);
    mem_wipe_string(spec->secret);
    free(spec->secret_file);
    free(spec->description);
    *spec = (struct spec){0};
}
