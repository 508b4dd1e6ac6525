/* Command records; see command.h. Read by json_scan, so that a test's data stays byte for byte. */
#include "common/model/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/names.h"
#include "common/base/number.h"
#include "common/crypto/uuid.h"
#include "common/json/json_scan.h"
#include "common/json/writer.h"

enum { MEMBERS_MAX = 32, REGISTRATION_ID_BYTES = 36 };

static const char *const names[COMMAND_KINDS] = {"rewind", "resume",  "replay", "redrive",
                                                 "test",   "end_job", "skip"};

const char *command_name(enum command_kind kind) { return names[kind]; }

void command_key(const char *id, char out[COMMAND_KEY_BYTES]) {
    char uuid[37];
    uuid_v4(uuid);
    snprintf(out, COMMAND_KEY_BYTES, "%s/cmd/%s", id, uuid);
}

/* --- writing */

void command_to_json(const struct command *c, struct buf *out) {
    json_put_object(out);
    json_member_number(out, "v", COMMAND_VERSION);
    json_member_string(out, "born", c->registration_id);
    json_member_string(out, "command", names[c->kind]);
    switch (c->kind) {
    case COMMAND_REWIND:
        json_member_number(out, "cursor", c->cursor);
        break;
    case COMMAND_REPLAY:
        json_member_number(out, "from", c->from);
        json_member_number(out, "to", c->to);
        break;
    case COMMAND_REDRIVE:
        if (c->cursors)
            json_member_numbers(out, "cursors", c->cursors, c->cursors_count);
        break;
    case COMMAND_TEST:
        json_member_string(out, "topic", c->topic);
        json_member_raw(out, "data", span_of(c->data));
        break;
    case COMMAND_END_JOB:
        json_member_number(out, "job", c->job);
        break;
    case COMMAND_RESUME:
    case COMMAND_SKIP:
    case COMMAND_KINDS:
        break;
    }
    json_end_object(out);
}

/* --- reading */

struct record {
    struct json_member members[MEMBERS_MAX];
    size_t count;
};

static const struct json_member *command_find(const struct record *r, const char *name,
                                              enum json_kind kind) {
    const struct json_member *member = json_find_member(r->members, r->count, name);
    return member && member->kind == kind ? member : NULL;
}

static int take_number(const struct record *r, const char *name, int64_t *out, struct error *err) {
    const struct json_member *member = command_find(r, name, JSON_IS_NUMBER);
    *out = member ? number_parse(member->value) : -1;
    return *out < 0 ? error_set_field(err, name, "must be a whole number that is not negative") : 0;
}

static int command_add_cursor(void *arg, size_t index, const struct json_element *element,
                              struct error *err) {
    struct command *c = arg;
    int64_t cursor = number_parse(element->value);
    if (cursor < 0 || index >= COMMAND_CURSORS_MAX)
        return error_set_field(err, "cursors", "must be a list of at most %d cursors",
                               COMMAND_CURSORS_MAX);
    c->cursors[c->cursors_count++] = cursor;
    return 0;
}

static int command_take_cursors(const struct record *r, struct command *c, struct error *err) {
    const struct json_member *member = command_find(r, "cursors", JSON_IS_ARRAY);
    if (!member)
        return 0;
    c->cursors = mem_zero(COMMAND_CURSORS_MAX * sizeof *c->cursors);
    return json_scan_array(member->value, JSON_DEPTH_MAX, command_add_cursor, c, err);
}

static int take_test(const struct record *r, struct command *c, struct error *err) {
    const struct json_member *topic = command_find(r, "topic", JSON_IS_STRING);
    const struct json_member *data = json_find_member(r->members, r->count, "data");
    struct error reason;
    if (!topic || json_unescape(topic->value, c->topic, sizeof c->topic) < 0 ||
        topic_check(span_of(c->topic), &reason))
        return error_set_field(err, "topic", "must be a topic");
    if (!data)
        return error_set_field(err, "data", "is missing");
    c->data = mem_copy_string(data->value.data, data->value.len);
    return 0;
}

static int take_members(const struct record *r, struct command *c, struct error *err) {
    switch (c->kind) {
    case COMMAND_REWIND:
        return take_number(r, "cursor", &c->cursor, err);
    case COMMAND_REPLAY:
        if (take_number(r, "from", &c->from, err) || take_number(r, "to", &c->to, err))
            return -1;
        return c->from <= c->to ? 0 : error_set_field(err, "to", "must not be below from");
    case COMMAND_REDRIVE:
        return command_take_cursors(r, c, err);
    case COMMAND_TEST:
        return take_test(r, c, err);
    case COMMAND_END_JOB:
        return take_number(r, "job", &c->job, err);
    case COMMAND_RESUME:
    case COMMAND_SKIP:
    case COMMAND_KINDS:
        break;
    }
    return 0;
}

static int command_take_kind(const struct record *r, struct command *c, struct error *err) {
    const struct json_member *member = command_find(r, "command", JSON_IS_STRING);
    char name[16] = "";
    if (member)
        json_unescape(member->value, name, sizeof name);
    int kind = names_find(names, COMMAND_KINDS, name);
    if (kind < 0)
        return error_set_field(err, "command", "missing or unknown");
    c->kind = (enum command_kind)kind;
    return 0;
}

static int take_all(const struct record *r, struct command *c, bool *newer, struct error *err) {
    const struct json_member *member = command_find(r, "born", JSON_IS_STRING);
    int64_t v;
    if (take_number(r, "v", &v, err) || v < 1)
        return error_set(err, "not a record of ESS");
    *newer = v > COMMAND_VERSION;
    if (*newer)
        return error_set(err, "written by a newer version of ESS (v %" PRId64 ")", v);
    if (!member ||
        json_unescape(member->value, c->registration_id, sizeof c->registration_id) !=
            REGISTRATION_ID_BYTES ||
        !uuid_check(c->registration_id))
        return error_set_field(err, "born", "missing");
    return command_take_kind(r, c, err) || take_members(r, c, err) ? -1 : 0;
}

int command_from_json(struct command *c, struct span text, bool *newer, struct error *err) {
    struct record r;
    *c = (struct command){0};
    *newer = false;
    if (json_scan_object(text, JSON_DEPTH_MAX, r.members, MEMBERS_MAX, &r.count, err))
        return error_set(err, "not a record of ESS");
    if (take_all(&r, c, newer, err) == 0)
        return 0;
    command_fini(c);
    return -1;
}

void command_fini(struct command *c) {
    free(c->cursors);
    free(c->data);
    *c = (struct command){0};
}
