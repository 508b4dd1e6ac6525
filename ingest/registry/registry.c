/* The registry of subscribers; see registry.h. */
#include "ingest/registry/registry.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/kafka/table.h"
#include "ingest/ingest.h"
#include "ingest/registry/registry_write.h"
#include "ingest/registry/reservations.h"
#include "ingest/registry/subscriber_status.h"

struct registry {
    struct ingest *ingest;
    struct table *table;
    const char *topics[3];
    struct registry_entry *entries;  /* by id */
    struct registry_entry *by_token; /* entries with an access token, by the token's hash */
    uint64_t version;
    struct buf check;
    bool has_check;
    void (*loaded)(struct ingest *ingest);
};

static void registry_forget_keys(struct registry *r, struct registry_entry *entry) {
    if (entry->keys && *entry->keys->token)
        HASH_DELETE(by_token, r->by_token, entry);
    if (entry->keys)
        subscriber_keys_fini(entry->keys);
    free(entry->keys);
    entry->keys = NULL;
    entry->keys_offset = -1;
}

static void registry_entry_free(struct registry *r, struct registry_entry *entry) {
    HASH_DEL(r->entries, entry);
    registry_forget_keys(r, entry);
    spec_fini(&entry->spec);
    for (int i = 0; i < REGISTRY_RECORDS; i++)
        free(entry->faults[i].reason);
    free(entry->source);
    command_ring_fini(&entry->commands);
    free(entry);
}

static struct registry_entry *registry_entry_of(struct registry *r, const char *id) {
    struct registry_entry *entry = registry_find(r, id);
    if (entry)
        return entry;
    entry = mem_zero(sizeof *entry);
    snprintf(entry->id, sizeof entry->id, "%s", id);
    entry->generation = entry->keys_offset = -1;
    HASH_ADD_STR(r->entries, id, entry);
    return entry;
}

struct registry_entry *registry_first(struct registry *r) { return r->entries; }
size_t registry_count(const struct registry *r) { return HASH_COUNT(r->entries); }
uint64_t registry_version(const struct registry *r) { return r->version; }

struct registry_entry *registry_find(struct registry *r, const char *id) {
    struct registry_entry *entry;
    HASH_FIND_STR(r->entries, id, entry);
    return entry;
}

struct registry_entry *registry_find_token(struct registry *r, const char *hash) {
    struct registry_entry *entry;
    HASH_FIND(by_token, r->by_token, hash, strlen(hash), entry);
    return registry_in_force(entry) && registry_keys(entry) ? entry : NULL;
}

bool registry_in_force(const struct registry_entry *entry) {
    return entry && entry->known && !(entry->readable && entry->removed);
}

struct subscriber_keys *registry_keys(const struct registry_entry *entry) {
    return entry->keys && strcmp(entry->keys->registration_id, entry->registration_id) == 0
               ? entry->keys
               : NULL;
}

bool registry_is_file(const struct registry_entry *entry) {
    return entry->readable && strcmp(entry->source, "api") != 0;
}
bool registry_paused(const struct registry_entry *entry) {
    return entry->desired.paused &&
           strcmp(entry->desired.registration_id, entry->registration_id) == 0;
}

struct span registry_check(const struct registry *r) {
    return r->has_check ? (struct span){r->check.data, r->check.len} : (struct span){NULL, 0};
}

/* --- reading */

static void registry_say_bad(const struct registry *r, const struct registry_entry *entry,
                             enum registry_record kind) {
    int32_t partition = kafka_partition_of(entry->id,
                                           r->ingest->service.genesis.subscriber_partitions);
    service_bad_record(&r->ingest->service, r->topics[0], partition, entry->faults[kind].offset,
                       entry->id, entry->faults[kind].reason);
}

/* While the topics are first read a bad record is noted, not logged: a newer record may replace
 * it, as after the replacement of a key in the key file. */
static void registry_note_bad(struct registry *r, struct registry_entry *entry,
                              enum registry_record kind, const struct kafka_record *record,
                              const char *reason) {
    struct buf text = {0};
    buf_printf(&text, "the record in %s, partition %d, offset %lld cannot be read: %s",
               record->topic, (int)record->partition, (long long)record->offset, reason);
    free(entry->faults[kind].reason);
    entry->faults[kind].reason = buf_detach(&text, NULL);
    entry->faults[kind].offset = record->offset;
    if (table_loaded(r->table))
        registry_say_bad(r, entry, kind);
}

static void registry_note_good(struct registry_entry *entry, enum registry_record kind) {
    free(entry->faults[kind].reason);
    entry->faults[kind].reason = NULL;
}

static void registry_take_spec(struct registry_entry *entry, struct subscriber_record *parsed) {
    spec_fini(&entry->spec);
    free(entry->source);
    memcpy(entry->registration_id, parsed->registration_id, sizeof entry->registration_id);
    memcpy(entry->by, parsed->by, sizeof entry->by);
    entry->source = mem_copy_string(parsed->source, strlen(parsed->source));
    entry->start = parsed->start;
    entry->removed = parsed->removed;
    entry->spec = parsed->spec;
    parsed->spec = (struct spec){0};
    entry->readable = true;
}

static const char no_key[] = "no key file opens the record";

/* Loads a key file that was missing at the start: an ingest that started at the same moment may
 * have made the file and sealed records with the new key. */
static const struct keyring *registry_ring_of(struct registry *r) {
    struct error err;
    if (!r->ingest->keyring)
        r->ingest->keyring = keyring_load(r->ingest->service.settings.secrets_key_file, NULL, &err);
    return r->ingest->keyring;
}

static void registry_read_spec(struct registry *r, struct registry_entry *entry,
                               const struct kafka_record *record) {
    struct subscriber_record parsed;
    struct error err;
    bool newer = false, old_key = false;
    const struct keyring *ring = registry_ring_of(r);
    if (!ring || subscriber_record_from_json(&parsed, entry->id, record->value, ring, &newer,
                                             &old_key, &err)) {
        registry_note_bad(r, entry, REGISTRY_SPEC, record, ring ? err.message : no_key);
        entry->known = true;
        entry->readable = false;
        entry->newer = newer;
        entry->generation = record->offset;
        return;
    }
    registry_note_good(entry, REGISTRY_SPEC);
    entry->known = true;
    entry->generation = record->offset;
    entry->old_key |= old_key;
    registry_take_spec(entry, &parsed);
    spec_fini(&parsed.spec);
}

static void registry_read_keys(struct registry *r, struct registry_entry *entry,
                               const struct kafka_record *record, bool overtaken) {
    struct subscriber_keys keys;
    struct error err;
    bool newer, old_key = false;
    const struct keyring *ring = registry_ring_of(r);
    if (!ring ||
        subscriber_keys_from_json(&keys, entry->id, record->value, ring, &newer, &old_key, &err)) {
        registry_note_bad(r, entry, REGISTRY_KEYS, record, ring ? err.message : no_key);
        return;
    }
    registry_note_good(entry, REGISTRY_KEYS);
    if (overtaken || (entry->readable && registry_keys(entry) &&
                      strcmp(keys.registration_id, entry->registration_id) != 0)) {
        subscriber_keys_fini(&keys);
    } else {
        registry_forget_keys(r, entry);
        entry->keys = mem_alloc(sizeof keys);
        *entry->keys = keys;
        if (*keys.token)
            HASH_ADD_KEYPTR(by_token, r->by_token, entry->keys->token, strlen(keys.token), entry);
    }
    entry->keys_offset = record->offset;
    entry->old_key |= old_key;
}

static void registry_read_desired(struct registry *r, struct registry_entry *entry,
                                  const struct kafka_record *record) {
    struct subscriber_desired desired;
    struct error err;
    bool newer;
    if (subscriber_desired_from_json(&desired, record->value, &newer, &err)) {
        registry_note_bad(r, entry, REGISTRY_DESIRED, record, err.message);
        return;
    }
    registry_note_good(entry, REGISTRY_DESIRED);
    if (!entry->readable || strcmp(entry->desired.registration_id, entry->registration_id) != 0 ||
        strcmp(desired.registration_id, entry->registration_id) == 0)
        entry->desired = desired;
}

static void registry_read_acknowledgement(struct registry *r, struct registry_entry *entry,
                                          const struct kafka_record *record) {
    struct acknowledgement read;
    struct error err;
    if (acknowledgement_from_json(&read, record->value, &err)) {
        service_bad_record(&r->ingest->service, record->topic, record->partition, record->offset,
                           entry->id, err.message);
        return;
    }
    read.appended_ms = record->appended_ms;
    bool counts = acknowledgement_take(&entry->acknowledged, &read, entry->registration_id,
                                       r->ingest->service.genesis.feed);
    entry->acknowledged_shadowed = !counts && acknowledgement_differs(&entry->acknowledged, &read);
}

static void registry_read_tombstone(struct registry *r, struct registry_entry *entry,
                                    enum subscriber_key kind) {
    if (kind == SUBSCRIBER_KEY_SPEC) {
        registry_entry_free(r, entry);
    } else if (kind == SUBSCRIBER_KEY_KEYS) {
        registry_note_good(entry, REGISTRY_KEYS);
        registry_forget_keys(r, entry);
    } else if (kind == SUBSCRIBER_KEY_DESIRED) {
        registry_note_good(entry, REGISTRY_DESIRED);
        entry->desired = (struct subscriber_desired){0};
    } else if (kind == SUBSCRIBER_KEY_ACKNOWLEDGEMENT) {
        entry->acknowledged = (struct acknowledgement){0};
        entry->acknowledged_shadowed = false;
    }
}

static void registry_read_check(struct registry *r, const struct kafka_record *record) {
    buf_clear(&r->check);
    buf_append(&r->check, record->value.data, record->value.len);
    r->has_check = record->value.data;
}

/* Our own overtaken record is ignored, but its offset is still the newest for the key. */
static void registry_pass_over(struct registry_entry *entry, enum subscriber_key kind,
                               int64_t offset) {
    if (entry && kind == SUBSCRIBER_KEY_SPEC)
        entry->generation = offset;
    else if (entry && kind == SUBSCRIBER_KEY_KEYS)
        entry->keys_offset = offset;
}

static void registry_read_of_subscriber(struct registry *r, const char *id,
                                        enum subscriber_key kind,
                                        const struct kafka_record *record) {
    struct registry_entry *entry = registry_find(r, id);
    struct registry_write *ours = registry_write_find(r->ingest->registry_writes, id, record,
                                                      entry);
    bool overtaken = registry_write_overtaken(ours);
    r->version += kind != SUBSCRIBER_KEY_ACKNOWLEDGEMENT; /* nothing that the folder writes */
    if (kind == SUBSCRIBER_KEY_RESERVATION)
        reservations_read(r->ingest->reservations, id, record, !table_loaded(r->table));
    else if (overtaken && (kind == SUBSCRIBER_KEY_SPEC || !record->value.data))
        registry_pass_over(entry, kind, record->offset);
    else if (!record->value.data && entry)
        registry_read_tombstone(r, entry, kind);
    else if (record->value.data && kind == SUBSCRIBER_KEY_SPEC)
        registry_read_spec(r, registry_entry_of(r, id), record);
    else if (record->value.data && kind == SUBSCRIBER_KEY_KEYS)
        registry_read_keys(r, registry_entry_of(r, id), record, overtaken);
    else if (record->value.data && kind == SUBSCRIBER_KEY_DESIRED)
        registry_read_desired(r, registry_entry_of(r, id), record);
    else if (record->value.data && kind == SUBSCRIBER_KEY_ACKNOWLEDGEMENT)
        registry_read_acknowledgement(r, registry_entry_of(r, id), record);
    else if (record->value.data && kind == SUBSCRIBER_KEY_COMMAND && entry)
        command_ring_note(&entry->commands, record->offset);
    registry_write_was_read(ours, record->offset);
}

static void registry_on_record(void *arg, const struct kafka_record *record) {
    struct registry *r = arg;
    char id[SPEC_ID_BYTES_MAX + 1];
    enum subscriber_key kind = subscriber_key_parse(record->key, id);
    if (record->topic == r->topics[1])
        subscriber_status_read(r->ingest, record);
    else if (kind == SUBSCRIBER_KEY_CHECK)
        registry_read_check(r, record);
    else if (kind != SUBSCRIBER_KEY_OTHER &&
             kafka_partition_of(id, r->ingest->service.genesis.subscriber_partitions) ==
                 record->partition)
        registry_read_of_subscriber(r, id, kind, record);
    else if (kind != SUBSCRIBER_KEY_OTHER)
        service_bad_record(&r->ingest->service, record->topic, record->partition, record->offset,
                           id, "the record is in the wrong partition and is ignored");
}

static void registry_on_loaded(void *arg) {
    struct registry *r = arg;
    for (struct registry_entry *entry = r->entries; entry; entry = entry->hh.next)
        for (int kind = 0; kind < REGISTRY_RECORDS; kind++)
            if (entry->faults[kind].reason)
                registry_say_bad(r, entry, (enum registry_record)kind);
    r->loaded(r->ingest);
}

static void registry_on_trouble(void *arg, const char *reason) {
    struct registry *r = arg;
    r->ingest->subscribers_trouble = reason;
    if (reason)
        log_warn("subscribers_not_read", LOG_S("reason", reason));
    else
        log_info("subscribers_read_again");
}

static void registry_on_failed(void *arg, const char *reason) {
    struct registry *r = arg;
    service_start_over(&r->ingest->service, reason);
}

struct registry *registry_new(struct ingest *ingest, void (*loaded)(struct ingest *),
                              struct error *err) {
    struct registry *r = mem_zero(sizeof *r);
    *r = (struct registry){
        .ingest = ingest,
        .topics = {ingest->service.subscribers_topic, ingest->service.tokens_topic, NULL},
        .loaded = loaded};
    const struct table_options options = {
        .kafka = &ingest->service.settings.kafka,
        .topics = r->topics,
        .partitions = ingest->service.genesis.subscriber_partitions,
        .record = registry_on_record,
        .loaded = registry_on_loaded,
        .trouble = registry_on_trouble,
        .failed = registry_on_failed,
        .arg = r};
    ingest->registry_writes = registry_writes_new();
    ingest->reservations = reservations_new();
    ingest->statuses = subscriber_status_new(ingest->service.genesis.subscriber_partitions);
    r->table = table_new(ingest->service.loop, &options, err);
    if (!r->table) {
        registry_free(r);
        return NULL;
    }
    return r;
}

void registry_free(struct registry *r) {
    struct registry_entry *entry, *next;
    if (!r)
        return;
    registry_writes_end(r->ingest->registry_writes);
    table_free(r->table);
    HASH_ITER(hh, r->entries, entry, next)
        registry_entry_free(r, entry);
    r->ingest->subscribers_trouble = NULL;
    subscriber_status_free(r->ingest->statuses);
    reservations_free(r->ingest->reservations);
    registry_writes_free(r->ingest->registry_writes);
    r->ingest->statuses = NULL;
    r->ingest->reservations = NULL;
    r->ingest->registry_writes = NULL;
    buf_fini(&r->check);
    free(r);
}
