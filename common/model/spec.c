/* A subscriber's spec; see spec.h. Reading YAML and JSON shares one validator, over a json-c
 * tree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/clock.h"
#include "common/base/names.h"
#include "common/json/json_scan.h"
#include "common/json/json_tree.h"
#include "common/json/writer.h"
#include "common/model/oauth2_grant.h"
#include "common/model/sns_target.h"
#include "common/model/spec.h"
#include "common/model/spec_fields.h"
#include "common/model/spec_form.h"
#include "common/model/tls_identity.h"
#include "common/net/url.h"

static bool spec_has_header(const struct spec *spec, const char *name) {
    for (size_t i = 0; i < spec->headers_count; i++)
        if (strcasecmp(spec->headers[i].name, name) == 0)
            return true;
    return false;
}

/* Checks fields that need a URL. */
static int spec_check_access(const struct spec *spec, struct error *err) {
    if (spec->tls && !spec->url)
        return error_set_field(err, "tls", "wants a url beside it");
    if (spec->oauth2 && !spec->url)
        return error_set_field(err, "oauth2", "wants a url beside it");
    if (spec->oauth2 && spec_has_header(spec, "Authorization"))
        return error_set_field(err, "headers",
                               "Authorization must not stand beside oauth2, which sets it");
    return 0;
}

bool spec_is_pulled(const struct spec *spec) { return !spec->url && !spec->sns; }

/* Refuses fields that make no sense without an endpoint. A secret most likely means that the url
 * was forgotten. */
static int spec_check_pulled(const struct spec *spec, struct json_object *tree, struct error *err) {
    static const char *const without_endpoint[] = {"id",          "topics", "filter", "from",
                                                   "description", "owner",  "expires"};
    if (!spec_is_pulled(spec))
        return 0;
    if (spec->secret || spec->secret_file)
        return error_set_field(err, "url",
                               "is missing (url, or sns for a topic of AWS SNS); a subscriber "
                               "without both is pulled, and takes no secret");
    json_object_object_foreach(tree, field, value) {
        (void)value;
        if (names_find(without_endpoint, sizeof without_endpoint / sizeof *without_endpoint,
                       field) < 0)
            return error_set_field(err, field,
                                   "needs an endpoint (url, or sns for a topic of AWS SNS); a "
                                   "subscriber without both is pulled");
    }
    return 0;
}

static int spec_check_endpoint(const struct spec *spec, struct error *err) {
    if (spec->url && spec->sns)
        return error_set_field(err, "sns", "must not stand beside url");
    if (spec->sns && spec->headers_count)
        return error_set_field(err, "headers", "must not stand beside sns, which has none");
    return spec_check_access(spec, err);
}

/* Checks fields that depend on the endpoint's answers. An answer of SNS says nothing about the
 * programs that read the topic. */
static int spec_check_answers(const struct spec *spec, struct error *err) {
    const char *field = spec->handshake ? "handshake" : spec->heartbeat_ms ? "heartbeat" : NULL;
    if (field && !spec->url)
        return error_set_field(err, field, "needs a url: only an endpoint can answer");
    return 0;
}

/* Checks fields against each other. */
static int spec_check_together(struct spec *spec, const struct spec_rules *rules,
                               struct error *err) {
    if (rules->from_file && !*spec->id)
        return error_set_field(err, "id", "is missing");
    if (spec_check_endpoint(spec, err) || spec_check_answers(spec, err))
        return -1;
    if (!spec->subscription.patterns_count)
        return error_set_field(err, "topics", "is missing");
    if (spec->secret && spec->secret_file)
        return error_set_field(err, "secret_file", "must not stand beside secret");
    if (rules->from_file && !spec_is_pulled(spec) && !spec->secret && !spec->secret_file)
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
        if (spec_take_field(spec, field, value, rules, err)) {
            spec_fini(spec);
            return -1;
        }
    }
    if (spec_check_together(spec, rules, err) == 0 &&
        (rules->from_record || spec_check_pulled(spec, tree, err) == 0))
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
    if (spec->sns) {
        json_member(out, "sns");
        sns_target_to_json(spec->sns, values, out);
    }
    if (spec->tls) {
        json_member(out, "tls");
        tls_identity_to_json(spec->tls, values, out);
    }
    if (spec->oauth2) {
        json_member(out, "oauth2");
        oauth2_grant_to_json(spec->oauth2, values, out);
    }
}

const char *const spec_secret_fields[SPEC_SECRET_FIELDS] = {"sns", "tls", "oauth2"};

bool spec_put_secrets(const struct spec *spec, const char *field, struct buf *out) {
    if (spec->sns && strcmp(field, "sns") == 0)
        return sns_target_put_secrets(spec->sns, out);
    if (spec->tls && strcmp(field, "tls") == 0)
        return tls_identity_put_secrets(spec->tls, out);
    if (spec->oauth2 && strcmp(field, "oauth2") == 0)
        return oauth2_grant_put_secrets(spec->oauth2, out);
    return false;
}

static void spec_put_expires(const struct spec *spec, struct buf *out) {
    char text[CLOCK_TEXT_BYTES];
    if (!spec->expires_ms)
        return;
    clock_format(spec->expires_ms, text);
    json_member_string(out, "expires", text);
}

static void spec_put_vigil(const struct spec *spec, struct buf *out) {
    if (spec->adaptive)
        json_member_bool(out, "adaptive", true);
    if (spec->handshake)
        json_member_bool(out, "handshake", true);
    if (spec->heartbeat_ms)
        put_duration(out, "heartbeat", spec->heartbeat_ms);
    spec_put_expires(spec, out);
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
        json_member_string(out, "ordering", spec_ordering_name(spec->ordering));
    if (spec->max_in_flight != (spec->ordering == SPEC_STRICT ? 1 : 16))
        json_member_number(out, "max_in_flight", spec->max_in_flight);
    if (spec->batch.max_events) {
        json_member(out, "batch");
        batch_limits_to_json(&spec->batch, out);
    }
    put_duration(out, "timeout", spec->timeout_ms);
    if (spec->max_attempts >= 0)
        json_member_number(out, "max_attempts", spec->max_attempts);
    put_duration(out, "backoff_min", spec->backoff_min_ms);
    put_duration(out, "backoff_max", spec->backoff_max_ms);
    put_duration(out, "disable_after", spec->disable_after_ms);
    if (spec->dead_letters_all)
        json_member_string(out, "exhausted", "dead_letter");
    spec_put_vigil(spec, out);
    if (spec->headers_count)
        spec_put_headers(spec, values, out);
    spec_put_form(spec, out);
    if (spec->description)
        json_member_string(out, "description", spec->description);
    if (spec->owner)
        json_member_string(out, "owner", spec->owner);
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
    tls_identity_free(spec->tls);
    oauth2_grant_free(spec->oauth2);
    mem_wipe_string(spec->secret);
    free(spec->secret_file);
    free(spec->description);
    free(spec->owner);
    *spec = (struct spec){0};
}
