/* The subscribers as the log has them; see registry.h. */
#include "ingest/registry.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/kafka/table.h"
#include "common/kafka/times.h"
#include "common/model/event.h"
#include "ingest/ingest.h"

struct registry {
    struct ingest *ingest;
    struct table *table;
    const char *topics[2];
    struct registry_entry *entries;
    struct buf check;
    bool has_check;
    void (*loaded)(struct ingest *ingest);
};

static void wipe(char **secret) {
    if (*secret)
        OPENSSL_cleanse(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}

static void entry_free(struct registry *r, struct registry_entry *entry) {
    HASH_DEL(r->entries, entry);
    wipe(&entry->secret);
    wipe(&entry->content); /* header values may be secret */
    free(entry->source);
    free(entry);
}

static struct registry_entry *entry_of(struct registry *r, const char *id) {
    struct registry_entry *entry = registry_find(r, id);
    if (entry)
        return entry;
    entry = mem_zero(sizeof *entry);
    snprintf(entry->id, sizeof entry->id, "%s", id);
    entry->generation = entry->written = -1;
    HASH_ADD_STR(r->entries, id, entry);
    return entry;
}

struct registry_entry *registry_first(struct registry *r) { return r->entries; }

struct registry_entry *registry_find(struct registry *r, const char *id) {
    struct registry_entry *entry;
    HASH_FIND_STR(r->entries, id, entry);
    return entry;
}

struct span registry_check(const struct registry *r) {
    return r->has_check ? (struct span){r->check.data, r->check.len} : (struct span){NULL, 0};
}

static char *content_of(const struct spec *spec) {
    struct buf text = {0};
    spec_to_json(spec, true, &text);
    return buf_detach(&text, NULL);
}

static void log_unreadable(const struct table_record *record, const char *id, const char *reason) {
    log_error("bad_record", LOG_S("topic", record->topic), LOG_N("partition", record->partition), LOG_N("offset", record->offset),
              LOG_S("subscriber", id), LOG_S("reason", reason));
}

static void read_spec(struct registry *r, const char *id, const struct table_record *record) {
    struct registry_entry *entry = entry_of(r, id);
    struct subscriber_record parsed;
    struct error err;
    bool newer, old_key = false;
    entry->known = true;
    entry->generation = record->offset;
    entry->readable = r->ingest->keyring && !subscriber_record_from_json(&parsed, id, record->value, r->ingest->keyring, &newer, &old_key, &err);
    if (!entry->readable) {
        log_unreadable(record, id, r->ingest->keyring ? err.message : "there is no key to open it");
        return;
    }
    wipe(&entry->content);
    free(entry->source);
    memcpy(entry->born, parsed.born, sizeof entry->born);
    entry->source = mem_copy_string(parsed.source, strlen(parsed.source));
    entry->start = parsed.start;
    entry->removed = parsed.removed;
    entry->content = content_of(&parsed.spec);
    entry->old_key |= old_key;
    spec_fini(&parsed.spec);
}

static void read_keys(struct registry *r, const char *id, const struct table_record *record) {
    struct registry_entry *entry = entry_of(r, id);
    struct subscriber_keys keys;
    struct error err;
    bool newer, old_key = false;
    if (!r->ingest->keyring || subscriber_keys_from_json(&keys, id, record->value, r->ingest->keyring, &newer, &old_key, &err)) {
        log_unreadable(record, id, r->ingest->keyring ? err.message : "there is no key to open it");
        return;
    }
    wipe(&entry->secret);
    entry->secret = keys.secret;
    memcpy(entry->keys_born, keys.born, sizeof entry->keys_born);
    entry->old_key |= old_key;
}

static void on_record(void *arg, const struct table_record *record) {
    struct registry *r = arg;
    char id[SPEC_ID_BYTES_MAX + 1];
    enum subscriber_key kind = subscriber_key_parse(record->key, id);
    if (kind == SUBSCRIBER_KEY_CHECK && record->value.data) {
        buf_clear(&r->check);
        buf_append(&r->check, record->value.data, record->value.len);
        r->has_check = true;
    } else if (kind == SUBSCRIBER_KEY_SPEC && record->value.data) {
        read_spec(r, id, record);
    } else if (kind == SUBSCRIBER_KEY_SPEC && registry_find(r, id) && registry_find(r, id)->pending == 0) {
        entry_free(r, registry_find(r, id));
    } else if (kind == SUBSCRIBER_KEY_KEYS && record->value.data) {
        read_keys(r, id, record);
    }
}

static void on_loaded(void *arg) {
    struct registry *r = arg;
    r->loaded(r->ingest);
}

static void on_failed(void *arg, const char *reason) {
    struct registry *r = arg;
    ingest_start_over(r->ingest, reason);
}

struct registry *registry_new(struct ingest *ingest, void (*loaded)(struct ingest *), struct error *err) {
    struct registry *r = mem_zero(sizeof *r);
    *r = (struct registry){.ingest = ingest, .topics = {ingest->subscribers_topic, NULL}, .loaded = loaded};
    const struct table_options options = {.kafka = &ingest->settings.kafka,
                                          .topics = r->topics,
                                          .partitions = SUBSCRIBER_PARTITIONS,
                                          .record = on_record,
                                          .loaded = on_loaded,
                                          .failed = on_failed,
                                          .arg = r};
    r->table = table_new(ingest->loop, &options, err);
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
    table_free(r->table);
    HASH_ITER(hh, r->entries, entry, next)
        entry_free(r, entry);
    buf_fini(&r->check);
    free(r);
}

bool registry_loaded(const struct registry *r) { return table_loaded(r->table); }

/* One record on its way. It finds its entry again by id, since the registry may have been made anew meanwhile. */
struct registry_append {
    struct append append;
    struct ingest *ingest;
    char id[SPEC_ID_BYTES_MAX + 1];
    bool is_spec;
};

static void on_reported(struct append *append, const struct producer_report *report) {
    struct registry_append *a = (struct registry_append *)append;
    struct registry_entry *entry = a->ingest->registry ? registry_find(a->ingest->registry, a->id) : NULL;
    if (entry && entry->pending)
        entry->pending--;
    if (entry && a->is_spec && report->fate == PRODUCER_WRITTEN)
        entry->written = report->offset;
    if (report->fate != PRODUCER_WRITTEN)
        log_warn("subscriber_not_written", LOG_S("subscriber", a->id), LOG_S("reason", report->reason));
    else if (a->is_spec)
        log_info("subscriber_written", LOG_S("subscriber", a->id), LOG_N("generation", report->offset));
    free(a);
}

static void append_record(struct registry *r, struct registry_entry *entry, const char *id, struct span key, const struct buf *value, bool is_spec) {
    struct error err;
    struct registry_append *a = mem_zero(sizeof *a);
    *a = (struct registry_append){.append.reported = on_reported, .ingest = r->ingest, .is_spec = is_spec};
    snprintf(a->id, sizeof a->id, "%s", id);
    const struct producer_record record = {.topic = r->ingest->subscribers_topic,
                                           .partition = entry ? kafka_partition_of(id, SUBSCRIBER_PARTITIONS) : 0,
                                           .key = key,
                                           .value = {value->data, value->len}};
    if (producer_send(r->ingest->producer, &record, &a->append, &err)) {
        log_warn("subscriber_not_written", LOG_S("subscriber", id), LOG_S("reason", err.message));
        free(a);
    } else if (entry) {
        entry->pending++;
    }
}

void registry_write_check(struct registry *r) {
    struct buf value = {0};
    subscriber_check_to_json(r->ingest->keyring, &value);
    append_record(r, NULL, "", (struct span){SUBSCRIBER_CHECK_KEY, SUBSCRIBER_CHECK_KEY_BYTES}, &value, false);
    buf_fini(&value);
}

static void write_keys(struct registry *r, struct registry_entry *entry, const char *born, const char *secret) {
    struct buf value = {0};
    char key[SPEC_ID_BYTES_MAX + 8];
    struct subscriber_keys keys = {.secret = mem_copy_string(secret, strlen(secret))};
    memcpy(keys.born, born, sizeof keys.born);
    subscriber_keys_to_json(&keys, entry->id, r->ingest->keyring, &value);
    snprintf(key, sizeof key, "%s/keys", entry->id);
    append_record(r, entry, entry->id, span_of(key), &value, false);
    subscriber_keys_fini(&keys);
    buf_fini(&value);
}

static void write_spec(struct registry *r, struct registry_entry *entry, const struct subscriber_record *record) {
    struct buf value = {0};
    subscriber_record_to_json(record, r->ingest->keyring, &value);
    append_record(r, entry, entry->id, span_of(entry->id), &value, true);
    buf_fini(&value);
}

/* The record of an entry as it is, with another spec and source. The spec stays the caller's. */
static struct subscriber_record record_of(const struct registry_entry *entry, const struct spec *spec, const char *source, bool removed) {
    struct subscriber_record record = {.start = entry->start, .registered = -1, .removed = removed, .spec = *spec};
    memcpy(record.born, entry->born, sizeof record.born);
    snprintf(record.source, sizeof record.source, "%s", source);
    return record;
}

/* A new subscriber: its secret first, so that whoever sees the spec can sign. */
static void write_new(struct registry *r, struct registry_entry *entry, const struct spec *spec, const char *source, int64_t start) {
    uuid_v4(entry->born);
    entry->start = start;
    write_keys(r, entry, entry->born, spec->secret);
    struct subscriber_record record = record_of(entry, spec, source, false);
    write_spec(r, entry, &record);
}

/* `from: <time>` asks the broker, on a thread of its own. */
struct lookup {
    struct ingest *ingest;
    struct registry_entry *entry;
    struct registry *registry;
    struct spec spec;
    char *source;
    int64_t offset;
    int result;
    struct error err;
};

static void lookup_work(void *arg) {
    struct lookup *l = arg;
    l->result = kafka_offset_at(&l->ingest->settings.kafka, l->ingest->events_topic, l->spec.from_value, &l->offset, &l->err);
}

static void lookup_done(void *arg) {
    struct lookup *l = arg;
    if (l->ingest->registry == l->registry && !l->ingest->stopping) {
        l->entry->pending--;
        if (l->result)
            log_warn("subscriber_not_written", LOG_S("subscriber", l->entry->id), LOG_S("reason", l->err.message));
        else
            write_new(l->registry, l->entry, &l->spec, l->source, l->offset > 0 ? l->offset - 1 : 0);
    }
    spec_fini(&l->spec);
    free(l->source);
    free(l);
}

static int write_from_time(struct registry *r, struct registry_entry *entry, const struct spec *spec, const char *source, struct error *err) {
    struct lookup *l = mem_zero(sizeof *l);
    *l = (struct lookup){.ingest = r->ingest, .entry = entry, .registry = r};
    char *content = content_of(spec);
    static const struct cidr everywhere = {.bits = 0};
    const struct spec_rules rules = {.allowed = &everywhere, .allowed_count = 1};
    int result = spec_from_json(&l->spec, span_of(content), &rules, err); /* a copy of its own */
    wipe(&content);
    if (result) {
        free(l);
        return -1;
    }
    l->spec.secret = mem_copy_string(spec->secret, strlen(spec->secret));
    l->spec.from_value = spec->from_value;
    l->source = mem_copy_string(source, strlen(source));
    entry->pending++;
    loop_task(r->ingest->loop, lookup_work, lookup_done, l);
    return 1;
}

static int put_new(struct registry *r, const struct spec *spec, const char *source, struct error *err) {
    int64_t end = ingest_end(r->ingest);
    if (spec->from == SPEC_FROM_CURSOR && spec->from_value > end)
        return error_set_field(err, "from", "cursor %lld is beyond the end of the log, %lld", (long long)spec->from_value, (long long)end);
    struct registry_entry *entry = entry_of(r, spec->id);
    if (spec->from == SPEC_FROM_TIME)
        return write_from_time(r, entry, spec, source, err);
    write_new(r, entry, spec, source, spec->from == SPEC_FROM_CURSOR ? spec->from_value : spec->from == SPEC_FROM_BEGINNING ? 0 : end);
    return 1;
}

int registry_put(struct registry *r, const struct spec *spec, const char *source, struct error *err) {
    struct registry_entry *entry = registry_find(r, spec->id);
    if (entry && (entry->pending || entry->written > entry->generation))
        return 1;
    if (!entry || !entry->known)
        return put_new(r, spec, source, err);
    if (!entry->readable)
        return error_set_field(err, "id", "the record of %s in Kafka cannot be read, so it is left alone", spec->id);
    char *content = content_of(spec);
    bool same_keys = entry->secret && strcmp(entry->keys_born, entry->born) == 0 && strcmp(entry->secret, spec->secret) == 0;
    bool same_spec = !entry->removed && strcmp(entry->content, content) == 0 && strcmp(entry->source, source) == 0;
    wipe(&content);
    if (!same_keys)
        write_keys(r, entry, entry->born, spec->secret);
    if (!same_spec) {
        struct subscriber_record record = record_of(entry, spec, source, false);
        write_spec(r, entry, &record);
    }
    return !same_keys || !same_spec;
}

/* Writes an entry's own spec again, as removed or sealed anew. */
static void rewrite(struct registry *r, struct registry_entry *entry, bool removed) {
    static const struct cidr everywhere = {.bits = 0};
    const struct spec_rules rules = {.allowed = &everywhere, .allowed_count = 1};
    struct spec spec;
    struct error err;
    if (!entry->readable || spec_from_json(&spec, span_of(entry->content), &rules, &err))
        return;
    struct subscriber_record record = record_of(entry, &spec, entry->source, removed);
    write_spec(r, entry, &record);
    spec_fini(&spec);
}

void registry_remove(struct registry *r, struct registry_entry *entry) {
    if (!entry->pending && entry->written <= entry->generation)
        rewrite(r, entry, true);
}

void registry_reseal(struct registry *r) {
    struct registry_entry *entry, *next;
    HASH_ITER(hh, r->entries, entry, next) {
        if (!entry->old_key)
            continue;
        entry->old_key = false;
        if (entry->secret)
            write_keys(r, entry, entry->keys_born, entry->secret);
        rewrite(r, entry, entry->removed);
    }
}
