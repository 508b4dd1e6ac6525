/* Calls about one subscriber; see call.h. The route's rule was checked before the handler. Here
 * only the right to see this subscriber is left to check. */
#include "ingest/api/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json/writer.h"
#include "ingest/access/auth.h"
#include "ingest/ingest.h"
#include "ingest/registry/registry.h"
#include "ingest/registry/registry_write.h"
#include "ingest/registry/registry_writer.h"

enum { RETRY_AFTER_S = 1 };

static void call_not_found(struct http_request *request, const char *id) {
    struct error err;
    error_set(&err, "there is no subscriber %s", id);
    http_problem(request, 404, &err, NULL, 0);
}

static void call_not_ready(struct http_request *request) {
    struct error err;
    error_set(&err, "Kafka does not answer, or the subscribers have not been read yet");
    http_problem(request, 503, &err, NULL, RETRY_AFTER_S);
}

bool call_knows(const struct ingest *ingest, struct http_request *request) {
    if (!ingest_knows_subscribers(ingest))
        call_not_ready(request);
    return ingest_knows_subscribers(ingest);
}

static struct registry_entry *call_visible_entry(struct ingest *ingest,
                                                 struct http_request *request, bool removed_too) {
    const char *id = http_request_segment(request, 0);
    struct registry_entry *entry = registry_find(ingest->registry, id);
    bool there = registry_in_force(entry) || (removed_too && entry && entry->known);
    if (there && auth_sees(ingest, request, entry))
        return entry;
    call_not_found(request, id);
    return NULL;
}

static struct registry_entry *call_look_up(struct ingest *ingest, struct http_request *request,
                                           bool removed_too) {
    if (ingest_ready(ingest))
        return call_visible_entry(ingest, request, removed_too);
    call_not_ready(request);
    return NULL;
}

struct registry_entry *call_find(struct ingest *ingest, struct http_request *request) {
    return call_look_up(ingest, request, false);
}

struct registry_entry *call_find_known(struct ingest *ingest, struct http_request *request) {
    return call_knows(ingest, request) ? call_visible_entry(ingest, request, false) : NULL;
}

static void call_on_gone(void *arg) {
    struct call *call = arg;
    call->request = NULL;
}

static void call_free(struct call *call) {
    if (call->free_data)
        call->free_data(call->data);
    buf_wipe(&call->answer);
    free(call);
}

static int call_check_kind(const struct registry_entry *entry, enum call_kind kind,
                           struct error *err) {
    if (!entry->readable && (kind != CALL_DELETES || entry->newer))
        return error_set(err, "%s", entry->faults[REGISTRY_SPEC].reason);
    if (kind != CALL_COMMANDS && registry_is_file(entry) && !entry->removed)
        return error_set(err, "the subscriber is defined by %s: change that file instead",
                         entry->source);
    return 0;
}

struct call *call_begin(struct ingest *ingest, struct http_request *request, enum call_kind kind) {
    struct error err;
    struct registry_entry *entry = http_request_no_query(request)
                                       ? call_look_up(ingest, request, kind == CALL_DELETES)
                                       : NULL;
    if (!entry)
        return NULL;
    if (call_check_kind(entry, kind, &err)) {
        http_problem(request, 409, &err, NULL, 0);
        return NULL;
    }
    struct call *call = mem_zero(sizeof *call);
    *call = (struct call){.ingest = ingest, .request = request, .generation = -1};
    memcpy(call->id, entry->id, sizeof call->id);
    memcpy(call->registration_id, entry->registration_id, sizeof call->registration_id);
    http_request_on_gone(request, call_on_gone, call);
    return call;
}

struct registry_entry *call_entry(struct call *call) {
    struct registry *registry = call->ingest->registry;
    struct registry_entry *entry = registry ? registry_find(registry, call->id) : NULL;
    if (registry_in_force(entry) && entry->readable &&
        strcmp(entry->registration_id, call->registration_id) == 0)
        return entry;
    if (call->request)
        call_not_found(call->request, call->id);
    call_free(call);
    return NULL;
}

void call_refuse(struct call *call, unsigned status, const struct error *err) {
    if (call->request)
        http_problem(call->request, status, err, NULL, status == 503 ? RETRY_AFTER_S : 0);
    call_free(call);
}

void call_forbid(struct call *call, const struct error *err) {
    if (call->request)
        authenticator_refuse(call->request, err);
    call_free(call);
}

void call_changed(struct call *call) {
    struct error err;
    error_set(&err,
              "the subscriber has changed since the ETag in If-Match: GET the subscriber again");
    call_refuse(call, 412, &err);
}

void call_unavailable(struct call *call, const char *reason) {
    struct error err;
    error_set(&err, "%s", reason);
    call_refuse(call, 503, &err);
}

static void call_answer(struct call *call, unsigned status) {
    struct buf body = {0};
    if (call->request) {
        json_put_object(&body);
        if (call->generation >= 0)
            json_member_number(&body, "generation", call->generation);
        json_put_raw(&body, (struct span){call->answer.data, call->answer.len});
        json_end_object(&body);
        buf_puts(&body, "\n");
        http_answer(call->request, status, "application/json", &body);
    }
    call_free(call);
}

void call_settle(struct call *call) { call_answer(call, 200); }

static void call_on_late(void *arg) {
    struct call *call = arg;
    struct error err;
    error_set(&err,
              "Kafka did not confirm the change in time; the change may still take effect: see "
              "status.generation and the subscriber's fields");
    if (call->request)
        http_problem(call->request, 503, &err, NULL, RETRY_AFTER_S);
    call->request = NULL;
}

/* The write was overtaken: the subscriber was deleted, registered again or changed. */
static void call_undo(struct call *call) {
    const struct registry_entry *entry = registry_find(call->ingest->registry, call->id);
    registry_writer_restore(call->ingest, call->id);
    if (registry_in_force(entry) && strcmp(entry->registration_id, call->registration_id) == 0) {
        call_changed(call);
        return;
    }
    if (call->request)
        call_not_found(call->request, call->id);
    call_free(call);
}

static void call_on_done(void *arg, const struct registry_write_result *result) {
    struct call *call = arg;
    struct registry_entry *entry;
    if (result->fate != REGISTRY_WRITE_DONE) {
        call_unavailable(call, result->reason);
        return;
    }
    if (result->generation > call->generation)
        call->generation = result->generation;
    if (result->spec_overtaken)
        call_undo(call);
    else if (!result->keys_overtaken || !call->again)
        call_answer(call, 202);
    else if ((entry = call_entry(call)))
        call->again(call, entry);
}

void call_send(struct call *call, struct registry_write *write) {
    registry_write_send(write, call_on_late, call_on_done, call);
}
