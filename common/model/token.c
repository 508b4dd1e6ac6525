/* The checkpoint as a record; see token.h. Read by json-c, written in a fixed order. */
#include "common/model/token.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/names.h"
#include "common/base/utf8.h"
#include "common/crypto/uuid.h"
#include "common/json/json_scan.h"
#include "common/json/writer.h"

static const char *const state_names[] = {"active", "retrying", "paused", "disabled", "pending"};

const char *token_state_name(enum token_state state) { return state_names[state]; }

int token_state_of(const char *name) {
    return names_find(state_names, sizeof state_names / sizeof *state_names, name);
}

bool token_choose(struct token_choice *choice, int64_t epoch, int64_t number,
                  int64_t newest_fence) {
    bool is_void = epoch < newest_fence;
    bool is_late = choice->kept != CHOICE_NONE && number && epoch == choice->epoch &&
                   number < choice->number;
    choice->rewrite = is_void || is_late;
    if (is_late || (is_void && choice->kept == CHOICE_VALID))
        return false;
    choice->kept = is_void ? CHOICE_VOID : CHOICE_VALID;
    choice->epoch = epoch;
    choice->number = number;
    return true;
}

uint64_t token_id_hash(struct span id) {
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < id.len; i++)
        hash = (hash ^ (unsigned char)id.data[i]) * 0x100000001b3;
    return hash ? hash : 1;
}

void token_add_attempt(struct token *token, const struct token_attempt *attempt) {
    if (!token->attempts)
        token->attempts = mem_zero(TOKEN_ATTEMPTS_MAX * sizeof *attempt);
    if (token->attempts_count == TOKEN_ATTEMPTS_MAX) {
        memmove(token->attempts, token->attempts + 1, (TOKEN_ATTEMPTS_MAX - 1) * sizeof *attempt);
        token->attempts_count--;
    }
    token->attempts[token->attempts_count++] = *attempt;
}

bool token_has_redriven(const struct token *t, int64_t offset) {
    if (offset <= t->redriven)
        return true;
    for (int64_t i = 0; i < t->redriven_letters_count; i++)
        if (t->redriven_letters[i] == offset)
            return true;
    const struct token_job *job = t->jobs_count ? &t->jobs[0] : NULL;
    return job && job->redrive && job->cursors_count == 0 && offset <= job->position;
}

void token_add_outcome(struct token_outcome **list, int64_t *count,
                       const struct token_outcome *outcome) {
    if (!*list)
        *list = mem_zero(TOKEN_OUTCOMES_MAX * sizeof **list);
    if (*count == TOKEN_OUTCOMES_MAX)
        memmove(*list, *list + 1, (size_t)--*count * sizeof **list);
    (*list)[(*count)++] = *outcome;
}

void token_job_fini(struct token_job *job) {
    free(job->cursors);
    free(job->settled);
}

void token_fini(struct token *t) {
    for (int64_t i = 0; i < t->jobs_count; i++)
        token_job_fini(&t->jobs[i]);
    free(t->jobs);
    free(t->settled);
    free(t->attempts);
    free(t->pending);
    free(t->redriven_letters);
    free(t->outcomes);
    *t = (struct token){.epoch = -1, .applied = -1, .redriven = -1};
}

static void token_put_attempt(struct buf *out, const struct token_attempt *a) {
    json_put_object(out);
    json_member_number(out, "at", a->at_ms);
    json_member_number(out, "cursor", a->cursor);
    json_member_number(out, "attempt", a->attempt);
    if (a->status)
        json_member_number(out, "status", a->status);
    if (!a->status || *a->error)
        json_member_string(out, "error", a->error);
    json_member_number(out, "duration_ms", a->duration_ms);
    if (*a->excerpt)
        json_member_string(out, "excerpt", a->excerpt);
    json_end_object(out);
}

static void put_attempts(struct buf *out, const struct token *t) {
    json_member_list(out, "attempts");
    for (int64_t i = 0; i < t->attempts_count; i++)
        token_put_attempt(out, &t->attempts[i]);
    json_end_list(out);
}

static void put_settled(struct buf *out, const struct token_range *settled, int64_t count) {
    if (count == 0)
        return;
    json_member_list(out, "settled");
    for (int64_t i = 0; i < count; i++)
        json_put_numbers(out, (const int64_t[]){settled[i].from, settled[i].to}, 2);
    json_end_list(out);
}

static void put_offsets(struct buf *out, const char *name, const int64_t *offsets, int64_t count) {
    if (count)
        json_member_numbers(out, name, offsets, (size_t)count);
}

static void token_put_job(struct buf *out, const struct token_job *job) {
    json_put_object(out);
    json_member_number(out, "job", job->job);
    json_member_bool(out, "redrive", job->redrive);
    json_member_number(out, "from", job->from);
    json_member_number(out, "to", job->to);
    json_member_number(out, "position", job->position);
    json_member_number(out, "last", job->last);
    json_member_number(out, "delivered", job->delivered);
    put_settled(out, job->settled, job->settled_count);
    put_offsets(out, "cursors", job->cursors, job->cursors_count);
    if (*job->reason)
        json_member_string(out, "reason", job->reason);
    json_end_object(out);
}

static void token_put_jobs(struct buf *out, const struct token *t) {
    if (t->jobs_count == 0)
        return;
    json_member_list(out, "jobs");
    for (int64_t i = 0; i < t->jobs_count; i++)
        token_put_job(out, &t->jobs[i]);
    json_end_list(out);
}

static void token_put_outcome(struct buf *out, const struct token_outcome *o) {
    json_put_object(out);
    json_member_number(out, "generation", o->generation);
    json_member_number(out, "at", o->at_ms);
    json_member_string(out, "command", o->command);
    json_member_string(out, "outcome", o->outcome);
    if (*o->reason)
        json_member_string(out, "reason", o->reason);
    if (o->delivered >= 0)
        json_member_number(out, "delivered", o->delivered);
    json_end_object(out);
}

static void token_put_outcomes(struct buf *out, const struct token *t) {
    if (t->outcomes_count == 0)
        return;
    json_member_list(out, "outcomes");
    for (int64_t i = 0; i < t->outcomes_count; i++)
        token_put_outcome(out, &t->outcomes[i]);
    json_end_list(out);
}

static void token_put_state(const struct token *t, struct buf *out) {
    bool pending = t->state == TOKEN_PENDING;
    json_member_string(out, "state", token_state_name(pending ? TOKEN_PAUSED : t->state));
    if (pending)
        json_member_bool(out, "awaits_handshake", true);
}

void token_to_json(const struct token *t, struct buf *out) {
    char hash[20];
    json_put_object(out);
    json_member_number(out, "v", TOKEN_VERSION);
    json_member_string(out, "born", t->registration_id);
    json_member_string(out, "feed", t->feed);
    json_member_number(out, "position", t->position);
    json_member_number(out, "last", t->last);
    snprintf(hash, sizeof hash, "%016" PRIx64,
             t->last_id_hash); /* as text: JSON numbers lose bits above 2^53 */
    json_member_string(out, "last_id_hash", hash);
    if (t->rewinds)
        json_member_number(out, "rewinds", t->rewinds);
    json_member_bool(out, "compacted", t->compacted);
    json_member_bool(out, "waiting", t->waiting);
    token_put_state(t, out);
    if (*t->reason)
        json_member_string(out, "reason", t->reason);
    json_member_number(out, "generation", t->generation);
    json_member_number(out, "applied", t->applied);
    json_member_number(out, "epoch", t->epoch);
    json_member_number(out, "n", t->number);
    json_member_number(out, "failing_since", t->failing_since_ms);
    json_member_number(out, "failing_ms", t->failing_ms);
    json_member_number(out, "next_attempt", t->next_attempt_ms);
    json_member_number(out, "written", t->written_ms);
    json_member_number(out, "last_success", t->last_success_ms);
    json_member_number(out, "oldest", t->oldest_ms);
    json_member_bool(out, "given_up", t->given_up);
    json_member_number(out, "refused_in_row", t->refused_in_row);
    if (t->skipping)
        json_member_number(out, "skipping", t->skipping);
    json_member_number(out, "delivered", t->delivered);
    json_member_number(out, "dead_lettered", t->dead_lettered);
    if (t->rate > 0)
        json_member_real(out, "rate", t->rate);
    if (*t->handshake)
        json_member_string(out, "handshake", t->handshake);
    json_member_number(out, "redriven", t->redriven);
    json_member_number(out, "redriven_count", t->redriven_count);
    put_attempts(out, t);
    put_settled(out, t->settled, t->settled_count);
    token_put_jobs(out, t);
    put_offsets(out, "pending", t->pending, t->pending_count);
    put_offsets(out, "redriven_letters", t->redriven_letters, t->redriven_letters_count);
    token_put_outcomes(out, t);
    json_end_object(out);
}

/* --- reading */

static struct json_object *token_member(struct json_object *object, const char *name,
                                        enum json_type type) {
    struct json_object *value = NULL;
    return json_object_object_get_ex(object, name, &value) && json_object_is_type(value, type)
               ? value
               : NULL;
}

static int64_t token_number(struct json_object *object, const char *name, int64_t otherwise) {
    struct json_object *value = token_member(object, name, json_type_int);
    return value ? json_object_get_int64(value) : otherwise;
}

static bool token_truth(struct json_object *object, const char *name) {
    struct json_object *value = token_member(object, name, json_type_boolean);
    return value && json_object_get_boolean(value);
}

/* Returns a number above 0, or 0 if the object has no such number. */
static double token_real(struct json_object *object, const char *name) {
    struct json_object *value = NULL;
    double n = json_object_object_get_ex(object, name, &value) ? json_object_get_double(value) : 0;
    return isfinite(n) && n > 0 ? n : 0;
}

static void token_text(struct json_object *object, const char *name, char *out, size_t out_size) {
    struct json_object *value = token_member(object, name, json_type_string);
    const char *whole = value ? json_object_get_string(value) : "";
    snprintf(out, out_size, "%.*s", (int)utf8_fit(whole, strlen(whole), out_size - 1), whole);
}

static bool token_uuid(struct json_object *object, const char *name, char out[37]) {
    struct json_object *value = token_member(object, name, json_type_string);
    token_text(object, name, out, 37);
    return value && uuid_check(out) && json_object_get_string_len(value) == 36;
}

static void read_attempts(struct token *t, struct json_object *object) {
    struct json_object *list = token_member(object, "attempts", json_type_array);
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        struct token_attempt a = {0};
        if (!json_object_is_type(one, json_type_object))
            continue;
        a.at_ms = token_number(one, "at", 0);
        a.cursor = token_number(one, "cursor", 0);
        a.attempt = token_number(one, "attempt", 0);
        a.status = token_number(one, "status", 0);
        a.duration_ms = token_number(one, "duration_ms", 0);
        token_text(one, "error", a.error, sizeof a.error);
        token_text(one, "excerpt", a.excerpt, sizeof a.excerpt);
        token_add_attempt(t, &a);
    }
}

static void read_settled(struct json_object *object, int64_t position, struct token_range **settled,
                         int64_t *settled_count) {
    struct json_object *list = token_member(object, "settled", json_type_array);
    size_t count = list ? json_object_array_length(list) : 0;
    int64_t above = position;
    if (count == 0 || count > TOKEN_SETTLED_MAX)
        return; /* without `settled`, events are sent once more */
    *settled = mem_zero(count * sizeof **settled);
    for (size_t i = 0; i < count; i++) {
        struct json_object *pair = json_object_array_get_idx(list, i);
        bool is_pair = json_object_is_type(pair, json_type_array) &&
                       json_object_array_length(pair) == 2;
        int64_t from = is_pair ? json_object_get_int64(json_object_array_get_idx(pair, 0)) : -1;
        int64_t to = is_pair ? json_object_get_int64(json_object_array_get_idx(pair, 1)) : -1;
        if (from <= above || to < from)
            return;
        (*settled)[(*settled_count)++] = (struct token_range){from, to};
        above = to;
    }
}

/* A broken list must not be read as an absent one, which means all. */
static int read_job_cursors(struct token_job *job, struct json_object *object) {
    struct json_object *list, *cursor;
    if (!json_object_object_get_ex(object, "cursors", &list))
        return 0;
    size_t count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    if (count == 0 || count > TOKEN_JOB_CURSORS_MAX)
        return -1;
    job->cursors = mem_zero(count * sizeof *job->cursors);
    for (; (size_t)job->cursors_count < count; job->cursors_count++) {
        cursor = json_object_array_get_idx(list, (size_t)job->cursors_count);
        if (!json_object_is_type(cursor, json_type_int))
            return -1;
        job->cursors[job->cursors_count] = json_object_get_int64(cursor);
    }
    return 0;
}

static int read_jobs(struct token *t, struct json_object *object, struct error *err) {
    struct json_object *list = token_member(object, "jobs", json_type_array);
    size_t count = list ? json_object_array_length(list) : 0;
    if (count > TOKEN_JOBS_MAX)
        return error_set_field(err, "jobs", "more than %d of them", TOKEN_JOBS_MAX);
    t->jobs = count ? mem_zero(count * sizeof *t->jobs) : NULL;
    for (size_t i = 0; i < count; i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        struct token_job *job = &t->jobs[t->jobs_count];
        if (!json_object_is_type(one, json_type_object))
            return error_set_field(err, "jobs", "not a list of objects");
        *job = (struct token_job){.job = token_number(one, "job", -1),
                                  .redrive = token_truth(one, "redrive"),
                                  .from = token_number(one, "from", -1),
                                  .to = token_number(one, "to", -1),
                                  .position = token_number(one, "position", -1),
                                  .last = token_number(one, "last", -1),
                                  .delivered = token_number(one, "delivered", 0)};
        token_text(one, "reason", job->reason, sizeof job->reason);
        t->jobs_count++;
        if (job->job < 0 || job->to < job->from || job->position < job->from ||
            read_job_cursors(job, one))
            return error_set_field(err, "jobs", "out of range");
        read_settled(one, job->position, &job->settled, &job->settled_count);
    }
    return 0;
}

/* A broken list must not be read as empty: pending commands would be lost. */
static int read_offsets(struct json_object *object, const char *name, size_t max, int64_t **offsets,
                        int64_t *offsets_count, struct error *err) {
    struct json_object *list = token_member(object, name, json_type_array);
    size_t count = list ? json_object_array_length(list) : 0;
    if (count > max)
        return error_set_field(err, name, "more than %zu of them", max);
    *offsets = count ? mem_zero(count * sizeof **offsets) : NULL;
    for (*offsets_count = 0; (size_t)*offsets_count < count; ++*offsets_count)
        (*offsets)[*offsets_count] = json_object_get_int64(
            json_object_array_get_idx(list, (size_t)*offsets_count));
    return 0;
}

static int read_lists(struct token *t, struct json_object *object, struct error *err) {
    return read_offsets(object, "pending", TOKEN_PENDING_MAX, &t->pending, &t->pending_count,
                        err) ||
                   read_offsets(object, "redriven_letters", TOKEN_REDRIVEN_MAX,
                                &t->redriven_letters, &t->redriven_letters_count, err)
               ? -1
               : 0;
}

static void read_outcomes(struct token *t, struct json_object *object) {
    struct json_object *list = token_member(object, "outcomes", json_type_array);
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        if (!json_object_is_type(one, json_type_object))
            continue;
        struct token_outcome o = {.generation = token_number(one, "generation", 0),
                                  .at_ms = token_number(one, "at", 0),
                                  .delivered = token_number(one, "delivered", -1)};
        token_text(one, "command", o.command, sizeof o.command);
        token_text(one, "outcome", o.outcome, sizeof o.outcome);
        token_text(one, "reason", o.reason, sizeof o.reason);
        token_add_outcome(&t->outcomes, &t->outcomes_count, &o);
    }
}

static int read_state(struct token *t, struct json_object *object, struct error *err) {
    char name[16];
    token_text(object, "state", name, sizeof name);
    int found = token_state_of(name);
    if (found < 0)
        return error_set_field(err, "state", "missing or unknown");
    bool pending = found == TOKEN_PAUSED && token_truth(object, "awaits_handshake");
    t->state = pending ? TOKEN_PENDING : (enum token_state)found;
    return 0;
}

static int read_members(struct token *t, struct json_object *object, struct error *err) {
    char hash[20];
    bool named = token_uuid(object, "born", t->registration_id) &&
                 token_uuid(object, "feed", t->feed);
    t->position = token_number(object, "position", -1);
    t->last = token_number(object, "last", -1);
    if (!named || t->position < 0 || t->last < 0 || t->last > t->position)
        return error_set(
            err, "not a replay token: born, feed, position or last is missing or out of range");
    token_text(object, "last_id_hash", hash, sizeof hash);
    t->last_id_hash = strtoull(hash, NULL, 16);
    t->waiting = token_truth(object, "waiting");
    token_text(object, "reason", t->reason, sizeof t->reason);
    t->generation = token_number(object, "generation", 0);
    t->epoch = token_number(object, "epoch", -1);
    t->number = token_number(object, "n", 0);
    if (t->number < 0 || t->number > TOKEN_NUMBER_MAX)
        t->number = 0;
    t->failing_since_ms = token_number(object, "failing_since", 0);
    t->failing_ms = token_number(object, "failing_ms", 0);
    t->next_attempt_ms = token_number(object, "next_attempt", 0);
    t->written_ms = token_number(object, "written", 0);
    t->last_success_ms = token_number(object, "last_success", 0);
    t->oldest_ms = token_number(object, "oldest", 0);
    t->given_up = token_truth(object, "given_up");
    t->refused_in_row = token_number(object, "refused_in_row", 0);
    t->skipping = token_number(object, "skipping", 0);
    t->delivered = token_number(object, "delivered", 0);
    t->dead_lettered = token_number(object, "dead_lettered", 0);
    t->rewinds = token_number(object, "rewinds", 0);
    t->compacted = token_truth(object, "compacted");
    t->rate = token_real(object, "rate");
    token_text(object, "handshake", t->handshake, sizeof t->handshake);
    t->applied = token_number(object, "applied", -1);
    t->redriven = token_number(object, "redriven", -1);
    t->redriven_count = token_number(object, "redriven_count", 0);
    read_attempts(t, object);
    read_settled(object, t->position, &t->settled, &t->settled_count);
    read_outcomes(t, object);
    return read_lists(t, object, err) || read_jobs(t, object, err) ? -1
                                                                   : read_state(t, object, err);
}

int token_from_json(struct token *t, struct span record, bool *newer, struct error *err) {
    struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
    struct json_object *object = json_tokener_parse_ex(tokener, record.data, (int)record.len);
    bool whole = json_tokener_get_error(tokener) == json_tokener_success &&
                 json_tokener_get_parse_end(tokener) == record.len;
    int result = -1;
    json_tokener_free(tokener);
    *t = (struct token){.epoch = -1, .applied = -1, .redriven = -1};
    *newer = false;
    if (!whole || !json_object_is_type(object, json_type_object) ||
        token_number(object, "v", 0) < 1) {
        error_set(err, "not a record of ESS");
    } else if (token_number(object, "v", 0) > TOKEN_VERSION) {
        *newer = true;
        error_set(err, "written by a newer version of ESS (v %" PRId64 ")",
                  token_number(object, "v", 0));
    } else {
        result = read_members(t, object, err);
    }
    if (result)
        token_fini(t);
    json_object_put(object);
    return result;
}
