/* Changes of keys; see keys.h. A keys record holds all keys of a subscriber. Each change is kept
 * until its record has been read back, and repeated on top of another writer's record that landed
 * between. */
#include "ingest/api/keys.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/access/access_token.h"
#include "common/base/clock.h"
#include "common/base/number.h"
#include "common/crypto/signature.h"
#include "common/json/body.h"
#include "common/json/writer.h"
#include "ingest/api/call.h"
#include "ingest/ingest.h"
#include "ingest/registry/registry.h"
#include "ingest/registry/registry_write.h"
#include "ingest/registry/registry_writer.h"

enum { HOUR = 3600 * 1000, OVERLAP_DEFAULT_MS = 24 * HOUR, OVERLAP_MAX_MS = 7 * 24 * HOUR };

/* A change of keys. */
struct keys_change {
    char *secret; /* the new secret; NULL: unchanged */
    /* wall-clock time until which the old secrets also sign; 0: only the new secret signs */
    int64_t until_ms;
    char token[ACCESS_TOKEN_HASH_BYTES]; /* hash of the new access token; "": unchanged */
};

static void keys_change_free(void *data) {
    struct keys_change *k = data;
    mem_wipe_string(k->secret);
    free(k);
}

static void keys_add_old(struct subscriber_keys *keys, const char *secret, int64_t until_ms) {
    if (keys->old_count < SUBSCRIBER_OLD_SECRETS_MAX)
        keys->old[keys->old_count++] = (struct subscriber_old_secret){
            mem_copy_string(secret, strlen(secret)), until_ms};
}

static void keys_add_olds(struct subscriber_keys *keys, const struct subscriber_keys *from) {
    for (size_t i = 0; i < from->old_count; i++)
        if (from->old[i].until_ms > clock_wall_ms())
            keys_add_old(keys, from->old[i].secret, from->old[i].until_ms);
}

/* Applies a change. `old` may be NULL with a new secret. */
static struct subscriber_keys keys_apply(const struct keys_change *k,
                                         const struct subscriber_keys *old,
                                         const char *registration_id) {
    struct subscriber_keys keys = {.old_count = 0};
    static const struct subscriber_keys none = {.secret = NULL};
    old = old ? old : &none;
    const char *secret = k->secret ? k->secret : old->secret;
    memcpy(keys.registration_id, registration_id, sizeof keys.registration_id);
    keys.secret = mem_copy_string(secret, strlen(secret));
    memcpy(keys.token, *k->token ? k->token : old->token, sizeof keys.token);
    if (k->secret && k->until_ms && old->secret)
        keys_add_old(&keys, old->secret, k->until_ms);
    if (!k->secret || k->until_ms)
        keys_add_olds(&keys, old);
    return keys;
}

static void keys_add(struct call *call, struct registry_write *write,
                     const struct registry_entry *entry) {
    struct subscriber_keys keys = keys_apply(call->data, registry_keys(entry),
                                             call->registration_id);
    registry_writer_add_keys(call->ingest, write, call->id, &keys);
    subscriber_keys_fini(&keys);
}

static void keys_send_write(struct call *call, struct registry_entry *entry) {
    struct registry_write *write = registry_write_new(call->ingest, call->id, call->registration_id,
                                                      entry->keys_offset);
    keys_add(call, write, entry);
    call_send(call, write);
}

static struct keys_change *keys_prepare(struct call *call) {
    call->data = mem_zero(sizeof(struct keys_change));
    call->free_data = keys_change_free;
    call->again = keys_send_write;
    return call->data;
}

void keys_add_secret(struct call *call, struct registry_write *write, struct registry_entry *entry,
                     const char *secret) {
    keys_prepare(call)->secret = mem_copy_string(secret, strlen(secret));
    keys_add(call, write, entry);
}

/* --- rotate */

static int keys_parse_overlap(struct span text, int64_t *overlap_ms, struct error *err) {
    static const char *const known[] = {"overlap", NULL};
    struct body body;
    char duration[32];
    *overlap_ms = OVERLAP_DEFAULT_MS;
    if (body_parse(&body, text, known, err))
        return -1;
    const struct json_member *member = body_member(&body, "overlap");
    if (!member)
        return 0;
    long len = member->kind == JSON_IS_STRING
                   ? json_unescape(member->value, duration, sizeof duration)
                   : -1;
    if (member->kind == JSON_IS_NUMBER && number_parse(member->value) == 0)
        *overlap_ms = 0;
    else if (len < 0 || clock_parse_duration(duration, (size_t)len, overlap_ms) ||
             *overlap_ms > OVERLAP_MAX_MS)
        return error_set_field(err, "overlap", "must be a duration such as 24h, from 0 to 7d");
    return 0;
}

void keys_rotate(void *arg, struct http_request *request) {
    struct error err;
    int64_t overlap_ms;
    struct buf secret = {0};
    struct call *call = call_begin(arg, request, CALL_CHANGES);
    struct registry_entry *entry = call ? call_entry(call) : NULL;
    if (!entry)
        return;
    if (spec_is_pulled(&entry->spec)) {
        error_set(&err, "the subscriber is pulled: nothing is signed, so there is no secret");
        call_refuse(call, 409, &err);
        return;
    }
    if (keys_parse_overlap(http_request_body(request), &overlap_ms, &err)) {
        call_refuse(call, 400, &err);
        return;
    }
    struct keys_change *k = keys_prepare(call);
    signature_make_secret(&secret);
    k->secret = buf_detach(&secret, NULL);
    k->until_ms = overlap_ms ? clock_wall_ms() + overlap_ms : 0;
    json_member_string(&call->answer, "secret", k->secret);
    json_member_string(&call->answer, "whsec", k->secret);
    keys_send_write(call, entry);
}

/* --- token */

void keys_token(void *arg, struct http_request *request) {
    static const char *const no_members[] = {NULL};
    struct error err;
    struct body body;
    char token[ACCESS_TOKEN_BYTES];
    struct call *call = call_begin(arg, request, CALL_COMMANDS);
    struct registry_entry *entry = call ? call_entry(call) : NULL;
    if (!entry)
        return;
    if (body_parse(&body, http_request_body(request), no_members, &err)) {
        call_refuse(call, 400, &err);
    } else if (!registry_keys(entry)) {
        error_set(&err,
                  "the subscriber's keys cannot be read, so no access token can be added to them");
        call_refuse(call, 409, &err);
    } else {
        access_token_make(token);
        access_token_hash(span_of(token), keys_prepare(call)->token);
        json_member_string(&call->answer, "token", token);
        keys_send_write(call, entry);
        OPENSSL_cleanse(token, sizeof token);
    }
}
