/* Subscribers by HTTP; see subscriber_api.h. */
#include "ingest/api/subscriber_api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/json/body.h"
#include "common/json/json_string.h"
#include "common/json/json_walk.h"
#include "common/json/writer.h"
#include "common/model/sns_target.h"
#include "common/net/url.h"
#include "ingest/access/auth.h"
#include "ingest/api/call.h"
#include "ingest/api/keys.h"
#include "ingest/folder/folder.h"
#include "ingest/ingest.h"
#include "ingest/read/http_reader.h"
#include "ingest/registry/registry.h"
#include "ingest/registry/registry_write.h"
#include "ingest/registry/registry_writer.h"
#include "ingest/registry/subscriber_status.h"
#include "ingest/registry/warnings.h"

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 1000, LIST_BYTES_MAX = 4 * 1024 * 1024 };

/* --- showing */

static char *subscriber_api_masked(const char *url) {
    struct buf out = {0};
    url_mask(url, &out);
    return buf_detach(&out, NULL);
}

/* Shows the spec's fields flat, without secrets, and the status. The query of the URL may be
 * secret and is shown to owners only. */
static void subscriber_api_put_entry(const struct ingest *ingest,
                                     const struct http_request *request,
                                     const struct registry_entry *entry, struct buf *out) {
    json_put_object(out);
    if (entry->readable) {
        bool masks = entry->spec.url && !auth_owns(ingest, request, entry);
        char *url = masks ? subscriber_api_masked(entry->spec.url) : NULL;
        struct spec shown = entry->spec;
        shown.url = url ? url : shown.url;
        spec_put_members(&shown, false, out);
        free(url);
    } else {
        json_member_string(out, "id", entry->id);
    }
    json_member(out, "status");
    subscriber_status_to_json(ingest, entry, out);
    json_end_object(out);
}

/* The entry of a GET without query parameters. NULL: answered. */
static struct registry_entry *subscriber_api_asked_for(struct ingest *ingest,
                                                       struct http_request *request) {
    return http_request_no_query(request) ? call_find_known(ingest, request) : NULL;
}

void subscriber_api_show(void *arg, struct http_request *request) {
    struct buf body = {0};
    char etag[32];
    const struct registry_entry *entry = subscriber_api_asked_for(arg, request);
    if (!entry)
        return;
    subscriber_api_put_entry(arg, request, entry, &body);
    buf_puts(&body, "\n");
    snprintf(etag, sizeof etag, "\"%" PRId64 "\"", entry->generation);
    http_answer_header(request, "ETag", etag);
    http_answer(request, 200, "application/json", &body);
}

void subscriber_api_attempts(void *arg, struct http_request *request) {
    struct buf body = {0};
    const struct registry_entry *entry = subscriber_api_asked_for(arg, request);
    if (!entry)
        return;
    json_put_object(&body);
    json_member(&body, "attempts");
    subscriber_status_attempts(arg, entry, &body);
    json_end_object(&body);
    buf_puts(&body, "\n");
    http_answer(request, 200, "application/json", &body);
}

/* --- the list */

struct list {
    const char *after; /* NULL: from the first */
    int64_t limit;
    int state; /* -1: any */
};

static int subscriber_api_parse_list(const struct http_request *request, struct list *list,
                                     struct error *err) {
    static const char *const known[] = {"state", "limit", "after", NULL};
    const char *state = http_request_query(request, "state");
    *list = (struct list){
        .after = http_request_query(request, "after"), .limit = LIMIT_DEFAULT, .state = -1};
    if (http_request_query_check(request, known, err) ||
        http_reader_number(request, "limit", 1, LIMIT_MAX, &list->limit, err))
        return -1;
    if (state)
        list->state = token_state_of(state);
    return state && list->state < 0
               ? error_set_field(err, "state", "must be active, retrying, paused or disabled")
               : 0;
}

static bool subscriber_api_listed(const struct ingest *ingest, const struct http_request *request,
                                  const struct list *list, const struct registry_entry *entry) {
    struct token token;
    const char *reason;
    if (!auth_sees(ingest, request, entry))
        return false;
    if (list->state < 0)
        return true;
    bool has_token = subscriber_status_token(ingest, entry, &token);
    enum token_state state = subscriber_status_state(ingest, entry, has_token ? &token : NULL,
                                                     &reason);
    if (has_token)
        token_fini(&token);
    return (int)state == list->state;
}

static int subscriber_api_by_id(const void *a, const void *b) {
    return strcmp((*(struct registry_entry *const *)a)->id,
                  (*(struct registry_entry *const *)b)->id);
}

/* The subscribers in force after `after`, sorted; the array is the caller's. */
static struct registry_entry **subscriber_api_sorted(const struct ingest *ingest,
                                                     const struct list *list, size_t *count) {
    struct registry_entry **found = mem_alloc(registry_count(ingest->registry) * sizeof *found);
    *count = 0;
    for (struct registry_entry *e = registry_first(ingest->registry); e; e = e->hh.next)
        if (registry_in_force(e) && (!list->after || strcmp(e->id, list->after) > 0))
            found[(*count)++] = e;
    qsort(found, *count, sizeof(struct registry_entry *), subscriber_api_by_id);
    return found;
}

static void subscriber_api_put_list(const struct ingest *ingest, const struct http_request *request,
                                    const struct list *list, struct buf *body) {
    size_t count;
    struct registry_entry **found = subscriber_api_sorted(ingest, list, &count);
    const struct registry_entry *last = NULL;
    bool more = false;
    int64_t shown = 0;
    json_member_list(body, "subscribers");
    for (size_t i = 0; i < count && !more; i++) {
        if (!subscriber_api_listed(ingest, request, list, found[i]))
            continue;
        if ((more = shown == list->limit || body->len > LIST_BYTES_MAX))
            break;
        subscriber_api_put_entry(ingest, request, found[i], body);
        shown++;
        last = found[i];
    }
    json_end_list(body);
    if (more)
        json_member_string(body, "next", last->id);
    free(found);
}

void subscriber_api_list(void *arg, struct http_request *request) {
    struct ingest *ingest = arg;
    struct list list;
    struct error err;
    struct buf body = {0};
    if (subscriber_api_parse_list(request, &list, &err)) {
        http_problem(request, 400, &err, NULL, 0);
        return;
    }
    if (!call_knows(ingest, request) || !http_answer_has_room(request))
        return;
    json_put_object(&body);
    subscriber_api_put_list(ingest, request, &list, &body);
    json_member_list(&body, "files");
    if (auth_is_admin(ingest, request))
        folder_errors(ingest->folder, &body);
    json_end_list(&body);
    json_end_object(&body);
    buf_puts(&body, "\n");
    http_answer(request, 200, "application/json", &body);
}

/* --- replacing */

/* Headers given as a list of names, as shown, keep their values. */
struct names {
    const struct spec *old;
    struct buf *out;
};

static int subscriber_api_put_header(void *arg, size_t index, const struct json_element *element,
                                     struct error *err) {
    struct names *n = arg;
    struct span value = element->value;
    char name[256];
    (void)index;
    if (element->kind != JSON_IS_STRING || json_unescape(value, name, sizeof name) < 0)
        return error_set_field(
            err, "headers",
            "must be a map of names and values, or a list of names that keep their values");
    for (size_t i = 0; i < n->old->headers_count; i++) {
        const struct spec_header *header = &n->old->headers[i];
        if (strcasecmp(header->name, name) != 0)
            continue;
        json_member_named(n->out, (struct span){value.data + 1, value.len - 2});
        json_put_string(n->out, header->value);
        return 0;
    }
    return error_set_field(err, "headers",
                           "%s has no value yet: give headers as a map of names and values", name);
}

static int subscriber_api_put_headers(const struct registry_entry *entry, struct span names,
                                      struct buf *out, struct error *err) {
    struct names n = {.old = &entry->spec, .out = out};
    json_put_object(out);
    int result = json_scan_array(names, JSON_DEPTH_MAX, subscriber_api_put_header, &n, err);
    json_end_object(out);
    return result;
}

/* The text of a string value. "" for another value. */
static const char *subscriber_api_text(struct span value, char *out, size_t size) {
    return value.len && value.data[0] == '"' && json_unescape(value, out, size) >= 0 ? out : "";
}

/* Credentials that are left out stay while the access key stays. Returns whether they do. */
static bool subscriber_api_put_credentials(const struct sns_target *old, struct span key_id,
                                           bool has_token, struct buf *out) {
    char text[512];
    if (!old || !old->access_key_id ||
        strcmp(subscriber_api_text(key_id, text, sizeof text), old->access_key_id) != 0)
        return false;
    json_member_string(out, "secret_access_key", old->secret_access_key);
    if (old->session_token && !has_token)
        json_member_string(out, "session_token", old->session_token);
    return true;
}

/* Writes `sns` with its credentials. Returns whether credentials of the old spec are kept. */
static bool subscriber_api_put_sns(const struct registry_entry *entry, struct span value,
                                   struct buf *out) {
    struct json_walk walk;
    struct span name, member, key_id = {0};
    bool has_secret = false, has_token = false;
    json_put_object(out);
    for (json_walk_init(&walk, value); json_walk_member(&walk, &name, &member);) {
        if (span_equal(name, span_of("secrets")))
            continue;
        key_id = span_equal(name, span_of("access_key_id")) ? member : key_id;
        has_secret |= span_equal(name, span_of("secret_access_key"));
        has_token |= span_equal(name, span_of("session_token"));
        json_member_named(out, name);
        json_put_raw(out, member);
    }
    bool kept = !has_secret &&
                subscriber_api_put_credentials(entry->spec.sns, key_id, has_token, out);
    json_end_object(out);
    return kept;
}

/* Turns the body into a spec. Members that GET shows may come back. `kept` names the field that
 * keeps secrets of the old spec; NULL: none does. */
static int subscriber_api_put_body(const struct registry_entry *entry, const struct body *body,
                                   struct buf *out, const char **kept, struct error *err) {
    json_put_object(out);
    for (size_t i = 0; i < body->count; i++) {
        const struct json_member *member = &body->members[i];
        if (span_equal(member->name, span_of("status")))
            continue;
        json_member_named(out, member->name);
        if (member->kind == JSON_IS_OBJECT && span_equal(member->name, span_of("sns")))
            *kept = subscriber_api_put_sns(entry, member->value, out) ? "sns" : *kept;
        else if (member->kind != JSON_IS_ARRAY || !span_equal(member->name, span_of("headers")))
            json_put_raw(out, member->value);
        else if (subscriber_api_put_headers(entry, member->value, out, err))
            return -1;
        else
            *kept = member->value.len > 2 ? "headers" : *kept;
    }
    json_end_object(out);
    return 0;
}

/* A URL as shown, without the values of its query, leaves the URL unchanged. */
static void subscriber_api_keep_url(struct spec *spec, const struct spec *old) {
    if (!spec->url || !old->url)
        return;
    char *shown = subscriber_api_masked(old->url);
    if (strcmp(spec->url, shown) == 0) {
        free(spec->url);
        spec->url = mem_copy_string(old->url, strlen(old->url));
    }
    free(shown);
}

/* Secrets are kept for one server only. Otherwise a change of the URL would send them elsewhere. */
static int subscriber_api_check_kept(const struct registry_entry *entry, struct spec *spec,
                                     const char *kept, struct error *err) {
    subscriber_api_keep_url(spec, &entry->spec);
    if (spec_same_server(spec, &entry->spec) || (!kept && spec->secret))
        return 0;
    return error_set_field(err, kept ? kept : "secret", "must be given again, because %s: %s",
                           spec->sns ? "sns has another endpoint or account"
                                     : "the url has another host or port",
                           "secrets are kept for one server only");
}

static int subscriber_api_parse_spec(const struct ingest *ingest,
                                     const struct registry_entry *entry, struct span text,
                                     struct spec *spec, struct error *err) {
    const struct spec_rules rules = ingest_spec_rules(ingest);
    struct buf json = {0};
    struct body body;
    const char *kept = NULL;
    int result = body_parse(&body, text, NULL, err) ||
                         subscriber_api_put_body(entry, &body, &json, &kept, err) ||
                         spec_from_json(spec, (struct span){json.data, json.len}, &rules, err)
                     ? -1
                     : 0;
    buf_wipe(&json);
    if (result)
        return -1;
    if (*spec->id && strcmp(spec->id, entry->id) != 0)
        result = error_set_field(err, "id", "must equal the id in the path");
    if (result || subscriber_api_check_kept(entry, spec, kept, err)) {
        spec_fini(spec);
        return -1;
    }
    memcpy(spec->id, entry->id, sizeof spec->id);
    return 0;
}

/* RFC 9110 13.1.1: "*", or a list of ETags. */
static bool subscriber_api_if_match(const struct http_request *request,
                                    const struct registry_entry *entry) {
    const char *wanted = http_request_header(request, "If-Match");
    char etag[32];
    snprintf(etag, sizeof etag, "\"%" PRId64 "\"", entry->generation);
    return !wanted || strcmp(wanted, "*") == 0 || strstr(wanted, etag);
}

void subscriber_api_replace(void *arg, struct http_request *request) {
    struct ingest *ingest = arg;
    struct spec spec;
    struct error err;
    struct call *call = call_begin(ingest, request, CALL_CHANGES);
    struct registry_entry *entry = call ? call_entry(call) : NULL;
    if (!entry)
        return;
    if (!subscriber_api_if_match(request, entry)) {
        call_changed(call);
        return;
    }
    if (subscriber_api_parse_spec(ingest, entry, http_request_body(request), &spec, &err)) {
        call_refuse(call, 400, &err);
        return;
    }
    if (auth_register(ingest, request, &spec, &err)) {
        call_forbid(call, &err);
    } else {
        struct registry_write *write = registry_write_new(ingest, call->id, call->registration_id,
                                                          entry->keys_offset);
        struct subscriber_record record = registry_writer_record(entry, &spec);
        if (http_request_header(request, "If-Match"))
            registry_write_expect_spec(write, entry->generation);
        if (spec.secret)
            keys_add_secret(call, write, entry, spec.secret);
        registry_writer_add_spec(ingest, write, &record);
        warnings_put(&spec, &call->answer);
        call_send(call, write);
    }
    spec_fini(&spec);
}

/* --- deleting */

void subscriber_api_delete(void *arg, struct http_request *request) {
    struct call *call = call_begin(arg, request, CALL_DELETES);
    if (!call)
        return;
    struct registry_write *write = registry_write_new(call->ingest, call->id, call->registration_id,
                                                      -1);
    registry_writer_add_tombstones(write, call->id);
    call_send(call, write);
}
