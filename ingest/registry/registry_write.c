/* Registry writes; see registry_write.h. A record of ours is recognised by its bytes: a keys or
 * spec record holds random content, and a command has a random key. */
#include "ingest/registry/registry_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/kafka/table.h"
#include "ingest/ingest.h"
#include "ingest/registry/registry.h"

enum { RECORDS_MAX = 6, LATE_MS = 5000, GIVE_UP_MS = 30000 };

struct write_record {
    struct append append;
    struct registry_write *write; /* NULL: the write ended before the report */
    char *key, *value;
    size_t value_len;
    bool tombstone, reported, rejected, read, overtaken;
    int64_t offset;  /* from the delivery report; -1: not known */
    int64_t read_at; /* offset at which the record was read back */
};

struct registry_write {
    struct registry_write *prev, *next; /* of the same subscriber */
    struct ingest *ingest;
    char id[SPEC_ID_BYTES_MAX + 1];
    char registration_id[37];
    /* Offsets of the records that the write was based on. -1: not compared. */
    int64_t keys_base, spec_base;
    struct write_record *records[RECORDS_MAX];
    size_t count;
    struct write_record *found; /* between registry_write_find and registry_write_was_read */
    struct registry_write_result result;
    struct error err; /* the reason of a failure */
    bool is_late;
    struct loop_timer timer;
    void (*late)(void *arg);
    void (*done)(void *arg, const struct registry_write_result *result);
    void *arg;
};

/* The writes under way for one subscriber. */
struct registry_writes_of {
    UT_hash_handle hh;
    char id[SPEC_ID_BYTES_MAX + 1];
    struct registry_write *list;
};

struct registry_writes {
    struct registry_writes_of *by_id;
};

static struct registry_writes_of *registry_writes_of(const struct registry_writes *writes,
                                                     const char *id) {
    struct registry_writes_of *of;
    HASH_FIND_STR(writes->by_id, id, of);
    return of;
}

static void registry_write_enlist(struct registry_write *w) {
    struct registry_writes_of *of = registry_writes_of(w->ingest->registry_writes, w->id);
    if (!of) {
        of = mem_zero(sizeof *of);
        memcpy(of->id, w->id, sizeof of->id);
        HASH_ADD_STR(w->ingest->registry_writes->by_id, id, of);
    }
    DL_APPEND(of->list, w);
}

static void registry_write_delist(struct registry_write *w) {
    struct registry_writes_of *of = registry_writes_of(w->ingest->registry_writes, w->id);
    DL_DELETE(of->list, w);
    if (of->list)
        return;
    HASH_DEL(w->ingest->registry_writes->by_id, of);
    free(of);
}

struct registry_write *registry_write_new(struct ingest *ingest, const char *id,
                                          const char *registration_id, int64_t keys_base) {
    struct registry_write *w = mem_zero(sizeof *w);
    *w = (struct registry_write){.ingest = ingest,
                                 .keys_base = keys_base,
                                 .spec_base = -1,
                                 .result = {.fate = REGISTRY_WRITE_UNKNOWN, .generation = -1}};
    snprintf(w->id, sizeof w->id, "%s", id);
    snprintf(w->registration_id, sizeof w->registration_id, "%s", registration_id);
    error_set(&w->err, "Kafka did not confirm the change in time");
    return w;
}

void registry_write_expect_spec(struct registry_write *w, int64_t offset) { w->spec_base = offset; }

static void write_record_free(struct write_record *r) {
    free(r->key);
    free(r->value);
    free(r);
}

void registry_write_drop(struct registry_write *w) {
    for (size_t i = 0; w && i < w->count; i++)
        write_record_free(w->records[i]);
    free(w);
}

/* A record without a delivery report stays: the report frees it. */
static void registry_write_free(struct registry_write *w) {
    registry_write_delist(w);
    loop_timer_clear(w->ingest->service.loop, &w->timer);
    for (size_t i = 0; i < w->count; i++) {
        w->records[i]->write = NULL;
        if (w->records[i]->reported)
            write_record_free(w->records[i]);
    }
    free(w);
}

static void registry_write_finish(struct registry_write *w, enum registry_write_fate fate) {
    w->result.fate = fate;
    w->result.reason = fate == REGISTRY_WRITE_DONE ? NULL : w->err.message;
    w->done(w->arg, &w->result);
    registry_write_free(w);
}

/* Another writer's tombstone for the key has equal bytes. Only the offset in the delivery report
 * tells the two apart. */
static bool write_record_is_read(const struct write_record *r) {
    return r->read && (r->reported || !r->tombstone);
}

/* Ends the write once every record was read back or rejected. */
static void registry_write_settle(struct registry_write *w) {
    size_t read = 0, rejected = 0;
    for (size_t i = 0; i < w->count; i++) {
        bool is_read = write_record_is_read(w->records[i]);
        read += is_read;
        rejected += !is_read && w->records[i]->rejected;
    }
    if (read == w->count)
        registry_write_finish(w, REGISTRY_WRITE_DONE);
    else if (read + rejected == w->count)
        registry_write_finish(w, REGISTRY_WRITE_FAILED);
}

static void registry_write_on_timer(void *arg) {
    struct registry_write *w = arg;
    size_t rejected = 0;
    for (size_t i = 0; i < w->count; i++)
        rejected += w->records[i]->rejected;
    if (rejected == w->count) {
        registry_write_finish(w, REGISTRY_WRITE_FAILED);
    } else if (w->is_late) {
        registry_write_finish(w, REGISTRY_WRITE_UNKNOWN);
    } else {
        w->is_late = true;
        loop_timer_set(w->ingest->service.loop, &w->timer, clock_ms() + GIVE_UP_MS);
        if (w->late)
            w->late(w->arg);
    }
}

static void registry_write_on_reported(struct append *append,
                                       const struct producer_report *report) {
    struct write_record *r = (struct write_record *)append;
    struct registry_write *w = r->write;
    r->reported = true;
    r->rejected = report->fate == PRODUCER_REJECTED;
    r->offset = report->offset;
    r->read &= r->read_at >= r->offset; /* otherwise the record read so far was another writer's */
    if (!w) {
        write_record_free(r);
        return;
    }
    if (report->reason)
        error_set(&w->err, "%s", report->reason);
    registry_write_settle(w);
}

void registry_write_add(struct registry_write *w, const char *key, struct span value) {
    struct write_record *r = mem_zero(sizeof *r);
    *r = (struct write_record){.append.reported = registry_write_on_reported,
                               .write = w,
                               .offset = -1,
                               .key = mem_copy_string(key, strlen(key)),
                               .tombstone = !value.data};
    r->value = mem_copy_string(value.data, value.len);
    r->value_len = value.len;
    if (w->count == RECORDS_MAX)
        abort(); /* a bug in the caller */
    w->records[w->count++] = r;
}

static void registry_write_append(struct registry_write *w, struct write_record *r) {
    const struct producer_record record = {
        .topic = w->ingest->service.subscribers_topic,
        .partition = kafka_partition_of(w->id, w->ingest->service.genesis.subscriber_partitions),
        .key = span_of(r->key),
        .value = {r->tombstone ? NULL : r->value, r->value_len}};
    if (producer_send(w->ingest->service.producer, &record, &r->append, &w->err) == 0)
        return;
    r->reported = r->rejected = true;
    loop_timer_set(w->ingest->service.loop, &w->timer, clock_ms());
}

void registry_write_send(struct registry_write *w, void (*late)(void *),
                         void (*done)(void *, const struct registry_write_result *), void *arg) {
    w->late = late;
    w->done = done;
    w->arg = arg;
    registry_write_enlist(w);
    loop_timer_init(&w->timer, registry_write_on_timer, w);
    loop_timer_set(w->ingest->service.loop, &w->timer, clock_ms() + LATE_MS);
    for (size_t i = 0; i < w->count; i++)
        registry_write_append(w, w->records[i]);
}

bool registry_write_pending(const struct registry_writes *writes, const char *id) {
    return registry_writes_of(writes, id) != NULL;
}

static bool write_record_matches(const struct write_record *r, const struct kafka_record *record) {
    if (r->read && (r->offset >= 0 || !r->tombstone))
        return false;
    if (r->offset >= 0 && r->offset != record->offset)
        return false;
    return span_equal(span_of(r->key), record->key) && r->tombstone == !record->value.data &&
           span_equal((struct span){r->value, r->value_len}, record->value);
}

static bool registry_write_expects_another(const struct registry_write *w,
                                           const struct registry_entry *entry) {
    return w->spec_base >= 0 && entry->generation != w->spec_base;
}

/* Whether the record is a tombstone for another registration, or a spec that would replace another
 * registration's or follow a deletion. */
static bool registry_write_misses_spec(const struct registry_write *w, const struct write_record *r,
                                       const struct registry_entry *entry) {
    if (entry && entry->known && entry->readable &&
        strcmp(entry->registration_id, w->registration_id) != 0)
        return true;
    return !r->tombstone && (!entry || !entry->known || registry_write_expects_another(w, entry));
}

static void registry_write_compare(struct registry_write *w, struct write_record *r,
                                   const struct registry_entry *entry) {
    const char *kind = r->key + strlen(w->id);
    r->overtaken = false;
    if (!*w->registration_id)
        return;
    if (*kind == 0 || r->tombstone)
        w->result.spec_overtaken |= (r->overtaken = registry_write_misses_spec(w, r, entry));
    else if (strcmp(kind, "/keys") == 0 && entry && entry->keys &&
             strcmp(entry->keys->registration_id, w->registration_id) == 0)
        r->overtaken = w->result.keys_overtaken = entry->keys_offset != w->keys_base ||
                                                  registry_write_expects_another(w, entry);
}

bool registry_write_overtaken(const struct registry_write *w) { return w && w->found->overtaken; }

struct registry_write *registry_write_find(struct registry_writes *writes, const char *id,
                                           const struct kafka_record *record,
                                           const struct registry_entry *entry) {
    struct registry_writes_of *of = registry_writes_of(writes, id);
    for (struct registry_write *w = of ? of->list : NULL; w; w = w->next) {
        for (size_t i = 0; i < w->count; i++) {
            if (!write_record_matches(w->records[i], record))
                continue;
            w->found = w->records[i];
            registry_write_compare(w, w->found, entry);
            return w;
        }
    }
    return NULL;
}

void registry_write_was_read(struct registry_write *w, int64_t offset) {
    if (!w)
        return;
    w->found->read = true;
    w->found->read_at = offset;
    if (w->found == w->records[w->count - 1])
        w->result.generation = offset;
    registry_write_settle(w);
}

/* --- all writes of one ingest */

struct registry_writes *registry_writes_new(void) {
    return mem_zero(sizeof(struct registry_writes));
}

void registry_writes_free(struct registry_writes *writes) { free(writes); }

void registry_writes_end(struct registry_writes *writes) {
    while (writes->by_id) {
        struct registry_write *w = writes->by_id->list;
        error_set(&w->err, "the log is being read again");
        registry_write_finish(w, REGISTRY_WRITE_UNKNOWN);
    }
}
