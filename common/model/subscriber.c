/* A subscriber's records; see subscriber.h. Read by json-c, written in a fixed order. */
#include "common/model/subscriber.h"
#include "common/crypto/uuid.h"
#include "common/json/json_scan.h"
#include "common/json/json_tree.h"
#include "common/json/writer.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

/* Puts the members that begin every record of a registration. */
static void put_begin(struct buf *out, const char *registration_id) {
    json_put_object(out);
    json_member_number(out, "v", SUBSCRIBER_VERSION);
    json_member_string(out, "born", registration_id);
}

static void subscriber_put_headers(const struct spec *spec, struct buf *out) {
    json_put_object(out);
    for (size_t i = 0; i < spec->headers_count; i++)
        json_member_string(out, spec->headers[i].name, spec->headers[i].value);
    json_end_object(out);
}

static void put_sealed(struct buf *out, const char *name, const char *id, struct span secret,
                       const struct keyring *keyring) {
    struct buf sealed = {0};
    seal(keyring, span_of(id), secret, &sealed);
    json_member_span(out, name, (struct span){sealed.data, sealed.len});
    buf_fini(&sealed);
}

/* Parses `text` as an object of a known version, or returns NULL. The caller puts the object. */
static struct json_object *subscriber_parse(struct span text, bool *newer, struct error *err) {
    struct json_object *v = NULL, *object = NULL;
    struct error ignored;
    *newer = false;
    if (json_scan(text, JSON_DEPTH_MAX + 1, &ignored) == 0)
        object = json_tree_of(text);
    if (json_object_is_type(object, json_type_object) &&
        json_object_object_get_ex(object, "v", &v) && json_object_is_type(v, json_type_int)) {
        if (json_object_get_int64(v) <= SUBSCRIBER_VERSION)
            return object;
        *newer = true;
        error_set(err, "written by a newer version of ESS (v %" PRId64 ")",
                  json_object_get_int64(v));
    } else {
        error_set(err, "not a record of ESS");
    }
    json_object_put(object);
    return NULL;
}

static const char *get_string(struct json_object *object, const char *name) {
    struct json_object *value;
    bool found = json_object_object_get_ex(object, name, &value) &&
                 json_object_is_type(value, json_type_string);
    return found ? json_object_get_string(value) : NULL;
}

static int get_registration_id(struct json_object *object, char registration_id[37],
                               struct error *err) {
    const char *text = get_string(object, "born");
    if (!text || !uuid_check(text))
        return error_set(err, "born: missing");
    memcpy(registration_id, text, 37);
    return 0;
}

static int open_sealed(struct json_object *object, const char *name, const char *id,
                       const struct keyring *keyring, struct buf *out, bool *old_key,
                       struct error *err) {
    const char *sealed = get_string(object, name);
    bool old = false;
    if (!sealed)
        return error_set_field(err, name, "missing");
    if (seal_open(keyring, span_of(id), span_of(sealed), out, &old, err))
        return -1;
    if (old_key)
        *old_key |= old;
    return 0;
}

/* Appends the object `values`, sealed, and wipes it. */
static void put_sealed_values(struct buf *out, const char *name, const char *id, struct buf *values,
                              const struct keyring *keyring) {
    put_sealed(out, name, id, (struct span){values->data, values->len}, keyring);
    buf_wipe(values);
}

/* Appends, sealed, what the spec shows by name only: values of headers, and secret members of
 * fields. */
static void subscriber_put_secrets(const struct spec *spec, const struct keyring *keyring,
                                   struct buf *out) {
    struct buf values = {0};
    if (spec->headers_count) {
        subscriber_put_headers(spec, &values);
        put_sealed_values(out, "headers", spec->id, &values, keyring);
    }
    for (size_t i = 0; i < SPEC_SECRET_FIELDS; i++) {
        if (spec_put_secrets(spec, spec_secret_fields[i], &values))
            put_sealed_values(out, spec_secret_fields[i], spec->id, &values, keyring);
        buf_clear(&values);
    }
    buf_fini(&values);
}

void subscriber_record_to_json(const struct subscriber_record *r, const struct keyring *keyring,
                               struct buf *out) {
    put_begin(out, r->registration_id);
    json_member_string(out, "source", r->source);
    if (*r->by)
        json_member_string(out, "by", r->by);
    json_member_number(out, "start", r->start);
    if (r->removed)
        json_member_bool(out, "removed", true);
    json_member(out, "spec");
    spec_to_json(&r->spec, false, out);
    subscriber_put_secrets(&r->spec, keyring, out);
    json_end_object(out);
}

/* Opens the object sealed by put_sealed_values. The caller frees it. Returns NULL with the
 * reason. */
static struct json_object *open_sealed_values(struct json_object *object, const char *name,
                                              const char *id, const struct keyring *keyring,
                                              bool *old_key, struct error *err) {
    struct buf opened = {0};
    if (open_sealed(object, name, id, keyring, &opened, old_key, err))
        return NULL;
    struct json_object *values = json_tokener_parse(buf_string(&opened));
    buf_wipe(&opened);
    if (json_object_is_type(values, json_type_object))
        return values;
    json_object_put(values);
    error_set_field(err, name, "is not an object");
    return NULL;
}

/* Puts opened header values under the spec's header names, for the one validator. */
static int restore_headers(struct json_object *object, struct json_object *spec, const char *id,
                           const struct keyring *keyring, bool *old_key, struct error *err) {
    if (!json_object_object_get_ex(spec, "headers", NULL))
        return 0;
    struct json_object *values = open_sealed_values(object, "headers", id, keyring, old_key, err);
    if (!values)
        return -1;
    json_object_object_add(spec, "headers", values);
    return 0;
}

/* Puts the opened secret members of a field into the spec. */
static int restore_secrets(struct json_object *object, struct json_object *spec, const char *field,
                           const char *id, const struct keyring *keyring, bool *old_key,
                           struct error *err) {
    struct json_object *members;
    if (!json_object_object_get_ex(spec, field, &members) ||
        !json_object_is_type(members, json_type_object) ||
        !json_object_object_get_ex(members, "secrets", NULL))
        return 0;
    struct json_object *values = open_sealed_values(object, field, id, keyring, old_key, err);
    if (!values)
        return -1;
    json_object_object_foreach(values, name, value) {
        json_object_object_add(members, name, json_object_get(value));
    }
    json_object_put(values);
    return 0;
}

static int subscriber_read_spec(struct subscriber_record *r, struct json_object *object,
                                const char *id, const struct keyring *keyring, bool *old_key,
                                struct error *err) {
    /* The url was checked at registration; addresses are checked again at each connection. */
    static const struct cidr everywhere = {.bits = 0};
    static const struct spec_rules rules = {
        .allowed = &everywhere, .allowed_count = 1, .from_record = true};
    struct json_object *spec;
    if (!json_object_object_get_ex(object, "spec", &spec) ||
        !json_object_is_type(spec, json_type_object))
        return error_set_field(err, "spec", "missing");
    if (restore_headers(object, spec, id, keyring, old_key, err))
        return -1;
    for (size_t i = 0; i < SPEC_SECRET_FIELDS; i++)
        if (restore_secrets(object, spec, spec_secret_fields[i], id, keyring, old_key, err))
            return -1;
    if (spec_from_tree(&r->spec, spec, &rules, err))
        return -1;
    if (strcmp(r->spec.id, id) == 0)
        return 0;
    spec_fini(&r->spec);
    return error_set_field(err, "id", "is not the record's key");
}

int subscriber_record_from_json(struct subscriber_record *r, const char *id, struct span text,
                                const struct keyring *keyring, bool *newer, bool *old_key,
                                struct error *err) {
    struct json_object *value;
    struct json_object *object = subscriber_parse(text, newer, err);
    *r = (struct subscriber_record){0};
    if (!object)
        return -1;
    const char *source = get_string(object, "source");
    snprintf(r->source, sizeof r->source, "%s", source ? source : "");
    const char *by = get_string(object, "by");
    snprintf(r->by, sizeof r->by, "%s", by ? by : "");
    r->start = json_object_object_get_ex(object, "start", &value) ? json_object_get_int64(value)
                                                                  : 0;
    r->removed = json_object_object_get_ex(object, "removed", &value) &&
                 json_object_get_boolean(value);
    int result = get_registration_id(object, r->registration_id, err) ||
                         subscriber_read_spec(r, object, id, keyring, old_key, err)
                     ? -1
                     : 0;
    json_object_put(object);
    return result;
}

/* --- keys */

static void put_old_secrets(const struct subscriber_keys *keys, const char *id,
                            const struct keyring *keyring, struct buf *out) {
    json_member_list(out, "old");
    for (size_t i = 0; i < keys->old_count; i++) {
        json_put_object(out);
        json_member_number(out, "until", keys->old[i].until_ms);
        put_sealed(out, "secret", id, span_of(keys->old[i].secret), keyring);
        json_end_object(out);
    }
    json_end_list(out);
}

void subscriber_keys_to_json(const struct subscriber_keys *keys, const char *id,
                             const struct keyring *keyring, struct buf *out) {
    put_begin(out, keys->registration_id);
    put_sealed(out, "secret", id, span_of(keys->secret), keyring);
    if (keys->old_count)
        put_old_secrets(keys, id, keyring, out);
    if (*keys->token)
        json_member_string(out, "token", keys->token);
    json_end_object(out);
}

static int subscriber_read_secret(struct json_object *object, const char *id,
                                  const struct keyring *keyring, char **out, bool *old_key,
                                  struct error *err) {
    struct buf secret = {0};
    if (open_sealed(object, "secret", id, keyring, &secret, old_key, err))
        return -1;
    *out = buf_detach(&secret, NULL);
    return 0;
}

static int read_old_secrets(struct subscriber_keys *keys, struct json_object *object,
                            const char *id, const struct keyring *keyring, bool *old_key,
                            struct error *err) {
    struct json_object *list, *until;
    bool is_list = json_object_object_get_ex(object, "old", &list) &&
                   json_object_is_type(list, json_type_array);
    size_t count = is_list ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < count && i < SUBSCRIBER_OLD_SECRETS_MAX; i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        struct subscriber_old_secret *old = &keys->old[i];
        if (!json_object_is_type(one, json_type_object) ||
            !json_object_object_get_ex(one, "until", &until))
            return error_set_field(err, "old",
                                   "is not a list of secrets with the times at which they end");
        if (subscriber_read_secret(one, id, keyring, &old->secret, old_key, err))
            return -1;
        old->until_ms = json_object_get_int64(until);
        keys->old_count++;
    }
    return 0;
}

int subscriber_keys_from_json(struct subscriber_keys *keys, const char *id, struct span text,
                              const struct keyring *keyring, bool *newer, bool *old_key,
                              struct error *err) {
    struct json_object *object = subscriber_parse(text, newer, err);
    *keys = (struct subscriber_keys){0};
    if (!object)
        return -1;
    const char *token = get_string(object, "token");
    snprintf(keys->token, sizeof keys->token, "%s", token ? token : "");
    int result = get_registration_id(object, keys->registration_id, err) ||
                         subscriber_read_secret(object, id, keyring, &keys->secret, old_key, err) ||
                         read_old_secrets(keys, object, id, keyring, old_key, err)
                     ? -1
                     : 0;
    if (result)
        subscriber_keys_fini(keys);
    json_object_put(object);
    return result;
}

void subscriber_keys_fini(struct subscriber_keys *keys) {
    mem_wipe_string(keys->secret);
    for (size_t i = 0; i < keys->old_count; i++)
        mem_wipe_string(keys->old[i].secret);
    *keys = (struct subscriber_keys){0};
}

/* --- desired state */

void subscriber_desired_to_json(const struct subscriber_desired *desired, struct buf *out) {
    put_begin(out, desired->registration_id);
    json_member_bool(out, "paused", desired->paused);
    json_end_object(out);
}

int subscriber_desired_from_json(struct subscriber_desired *desired, struct span text, bool *newer,
                                 struct error *err) {
    struct json_object *paused = NULL, *object = subscriber_parse(text, newer, err);
    int result = -1;
    *desired = (struct subscriber_desired){0};
    if (!object)
        return -1;
    if (!json_object_object_get_ex(object, "paused", &paused) ||
        !json_object_is_type(paused, json_type_boolean))
        error_set_field(err, "paused", "must be true or false");
    else
        result = get_registration_id(object, desired->registration_id, err);
    desired->paused = result == 0 && json_object_get_boolean(paused);
    json_object_put(object);
    return result;
}

/* --- Kafka keys */

static enum subscriber_key subscriber_kind_of(struct span rest) {
    static const struct {
        const char *text;
        bool begins; /* the key only begins with this, and more text must follow */
        enum subscriber_key kind;
    } kinds[] = {
        {"", false, SUBSCRIBER_KEY_SPEC},         {"/keys", false, SUBSCRIBER_KEY_KEYS},
        {"/want", false, SUBSCRIBER_KEY_DESIRED}, {"/ack", false, SUBSCRIBER_KEY_ACKNOWLEDGEMENT},
        {"/cmd/", true, SUBSCRIBER_KEY_COMMAND},  {"/claim/", true, SUBSCRIBER_KEY_RESERVATION}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct span text = span_of(kinds[i].text), head = {rest.data, text.len};
        if (kinds[i].begins ? rest.len > text.len && span_equal(head, text)
                            : span_equal(rest, text))
            return kinds[i].kind;
    }
    return SUBSCRIBER_KEY_OTHER;
}

enum subscriber_key subscriber_key_parse(struct span key, char id[SPEC_ID_BYTES_MAX + 1]) {
    id[0] = 0;
    if (key.len == SUBSCRIBER_CHECK_KEY_BYTES &&
        memcmp(key.data, SUBSCRIBER_CHECK_KEY, key.len) == 0)
        return SUBSCRIBER_KEY_CHECK;
    const char *slash = key.len ? memchr(key.data, '/', key.len) : NULL;
    size_t len = slash ? (size_t)(slash - key.data) : key.len;
    if (len == 0 || len > SPEC_ID_BYTES_MAX || memchr(key.data, 0, len))
        return SUBSCRIBER_KEY_OTHER;
    enum subscriber_key kind = subscriber_kind_of((struct span){key.data + len, key.len - len});
    snprintf(id, SPEC_ID_BYTES_MAX + 1, "%.*s", kind == SUBSCRIBER_KEY_OTHER ? 0 : (int)len,
             key.data);
    return kind;
}

void subscriber_check_to_json(const struct keyring *keyring, struct buf *out) {
    json_put_object(out);
    json_member_number(out, "v", SUBSCRIBER_VERSION);
    put_sealed(out, "check", "", span_of("ess"), keyring);
    json_end_object(out);
}

int subscriber_check_from_json(struct span text, const struct keyring *keyring, bool *old_key,
                               struct error *err) {
    struct buf opened = {0};
    bool newer;
    struct json_object *object = subscriber_parse(text, &newer, err);
    if (!object)
        return -1;
    int result = open_sealed(object, "check", "", keyring, &opened, old_key, err);
    json_object_put(object);
    buf_fini(&opened);
    return result;
}

void subscriber_check_key_id(struct span text, char out[16]) {
    struct error err;
    bool newer;
    struct json_object *object = subscriber_parse(text, &newer, &err);
    const char *sealed = object ? get_string(object, "check") : NULL;
    snprintf(out, 16, "%.*s", sealed ? (int)strcspn(sealed, ":") : 0, sealed ? sealed : "");
    json_object_put(object);
}
