/* The registry writer; see registry_writer.h. */
#include "ingest/registry/registry_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/crypto/signature.h"
#include "ingest/ingest.h"
#include "ingest/registry/registry.h"
#include "ingest/registry/registry_write.h"

enum { KEY_BYTES = SPEC_ID_BYTES_MAX + 8 };

void registry_writer_add_spec(const struct ingest *ingest, struct registry_write *write,
                              const struct subscriber_record *record) {
    struct buf value = {0};
    subscriber_record_to_json(record, ingest->keyring, &value);
    registry_write_add(write, record->spec.id, (struct span){value.data, value.len});
    buf_fini(&value);
}

void registry_writer_add_keys(const struct ingest *ingest, struct registry_write *write,
                              const char *id, const struct subscriber_keys *keys) {
    struct buf value = {0}, made = {0};
    struct subscriber_keys whole = *keys;
    char key[KEY_BYTES];
    if (!keys->secret)
        signature_make_secret(&made);
    whole.secret = keys->secret ? keys->secret : made.data;
    subscriber_keys_to_json(&whole, id, ingest->keyring, &value);
    buf_wipe(&made);
    snprintf(key, sizeof key, "%s/keys", id);
    registry_write_add(write, key, (struct span){value.data, value.len});
    buf_fini(&value);
}

void registry_writer_add_tombstones(struct registry_write *write, const char *id) {
    static const char *const kinds[] = {"/ack", "/want", "/keys", ""};
    char key[KEY_BYTES];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        snprintf(key, sizeof key, "%s%s", id, kinds[i]);
        registry_write_add(write, key, (struct span){NULL, 0});
    }
}

struct subscriber_record registry_writer_record(const struct registry_entry *entry,
                                                const struct spec *spec) {
    struct subscriber_record record = {.start = entry->start, .spec = *spec};
    memcpy(record.registration_id, entry->registration_id, sizeof record.registration_id);
    memcpy(record.by, entry->by, sizeof record.by);
    snprintf(record.source, sizeof record.source, "%s", entry->source);
    return record;
}

/* --- writes that nobody awaits */

struct unawaited {
    struct ingest *ingest;
    char id[SPEC_ID_BYTES_MAX + 1];
    const char *event; /* log event of success; NULL: log nothing */
};

static void registry_writer_on_done(void *arg, const struct registry_write_result *result) {
    struct unawaited *e = arg;
    if (result->fate == REGISTRY_WRITE_DONE && e->event)
        log_info(e->event, LOG_S("subscriber", e->id), LOG_N("generation", result->generation));
    else if (result->fate != REGISTRY_WRITE_DONE)
        log_warn("subscriber_not_written", LOG_S("subscriber", e->id),
                 LOG_S("reason", result->reason));
    if (result->fate == REGISTRY_WRITE_DONE && (result->keys_overtaken || result->spec_overtaken))
        registry_writer_restore(e->ingest, e->id);
    free(e);
}

static struct registry_write *registry_writer_begin(struct ingest *ingest,
                                                    const struct registry_entry *entry) {
    return registry_write_new(ingest, entry->id, entry->registration_id, entry->keys_offset);
}

static void registry_writer_send_off(struct ingest *ingest, struct registry_write *write,
                                     const char *id, const char *event) {
    struct unawaited *e = mem_zero(sizeof *e);
    *e = (struct unawaited){.ingest = ingest, .event = event};
    snprintf(e->id, sizeof e->id, "%s", id);
    registry_write_send(write, NULL, registry_writer_on_done, e);
}

/* Replaces the secret in the keys by the file's; the other members stay. */
static void registry_writer_add_secret(struct ingest *ingest, struct registry_write *write,
                                       const struct registry_entry *entry, char *secret) {
    const struct subscriber_keys *old = registry_keys(entry);
    struct subscriber_keys keys = {.secret = secret};
    memcpy(keys.registration_id, entry->registration_id, sizeof keys.registration_id);
    if (old)
        memcpy(keys.token, old->token, sizeof keys.token);
    registry_writer_add_keys(ingest, write, entry->id, &keys);
}

bool registry_writer_update(struct ingest *ingest, const struct registry_entry *entry,
                            const struct spec *spec, const char *source) {
    const struct subscriber_keys *keys = registry_keys(entry);
    bool same_keys = keys && (!spec->secret || strcmp(keys->secret, spec->secret) == 0);
    bool same_spec = !entry->removed && strcmp(entry->source, source) == 0 &&
                     spec_equal(&entry->spec, spec);
    if (same_keys && same_spec)
        return false;
    struct registry_write *write = registry_writer_begin(ingest, entry);
    struct subscriber_record record = registry_writer_record(entry, spec);
    snprintf(record.source, sizeof record.source, "%s", source);
    if (!same_keys)
        registry_writer_add_secret(ingest, write, entry, spec->secret);
    if (!same_spec)
        registry_writer_add_spec(ingest, write, &record);
    registry_writer_send_off(ingest, write, entry->id, "subscriber_written");
    return true;
}

/* Appends the entry's own spec again, with `keys` if given. */
static void registry_writer_rewrite(struct ingest *ingest, const struct registry_entry *entry,
                                    bool removed, const struct subscriber_keys *keys,
                                    const char *event) {
    struct registry_write *write = registry_writer_begin(ingest, entry);
    struct subscriber_record record = registry_writer_record(entry, &entry->spec);
    record.removed = removed;
    registry_writer_add_spec(ingest, write, &record);
    if (keys)
        registry_writer_add_keys(ingest, write, entry->id, keys);
    registry_writer_send_off(ingest, write, entry->id, event);
}

void registry_writer_remove(struct ingest *ingest, const struct registry_entry *entry) {
    registry_writer_rewrite(ingest, entry, true, NULL, "subscriber_removed");
}

void registry_writer_delete(struct ingest *ingest, const struct registry_entry *entry) {
    struct registry_write *write = registry_writer_begin(ingest, entry);
    registry_writer_add_tombstones(write, entry->id);
    registry_writer_send_off(ingest, write, entry->id, "subscriber_deleted");
}

void registry_writer_restore(struct ingest *ingest, const char *id) {
    const struct registry_entry *entry = registry_find(ingest->registry, id);
    if (entry && entry->known && entry->readable) {
        registry_writer_rewrite(ingest, entry, entry->removed, registry_keys(entry),
                                "subscriber_restored");
    } else if (!entry || !entry->known) {
        struct registry_write *write = registry_write_new(ingest, id, "", -1);
        registry_writer_add_tombstones(write, id);
        registry_writer_send_off(ingest, write, id, "subscriber_deleted");
    }
}

void registry_writer_erase(struct ingest *ingest, const char *id, const char *key) {
    struct registry_write *write = registry_write_new(ingest, id, "", -1);
    registry_write_add(write, key, (struct span){NULL, 0});
    registry_writer_send_off(ingest, write, id, NULL);
}

void registry_writer_tidy(struct ingest *ingest) {
    for (struct registry_entry *e = registry_first(ingest->registry); e; e = e->hh.next) {
        if (e->readable && e->old_key)
            registry_writer_rewrite(ingest, e, e->removed, registry_keys(e),
                                    "subscriber_sealed_anew");
        e->old_key = false;
    }
}

/* --- the check record */

static void registry_writer_on_check_reported(struct append *append,
                                              const struct producer_report *report) {
    if (report->fate != PRODUCER_WRITTEN)
        log_warn("check_record_not_written", LOG_S("reason", report->reason));
    free(append);
}

void registry_writer_write_check(struct ingest *ingest) {
    struct error err;
    struct buf value = {0};
    struct append *append = mem_zero(sizeof *append);
    append->reported = registry_writer_on_check_reported;
    subscriber_check_to_json(ingest->keyring, &value);
    const struct producer_record record = {
        .topic = ingest->service.subscribers_topic,
        .partition = 0,
        .key = {SUBSCRIBER_CHECK_KEY, SUBSCRIBER_CHECK_KEY_BYTES},
        .value = {value.data, value.len}};
    if (producer_send(ingest->service.producer, &record, append, &err)) {
        log_warn("check_record_not_written", LOG_S("reason", err.message));
        free(append);
    }
    buf_fini(&value);
}
