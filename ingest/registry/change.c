/* Records on their way; see change.h. What was sent is known again by its bytes: keys and
 * registrations hold what nobody else could have made, a command has a key of its own. */
#include "ingest/registry/change.h"

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

struct change_record {
    struct append append;
    struct change *change; /* NULL: it has ended before the report */
    char *key, *value;
    size_t value_len;
    bool tombstone, reported, rejected, read, overtaken;
    int64_t offset;  /* as reported; -1: not known */
    int64_t read_at; /* the offset of what was read as this one */
};

struct change {
    struct change *prev, *next; /* of the same subscriber */
    struct ingest *ingest;
    char id[SPEC_ID_BYTES_MAX + 1];
    char registration_id[37];
    int64_t keys_base, spec_base; /* offsets of the records that it was made from; -1: of none, or
                                     whatever they were */
    struct change_record *records[RECORDS_MAX];
    size_t count;
    struct change_record *found; /* between change_find and change_was_read */
    struct change_result result;
    struct error err; /* why, should it fail */
    bool is_late;
    struct loop_timer timer;
    void (*late)(void *arg);
    void (*done)(void *arg, const struct change_result *result);
    void *arg;
};

/* Those of one subscriber. */
struct changes_of {
    UT_hash_handle hh;
    char id[SPEC_ID_BYTES_MAX + 1];
    struct change *list;
};

struct changes {
    struct changes_of *by_id;
};

static struct changes_of *changes_of(const struct changes *changes, const char *id) {
    struct changes_of *of;
    HASH_FIND_STR(changes->by_id, id, of);
    return of;
}

static void change_enlist(struct change *c) {
    struct changes_of *of = changes_of(c->ingest->changes, c->id);
    if (!of) {
        of = mem_zero(sizeof *of);
        memcpy(of->id, c->id, sizeof of->id);
        HASH_ADD_STR(c->ingest->changes->by_id, id, of);
    }
    DL_APPEND(of->list, c);
}

static void change_delist(struct change *c) {
    struct changes_of *of = changes_of(c->ingest->changes, c->id);
    DL_DELETE(of->list, c);
    if (of->list)
        return;
    HASH_DEL(c->ingest->changes->by_id, of);
    free(of);
}

struct change *change_new(struct ingest *ingest, const char *id, const char *registration_id,
                          int64_t keys_base) {
    struct change *c = mem_zero(sizeof *c);
    *c = (struct change){.ingest = ingest,
                         .keys_base = keys_base,
                         .spec_base = -1,
                         .result = {.fate = CHANGE_UNKNOWN, .generation = -1}};
    snprintf(c->id, sizeof c->id, "%s", id);
    snprintf(c->registration_id, sizeof c->registration_id, "%s", registration_id);
    error_set(&c->err, "Kafka did not confirm it in time");
    return c;
}

void change_expect_spec(struct change *c, int64_t offset) { c->spec_base = offset; }

static void change_record_free(struct change_record *r) {
    free(r->key);
    free(r->value);
    free(r);
}

void change_drop(struct change *c) {
    for (size_t i = 0; c && i < c->count; i++)
        change_record_free(c->records[i]);
    free(c);
}

/* Those without a report yet are freed by it. */
static void change_free(struct change *c) {
    change_delist(c);
    loop_timer_clear(c->ingest->loop, &c->timer);
    for (size_t i = 0; i < c->count; i++) {
        c->records[i]->change = NULL;
        if (c->records[i]->reported)
            change_record_free(c->records[i]);
    }
    free(c);
}

static void change_finish(struct change *c, enum change_fate fate) {
    c->result.fate = fate;
    c->result.reason = fate == CHANGE_READ ? NULL : c->err.message;
    c->done(c->arg, &c->result);
    change_free(c);
}

/* Another writer's tombstone for the same key has the same bytes: which of the two was read is
 * known once the offset of this one is. */
static bool change_record_is_read(const struct change_record *r) {
    return r->read && (r->reported || !r->tombstone);
}

/* Once nothing is to be waited for any more. */
static void change_settle(struct change *c) {
    size_t read = 0, rejected = 0;
    for (size_t i = 0; i < c->count; i++) {
        bool is_read = change_record_is_read(c->records[i]);
        read += is_read;
        rejected += !is_read && c->records[i]->rejected;
    }
    if (read == c->count)
        change_finish(c, CHANGE_READ);
    else if (read + rejected == c->count)
        change_finish(c, CHANGE_FAILED);
}

static void change_on_timer(void *arg) {
    struct change *c = arg;
    size_t rejected = 0;
    for (size_t i = 0; i < c->count; i++)
        rejected += c->records[i]->rejected;
    if (rejected == c->count) {
        change_finish(c, CHANGE_FAILED);
    } else if (c->is_late) {
        change_finish(c, CHANGE_UNKNOWN);
    } else {
        c->is_late = true;
        loop_timer_set(c->ingest->loop, &c->timer, clock_ms() + GIVE_UP_MS);
        if (c->late)
            c->late(c->arg);
    }
}

static void change_on_reported(struct append *append, const struct producer_report *report) {
    struct change_record *r = (struct change_record *)append;
    struct change *c = r->change;
    r->reported = true;
    r->rejected = report->fate == PRODUCER_REJECTED;
    r->offset = report->offset;
    r->read &= r->read_at >= r->offset; /* else another's was read, and this one is still to come */
    if (!c) {
        change_record_free(r);
        return;
    }
    if (report->reason)
        error_set(&c->err, "%s", report->reason);
    change_settle(c);
}

void change_add(struct change *c, const char *key, struct span value) {
    struct change_record *r = mem_zero(sizeof *r);
    *r = (struct change_record){.append.reported = change_on_reported,
                                .change = c,
                                .offset = -1,
                                .key = mem_copy_string(key, strlen(key)),
                                .tombstone = !value.data};
    r->value = mem_copy_string(value.data, value.len);
    r->value_len = value.len;
    if (c->count == RECORDS_MAX)
        abort(); /* our own mistake */
    c->records[c->count++] = r;
}

static void change_append(struct change *c, struct change_record *r) {
    const struct producer_record record = {
        .topic = c->ingest->subscribers_topic,
        .partition = kafka_partition_of(c->id, c->ingest->genesis.subscriber_partitions),
        .key = span_of(r->key),
        .value = {r->tombstone ? NULL : r->value, r->value_len}};
    if (producer_send(c->ingest->producer, &record, &r->append, &c->err) == 0)
        return;
    r->reported = r->rejected = true;
    loop_timer_set(c->ingest->loop, &c->timer, clock_ms());
}

void change_send(struct change *c, void (*late)(void *),
                 void (*done)(void *, const struct change_result *), void *arg) {
    c->late = late;
    c->done = done;
    c->arg = arg;
    change_enlist(c);
    loop_timer_init(&c->timer, change_on_timer, c);
    loop_timer_set(c->ingest->loop, &c->timer, clock_ms() + LATE_MS);
    for (size_t i = 0; i < c->count; i++)
        change_append(c, c->records[i]);
}

bool change_pending(const struct changes *changes, const char *id) {
    return changes_of(changes, id) != NULL;
}

static bool change_is_this(const struct change_record *r, const struct table_record *record) {
    if (r->read && (r->offset >= 0 || !r->tombstone))
        return false;
    if (r->offset >= 0 && r->offset != record->offset)
        return false;
    return span_equal(span_of(r->key), record->key) && r->tombstone == !record->value.data &&
           span_equal((struct span){r->value, r->value_len}, record->value);
}

static bool change_expects_another(const struct change *c, const struct registry_entry *entry) {
    return c->spec_base >= 0 && entry->generation != c->spec_base;
}

/* A tombstone that would hit another registration; a spec that would replace one, or whose own was
 * deleted before. */
static bool change_misses_spec(const struct change *c, const struct change_record *r,
                               const struct registry_entry *entry) {
    if (entry && entry->known && entry->readable &&
        strcmp(entry->registration_id, c->registration_id) != 0)
        return true;
    return !r->tombstone && (!entry || !entry->known || change_expects_another(c, entry));
}

static void change_compare(struct change *c, struct change_record *r,
                           const struct registry_entry *entry) {
    const char *kind = r->key + strlen(c->id);
    r->overtaken = false;
    if (!*c->registration_id)
        return;
    if (*kind == 0 || r->tombstone)
        c->result.spec_overtaken |= (r->overtaken = change_misses_spec(c, r, entry));
    else if (strcmp(kind, "/keys") == 0 && entry && entry->keys &&
             strcmp(entry->keys->registration_id, c->registration_id) == 0)
        r->overtaken = c->result.keys_overtaken = entry->keys_offset != c->keys_base ||
                                                  change_expects_another(c, entry);
}

bool change_overtaken(const struct change *c) { return c && c->found->overtaken; }

struct change *change_find(struct changes *changes, const char *id,
                           const struct table_record *record, const struct registry_entry *entry) {
    struct changes_of *of = changes_of(changes, id);
    for (struct change *c = of ? of->list : NULL; c; c = c->next) {
        for (size_t i = 0; i < c->count; i++) {
            if (!change_is_this(c->records[i], record))
                continue;
            c->found = c->records[i];
            change_compare(c, c->found, entry);
            return c;
        }
    }
    return NULL;
}

void change_was_read(struct change *c, int64_t offset) {
    if (!c)
        return;
    c->found->read = true;
    c->found->read_at = offset;
    if (c->found == c->records[c->count - 1])
        c->result.generation = offset;
    change_settle(c);
}

/* --- all of them */

struct changes *changes_new(void) { return mem_zero(sizeof(struct changes)); }

void changes_free(struct changes *changes) { free(changes); }

void changes_end(struct changes *changes) {
    while (changes->by_id) {
        struct change *c = changes->by_id->list;
        error_set(&c->err, "the log is being read anew");
        change_finish(c, CHANGE_UNKNOWN);
    }
}
