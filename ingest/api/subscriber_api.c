/* Subscribers by HTTP; see subscriber_api.h. */
#include "ingest/api/subscriber_api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/json/body.h"
#include "common/json/writer.h"
#include "common/model/oauth2_grant.h"
#include "ingest/access/auth.h"
#include "ingest/api/call.h"
#include "ingest/api/kept_secrets.h"
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

/* The query of a URL may be secret and is shown to owners only. */
static void subscriber_api_put_spec(const struct spec *spec, bool owner, struct buf *out) {
    struct spec shown = *spec;
    struct oauth2_grant grant;
    if (owner) {
        spec_put_members(spec, false, out);
        return;
    }
    shown.url = spec->url ? kept_secrets_shown_url(spec->url) : NULL;
    if (spec->oauth2) {
        grant = *spec->oauth2;
        grant.token_url = kept_secrets_shown_url(grant.token_url);
        shown.oauth2 = &grant;
    }
    spec_put_members(&shown, false, out);
    free(shown.url);
    if (spec->oauth2)
        free(grant.token_url);
}

/* Shows the spec's fields flat, without secrets, and the status. */
static void subscriber_api_put_entry(const struct ingest *ingest,
                                     const struct http_request *request,
                                     const struct registry_entry *entry, struct buf *out) {
    json_put_object(out);
    if (entry->readable) {
        subscriber_api_put_spec(&entry->spec, auth_owns(ingest, request, entry), out);
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
               ? error_set_field(err, "state",
                                 "must be active, retrying, paused, disabled or pending")
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

static int subscriber_api_parse_spec(const struct ingest *ingest,
                                     const struct registry_entry *entry, struct span text,
                                     struct spec *spec, struct error *err) {
    struct spec_rules rules = ingest_spec_rules(ingest);
    struct buf json = {0};
    struct body body;
    struct kept_secrets kept;
    rules.now_ms = clock_wall_ms();
    int result = body_parse(&body, text, NULL, err) ||
                         kept_secrets_put_body(&kept, &entry->spec, &body, &json, err) ||
                         spec_from_json(spec, (struct span){json.data, json.len}, &rules, err)
                     ? -1
                     : 0;
    buf_wipe(&json);
    if (result)
        return -1;
    if (*spec->id && strcmp(spec->id, entry->id) != 0)
        result = error_set_field(err, "id", "must equal the id in the path");
    if (result || kept_secrets_check(&kept, spec, err)) {
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
    } else if (auth_own_credentials(ingest, request, &entry->spec, &spec, &err)) {
        call_refuse(call, 403, &err);
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
