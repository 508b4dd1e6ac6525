/* The status of subscribers; see subscriber_status.h. Tokens are kept as bytes, 10,000 of them and
 * more, and parsed on demand. */
#include "ingest/registry/subscriber_status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/json/writer.h"
#include "common/kafka/table.h"
#include "common/model/fence.h"
#include "common/model/tls_identity.h"
#include "ingest/ingest.h"
#include "ingest/registry/registry.h"
#include "ingest/registry/warnings.h"

struct held {
    UT_hash_handle hh;
    char id[SPEC_ID_BYTES_MAX + 1];
    char *text; /* the valid token record; NULL: no token */
    size_t text_len;
    struct token_choice choice;
    char *bad; /* position of the newest record and why parsing failed; NULL: no failure */
};

struct subscriber_statuses {
    struct held *all;
    int32_t partitions;
    int64_t newest_claim[SUBSCRIBER_PARTITIONS_MAX]; /* offset; -1: no fence */
};

struct subscriber_statuses *subscriber_status_new(int32_t partitions) {
    struct subscriber_statuses *s = mem_zero(sizeof *s);
    s->partitions = partitions;
    for (int32_t i = 0; i < partitions; i++)
        s->newest_claim[i] = -1;
    return s;
}

static void subscriber_status_drop(struct subscriber_statuses *s, struct held *held) {
    HASH_DEL(s->all, held);
    free(held->text);
    free(held->bad);
    free(held);
}

void subscriber_status_free(struct subscriber_statuses *s) {
    struct held *held, *next;
    if (!s)
        return;
    HASH_ITER(hh, s->all, held, next)
        subscriber_status_drop(s, held);
    free(s);
}

static struct held *subscriber_status_find(const struct subscriber_statuses *s, const char *id) {
    struct held *held = NULL;
    HASH_FIND_STR(s->all, id, held);
    return held;
}

static struct held *subscriber_status_find_or_add(struct subscriber_statuses *s, const char *id) {
    struct held *held = subscriber_status_find(s, id);
    if (held)
        return held;
    held = mem_zero(sizeof *held);
    snprintf(held->id, sizeof held->id, "%s", id);
    HASH_ADD_STR(s->all, id, held);
    return held;
}

/* --- reading */

static void subscriber_status_note_bad(struct ingest *ingest, struct held *held,
                                       const struct kafka_record *record, const char *reason) {
    struct buf text = {0};
    service_bad_record(&ingest->service, record->topic, record->partition, record->offset, held->id,
                       reason);
    buf_printf(&text, "the record in %s, partition %d, offset %" PRId64 " cannot be read: %s",
               record->topic, (int)record->partition, record->offset, reason);
    free(held->bad);
    held->bad = buf_detach(&text, NULL);
}

static void subscriber_status_read_token(struct ingest *ingest, const char *id,
                                         const struct kafka_record *record) {
    struct subscriber_statuses *s = ingest->statuses;
    struct token token;
    struct error err;
    bool newer;
    struct held *held = subscriber_status_find_or_add(s, id);
    if (token_from_json(&token, record->value, &newer, &err)) {
        subscriber_status_note_bad(ingest, held, record, err.message);
        return;
    }
    free(held->bad);
    held->bad = NULL;
    if (token_choose(&held->choice, token.epoch, token.number,
                     s->newest_claim[record->partition])) {
        free(held->text);
        held->text = mem_copy_string(record->value.data, record->value.len);
        held->text_len = record->value.len;
    }
    token_fini(&token);
}

void subscriber_status_read(struct ingest *ingest, const struct kafka_record *record) {
    struct subscriber_statuses *s = ingest->statuses;
    char id[SPEC_ID_BYTES_MAX + 1];
    if (span_equal(record->key, fence_key())) {
        s->newest_claim[record->partition] = record->offset;
        return;
    }
    if (subscriber_key_parse(record->key, id) != SUBSCRIBER_KEY_SPEC ||
        kafka_partition_of(id, s->partitions) != record->partition)
        return;
    if (record->value.data)
        subscriber_status_read_token(ingest, id, record);
    else if (subscriber_status_find(s, id))
        subscriber_status_drop(s, subscriber_status_find(s, id));
}

/* --- showing */

static const struct held *subscriber_status_held_of(const struct ingest *ingest,
                                                    const struct registry_entry *entry) {
    return ingest->statuses ? subscriber_status_find(ingest->statuses, entry->id) : NULL;
}

bool subscriber_status_token(const struct ingest *ingest, const struct registry_entry *entry,
                             struct token *token) {
    const struct held *held = subscriber_status_held_of(ingest, entry);
    struct error err;
    bool newer;
    if (!held || !held->text ||
        token_from_json(token, (struct span){held->text, held->text_len}, &newer, &err))
        return false;
    if (strcmp(token->registration_id, entry->registration_id) == 0)
        return true;
    token_fini(token);
    return false;
}

enum token_state subscriber_status_state(const struct ingest *ingest,
                                         const struct registry_entry *entry,
                                         const struct token *token, const char **reason) {
    const struct held *held = subscriber_status_held_of(ingest, entry);
    *reason = held ? held->bad : NULL;
    for (int i = 0; i < REGISTRY_RECORDS; i++)
        if (entry->faults[i].reason)
            *reason = entry->faults[i].reason;
    if (!*reason && !registry_keys(entry))
        *reason = "the secret is missing: delete the subscriber and register again";
    if (*reason)
        return TOKEN_DISABLED;
    *reason = token && *token->reason ? token->reason : NULL;
    if (token)
        return token->state;
    return registry_paused(entry)  ? TOKEN_PAUSED
           : entry->spec.handshake ? TOKEN_PENDING
                                   : TOKEN_ACTIVE;
}

int64_t subscriber_status_position(const struct registry_entry *entry, const struct token *token) {
    return acknowledgement_position(&entry->acknowledged, entry->registration_id,
                                    token ? token->rewinds : 0,
                                    token ? token->position : entry->start);
}

static void subscriber_status_put_time(struct buf *out, const char *name, int64_t wall_ms) {
    char text[CLOCK_TEXT_BYTES];
    clock_format(wall_ms, text);
    json_member_string(out, name, text);
}

static void subscriber_status_put_last_error(struct buf *out, const struct token *token) {
    const struct token_attempt *last = token->attempts_count
                                           ? &token->attempts[token->attempts_count - 1]
                                           : NULL;
    char text[32];
    if (!last || last->at_ms <= token->last_success_ms)
        return; /* an attempt has succeeded since */
    snprintf(text, sizeof text, "status %" PRId64, last->status);
    json_member_string(out, "last_error", *last->error || !last->status ? last->error : text);
    subscriber_status_put_time(out, "last_error_at", last->at_ms);
}

static void subscriber_status_put_progress(struct buf *out, const struct ingest *ingest,
                                           const struct registry_entry *entry,
                                           const struct token *token) {
    int64_t cursor = subscriber_status_position(entry, token), end = ingest_log_end(ingest);
    const struct acknowledgement *a = &entry->acknowledged;
    bool behind = end > cursor && !(token && token->waiting);
    json_member_number(out, "cursor", cursor);
    json_member_number(out, "lag", behind ? end - cursor : 0);
    if (token)
        subscriber_status_put_last_error(out, token);
    if (token && token->failing_since_ms)
        subscriber_status_put_time(out, "failing_since", token->failing_since_ms);
    if (token && token->last_success_ms)
        subscriber_status_put_time(out, "last_success", token->last_success_ms);
    if (a->appended_ms && strcmp(a->registration_id, entry->registration_id) == 0)
        subscriber_status_put_time(out, "last_ack", a->appended_ms);
    if (token && token->oldest_ms && behind)
        subscriber_status_put_time(out, "waiting_since", token->oldest_ms);
    if (token && token->written_ms)
        subscriber_status_put_time(out, "as_of", token->written_ms);
    if (token && token->next_attempt_ms > clock_wall_ms()) /* otherwise the attempt is under way */
        subscriber_status_put_time(out, "next_attempt", token->next_attempt_ms);
    if (token && token->rate > 0)
        json_member_real(out, "rate", token->rate);
    json_member_number(out, "delivered", token ? token->delivered : 0);
    json_member_number(out, "dead_lettered", token ? token->dead_lettered : 0);
    json_member_number(out, "redriven", token ? token->redriven_count : 0);
}

static void subscriber_status_put_job(struct buf *out, const struct token *token,
                                      const struct token_job *job) {
    bool stands = token->state == TOKEN_PAUSED || token->state == TOKEN_DISABLED ||
                  token->state == TOKEN_PENDING;
    json_put_object(out);
    json_member_number(out, "job", job->job);
    json_member_string(out, "kind", job->redrive ? "redrive" : "replay");
    json_member_number(out, "from", job->from);
    json_member_number(out, "to", job->to);
    json_member_number(out, "cursor", job->position);
    json_member_number(out, "delivered", job->delivered);
    json_member_string(out, "state", stands ? token_state_name(token->state) : "running");
    if (*job->reason)
        json_member_string(out, "reason", job->reason);
    json_end_object(out);
}

static void subscriber_status_put_jobs(struct buf *out, const struct token *token) {
    json_member_list(out, "jobs");
    for (int64_t i = 0; token && i < token->jobs_count; i++)
        subscriber_status_put_job(out, token, &token->jobs[i]);
    json_end_list(out);
}

static void subscriber_status_put_outcome(struct buf *out, const struct token_outcome *o) {
    json_put_object(out);
    json_member_number(out, "generation", o->generation);
    json_member_string(out, "command", o->command);
    json_member_string(out, "outcome", o->outcome);
    subscriber_status_put_time(out, "at", o->at_ms);
    if (*o->reason)
        json_member_string(out, "reason", o->reason);
    if (o->delivered >= 0)
        json_member_number(out, "delivered", o->delivered);
    json_end_object(out);
}

/* Pending commands overtaken by later commands, and the outcomes of the last commands, newest
 * first. */
static void subscriber_status_put_commands(struct buf *out, const struct token *token) {
    json_member_numbers(out, "pending", token ? token->pending : NULL,
                        token ? (size_t)token->pending_count : 0);
    json_member_list(out, "outcomes");
    for (int64_t i = token ? token->outcomes_count - 1 : -1; i >= 0; i--)
        subscriber_status_put_outcome(out, &token->outcomes[i]);
    json_end_list(out);
}

void subscriber_status_to_json(const struct ingest *ingest, const struct registry_entry *entry,
                               struct buf *out) {
    struct token read;
    const struct token *token = subscriber_status_token(ingest, entry, &read) ? &read : NULL;
    const char *reason;
    enum token_state state = subscriber_status_state(ingest, entry, token, &reason);
    json_put_object(out);
    json_member_string(out, "state", token_state_name(state));
    if (reason)
        json_member_string(out, "reason", reason);
    if (entry->readable) {
        subscriber_status_put_progress(out, ingest, entry, token);
        subscriber_status_put_jobs(out, token);
        subscriber_status_put_commands(out, token);
        json_member_number(out, "generation", token ? token->generation : 0);
        json_member_string(out, "source", entry->source);
        if (entry->spec.tls && entry->spec.tls->not_after_ms)
            subscriber_status_put_time(out, "not_after", entry->spec.tls->not_after_ms);
        warnings_show(&entry->spec, out);
    }
    json_end_object(out);
    if (token)
        token_fini(&read);
}

static void subscriber_status_put_attempt(struct buf *out, const struct token_attempt *a) {
    json_put_object(out);
    subscriber_status_put_time(out, "at", a->at_ms);
    json_member_number(out, "cursor", a->cursor);
    json_member_number(out, "attempt", a->attempt);
    if (a->status)
        json_member_number(out, "status", a->status);
    if (!a->status || *a->error)
        json_member_string(out, "error", a->error);
    json_member_number(out, "duration_ms", a->duration_ms);
    json_member_string(out, "excerpt", a->excerpt);
    json_end_object(out);
}

void subscriber_status_attempts(const struct ingest *ingest, const struct registry_entry *entry,
                                struct buf *out) {
    struct token token;
    bool has_token = subscriber_status_token(ingest, entry, &token);
    json_put_list(out);
    for (int64_t i = has_token ? token.attempts_count - 1 : -1; i >= 0; i--)
        subscriber_status_put_attempt(out, &token.attempts[i]);
    json_end_list(out);
    if (has_token)
        token_fini(&token);
}
