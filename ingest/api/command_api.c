/* Commands; see command_api.h and common/model/command.h. Everything that depends on the time of
 * the request is decided here. */
#include "ingest/api/command_api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/number.h"
#include "common/json/body.h"
#include "common/model/command.h"
#include "ingest/api/call.h"
#include "ingest/ingest.h"
#include "ingest/publish/filter.h"
#include "ingest/registry/positions.h"
#include "ingest/registry/registry.h"
#include "ingest/registry/registry_write.h"
#include "ingest/registry/subscriber_status.h"

static const char *const no_members[] = {NULL};

static void command_api_refuse(struct call *call, const struct error *err) {
    call_refuse(call, 400, err);
}

static void command_api_free_command(void *data) {
    command_fini(data);
    free(data);
}

/* Bounds the commands that wait for a dispatcher, in Kafka and in the owner's memory. */
static bool command_api_has_too_many(struct call *call) {
    struct token token;
    struct error err;
    const struct registry_entry *entry = registry_find(call->ingest->registry, call->id);
    bool has_token = subscriber_status_token(call->ingest, entry, &token);
    bool too_many = command_ring_oldest(&entry->commands) > (has_token ? token.applied : -1);
    if (has_token)
        token_fini(&token);
    if (!too_many)
        return false;
    error_set(&err, "%d commands already wait for a dispatcher", COMMAND_RING_SIZE);
    call_refuse(call, 503, &err);
    return true;
}

/* Refuses a command that delivers events to a subscriber without an endpoint. */
static bool command_api_lacks_endpoint(struct call *call, enum command_kind kind) {
    const struct registry_entry *entry = registry_find(call->ingest->registry, call->id);
    struct error err;
    if (!spec_is_pulled(&entry->spec) || (kind != COMMAND_TEST && kind != COMMAND_REPLAY &&
                                          kind != COMMAND_REDRIVE && kind != COMMAND_SKIP))
        return false;
    error_set(&err, "%s is pulled and has no endpoint: rewind gives events again, ack passes them",
              call->id);
    call_refuse(call, 409, &err);
    return true;
}

/* Begins a call with `members` in the body and a command of this kind. NULL: answered. */
static struct call *command_api_begin(struct ingest *ingest, struct http_request *request,
                                      enum command_kind kind, const char *const *members,
                                      struct body *body) {
    struct error err;
    struct call *call = call_begin(ingest, request, CALL_COMMANDS);
    if (!call)
        return NULL;
    if (body_parse(body, http_request_body(request), members, &err)) {
        command_api_refuse(call, &err);
        return NULL;
    }
    if (command_api_lacks_endpoint(call, kind) ||
        (kind != COMMAND_KINDS && command_api_has_too_many(call)))
        return NULL;
    struct command *command = mem_zero(sizeof *command);
    command->kind = kind;
    memcpy(command->registration_id, call->registration_id, sizeof command->registration_id);
    call->data = command;
    call->free_data = command_api_free_command;
    return call;
}

static void command_api_add_command(struct call *call, struct registry_write *write) {
    struct buf value = {0};
    char key[COMMAND_KEY_BYTES];
    command_key(call->id, key);
    command_to_json(call->data, &value);
    registry_write_add(write, key, (struct span){value.data, value.len});
    buf_fini(&value);
}

static void command_api_add_desired(struct call *call, struct registry_write *write, bool paused) {
    struct buf value = {0};
    char key[SPEC_ID_BYTES_MAX + 8];
    struct subscriber_desired desired = {.paused = paused};
    memcpy(desired.registration_id, call->registration_id, sizeof desired.registration_id);
    subscriber_desired_to_json(&desired, &value);
    snprintf(key, sizeof key, "%s/want", call->id);
    registry_write_add(write, key, (struct span){value.data, value.len});
    buf_fini(&value);
}

static struct registry_write *command_api_registry_write_of(struct call *call) {
    return registry_write_new(call->ingest, call->id, call->registration_id, -1);
}

static void command_api_send_command(struct call *call) {
    struct registry_write *write = command_api_registry_write_of(call);
    command_api_add_command(call, write);
    call_send(call, write);
}

/* --- pause and resume */

void command_api_pause(void *arg, struct http_request *request) {
    struct body body;
    /* COMMAND_KINDS: the desired state is not a command. */
    struct call *call = command_api_begin(arg, request, COMMAND_KINDS, no_members, &body);
    if (!call)
        return;
    struct registry_write *write = command_api_registry_write_of(call);
    command_api_add_desired(call, write, true);
    call_send(call, write);
}

/* Refuses to resume an expired subscriber, which would be disabled again at once. */
static bool command_api_is_expired(struct call *call) {
    const struct registry_entry *entry = registry_find(call->ingest->registry, call->id);
    char text[CLOCK_TEXT_BYTES];
    struct error err;
    if (!entry->readable || !entry->spec.expires_ms || entry->spec.expires_ms > clock_wall_ms())
        return false;
    clock_format(entry->spec.expires_ms, text);
    error_set_field(&err, "expires", "the subscriber expired at %s: give it a later time", text);
    call_refuse(call, 409, &err);
    return true;
}

/* Also resumes a disabled subscriber and ends a back-off. */
void command_api_resume(void *arg, struct http_request *request) {
    struct body body;
    struct call *call = command_api_begin(arg, request, COMMAND_RESUME, no_members, &body);
    if (!call || command_api_is_expired(call))
        return;
    struct registry_write *write = command_api_registry_write_of(call);
    command_api_add_desired(call, write, false);
    command_api_add_command(call, write);
    call_send(call, write);
}

/* --- skip */

void command_api_skip(void *arg, struct http_request *request) {
    struct body body;
    struct call *call = command_api_begin(arg, request, COMMAND_SKIP, no_members, &body);
    if (call)
        command_api_send_command(call);
}

/* --- rewind and replay */

/* Checks that the positions of a command were resolved. False: the call has ended. */
static bool command_api_positions_known(struct call *call, const struct error *refused) {
    if (refused)
        call_refuse(call, *refused->field ? 400 : 503, refused);
    else if (!ingest_ready(call->ingest))
        call_unavailable(call, "Kafka does not answer, or the subscribers have not been read yet");
    else
        return call_entry(call) != NULL;
    return false;
}

static void command_api_on_rewind_position(void *arg, const struct position *positions,
                                           const struct error *refused) {
    struct call *call = arg;
    struct command *command = call->data;
    if (!command_api_positions_known(call, refused))
        return;
    command->cursor = positions[0].value;
    command_api_send_command(call);
}

void command_api_rewind(void *arg, struct http_request *request) {
    static const char *const members[] = {"cursor", "time", NULL};
    struct error err;
    struct body body;
    struct position position;
    struct call *call = command_api_begin(arg, request, COMMAND_REWIND, members, &body);
    if (!call)
        return;
    const struct json_member *cursor = body_member(&body, "cursor"),
                             *time = body_member(&body, "time");
    int result = cursor && time
                     ? error_set_field(&err, "time", "must not be given together with cursor")
                 : !cursor && !time ? error_set_field(&err, "cursor", "is missing (cursor or time)")
                 : cursor ? position_parse(&position, "cursor", cursor, POSITION_CURSOR, &err)
                          : position_parse(&position, "time", time, POSITION_TIME, &err);
    if (result)
        command_api_refuse(call, &err);
    else
        positions_resolve(arg, &position, 1, command_api_on_rewind_position, call);
}

static void command_api_on_replay_positions(void *arg, const struct position *positions,
                                            const struct error *refused) {
    struct call *call = arg;
    struct command *command = call->data;
    struct error err;
    if (!command_api_positions_known(call, refused))
        return;
    command->from = positions[0].value;
    command->to = positions[1].value;
    if (command->from <= command->to) {
        command_api_send_command(call);
    } else {
        error_set_field(&err, "to", "%" PRId64 " must not be below from, %" PRId64, command->to,
                        command->from);
        command_api_refuse(call, &err);
    }
}

static int command_api_replay_positions(const struct ingest *ingest, const struct body *body,
                                        struct position positions[2], struct error *err) {
    const struct json_member *from = body_member(body, "from"), *to = body_member(body, "to");
    positions[1] = position_end(ingest, "to");
    if (!from)
        return error_set_field(err, "from", "is missing");
    if (position_parse(&positions[0], "from", from, POSITION_CURSOR | POSITION_TIME, err))
        return -1;
    return to ? position_parse(&positions[1], "to", to, POSITION_CURSOR | POSITION_TIME, err) : 0;
}

/* A hint from the last token. The owner decides, and refuses a job too many (`outcomes` in the
 * status). */
static bool command_api_has_too_many_jobs(struct call *call) {
    const struct registry_entry *entry = registry_find(call->ingest->registry, call->id);
    struct token token;
    struct error err;
    if (!subscriber_status_token(call->ingest, entry, &token))
        return false;
    bool too_many = token.jobs_count >= TOKEN_JOBS_MAX;
    token_fini(&token);
    if (!too_many)
        return false;
    error_set(&err, "%d jobs already run for this subscriber: end one, or wait until one ends",
              TOKEN_JOBS_MAX);
    call_refuse(call, 409, &err);
    return true;
}

void command_api_replay(void *arg, struct http_request *request) {
    static const char *const members[] = {"from", "to", NULL};
    struct error err;
    struct body body;
    struct position positions[2];
    struct call *call = command_api_begin(arg, request, COMMAND_REPLAY, members, &body);
    if (!call)
        return;
    if (command_api_replay_positions(arg, &body, positions, &err))
        command_api_refuse(call, &err);
    else if (!command_api_has_too_many_jobs(call))
        positions_resolve(arg, positions, 2, command_api_on_replay_positions, call);
}

/* --- redrive */

static int command_api_ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static int command_api_add_cursor(void *arg, size_t index, const struct json_element *element,
                                  struct error *err) {
    struct command *command = arg;
    int64_t cursor = number_parse(element->value);
    if (cursor < 0 || index >= COMMAND_CURSORS_MAX)
        return error_set_field(err, "cursors", "must be a list of 1 to %d cursors",
                               COMMAND_CURSORS_MAX);
    command->cursors[command->cursors_count++] = cursor;
    return 0;
}

static int command_api_take_cursors(struct command *command, const struct json_member *member,
                                    struct error *err) {
    struct error reason;
    size_t kept = 0;
    command->cursors = mem_zero(COMMAND_CURSORS_MAX * sizeof *command->cursors);
    if (json_scan_array(member->value, JSON_DEPTH_MAX, command_api_add_cursor, command, &reason) ||
        command->cursors_count == 0)
        return error_set_field(err, "cursors", "must be a list of 1 to %d cursors",
                               COMMAND_CURSORS_MAX);
    qsort(command->cursors, command->cursors_count, sizeof *command->cursors,
          command_api_ascending);
    for (size_t i = 0; i < command->cursors_count; i++)
        if (i == 0 || command->cursors[i] != command->cursors[kept - 1])
            command->cursors[kept++] = command->cursors[i];
    command->cursors_count = kept;
    return 0;
}

void command_api_redrive(void *arg, struct http_request *request) {
    static const char *const members[] = {"cursors", NULL};
    struct error err;
    struct body body;
    struct call *call = command_api_begin(arg, request, COMMAND_REDRIVE, members, &body);
    if (!call)
        return;
    const struct json_member *cursors = body_member(&body, "cursors");
    if (cursors && command_api_take_cursors(call->data, cursors, &err))
        command_api_refuse(call, &err);
    else if (!command_api_has_too_many_jobs(call))
        command_api_send_command(call);
}

/* --- test */

/* Chooses a topic that the subscriber most likely understands: the first without a wildcard. */
static void command_api_choose_topic(const struct registry_entry *entry,
                                     char topic[TOPIC_BYTES_MAX + 1]) {
    const struct subscription *subscription = &entry->spec.subscription;
    struct error err;
    snprintf(topic, TOPIC_BYTES_MAX + 1, "test");
    for (size_t i = subscription->patterns_count; i-- > 0;)
        if (topic_check(span_of(subscription->patterns[i]), &err) == 0)
            snprintf(topic, TOPIC_BYTES_MAX + 1, "%s", subscription->patterns[i]);
}

/* Turns line breaks between tokens into spaces: one event is one line. (JSON strings have no line
 * breaks.) */
static char *command_api_copy_data(const struct ingest *ingest, const char *topic,
                                   struct span value) {
    char *data = filter_data(ingest->filter, topic, value);
    for (char *p = data; *p; p++)
        if (*p == '\r' || *p == '\n')
            *p = ' ';
    return data;
}

void command_api_test(void *arg, struct http_request *request) {
    static const char *const members[] = {"topic", "data", NULL};
    struct error err, reason;
    struct body body;
    struct call *call = command_api_begin(arg, request, COMMAND_TEST, members, &body);
    struct registry_entry *entry = call ? call_entry(call) : NULL;
    if (!entry)
        return;
    struct command *command = call->data;
    const struct json_member *data = body_member(&body, "data");
    command_api_choose_topic(entry, command->topic);
    int result = body_text(&body, "topic", command->topic, sizeof command->topic, "a topic", &err);
    if (result == 0 && topic_check(span_of(command->topic), &reason))
        result = error_set_field(&err, "topic", "%s", reason.message);
    if (result) {
        command_api_refuse(call, &err);
        return;
    }
    command->data = command_api_copy_data(call->ingest, command->topic,
                                          data ? data->value : span_of("{\"test\":true}"));
    command_api_send_command(call);
}

/* --- jobs */

/* Whether the job may run: a pending command may still begin it. */
static bool command_api_may_run(const struct ingest *ingest, const struct registry_entry *entry,
                                int64_t job) {
    struct token token;
    bool found;
    if (!subscriber_status_token(ingest, entry, &token))
        return true;
    found = job > token.generation;
    for (int64_t i = 0; i < token.jobs_count; i++)
        found |= token.jobs[i].job == job;
    for (int64_t i = 0; i < token.pending_count; i++)
        found |= token.pending[i] == job;
    token_fini(&token);
    return found;
}

void command_api_end_job(void *arg, struct http_request *request) {
    struct error err;
    struct body body;
    const char *text = http_request_segment(request, 1);
    struct call *call = command_api_begin(arg, request, COMMAND_END_JOB, no_members, &body);
    struct registry_entry *entry = call ? call_entry(call) : NULL;
    if (!entry)
        return;
    struct command *command = call->data;
    command->job = number_parse(span_of(text));
    if (command->job >= 0 && command_api_may_run(arg, entry, command->job)) {
        command_api_send_command(call);
    } else {
        error_set(&err, "%s has no job %s", call->id, text);
        call_refuse(call, 404, &err);
    }
}
