/* An ess-ingest in a test, without a broker and without waiting. At link time this header replaces
 * files of common: clock_now.c (the test advances the time), producer.c and table.c
 * (ess.subscribers is a list in memory: a sent record is reported, then read back), offsets.c, and
 * by feed_fake.h feed.c. Everything else is the real code. */
#ifndef ESS_TESTS_INGEST_WORLD_H
#define ESS_TESTS_INGEST_WORLD_H

#include "feed_fake.h"
#include "loop_fixture.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <utlist.h>

#include "common/access/access_token.h"
#include "common/crypto/seal.h"
#include "common/kafka/offsets.h"
#include "common/kafka/table.h"
#include "ingest/folder/folder.h"
#include "ingest/ingest.h"
#include "ingest/registry/positions.h"
#include "ingest/registry/registry.h"
#include "ingest/registry/registry_write.h"

#define BORN_A "0190b6a0-0000-4000-8000-00000000000a"
#define BORN_B "0190b6a0-0000-4000-8000-00000000000b"

enum { PARTITIONS = 4, REAL_PATIENCE_MS = 60000 };

/* A record sent, or in the log. */
struct world_record {
    struct world_record *prev, *next;
    struct append *append; /* NULL: written by another writer */
    int32_t partition;
    int64_t offset;
    char *key, *value;
    size_t value_len;
    bool tombstone;
};

static struct world {
    struct ingest ingest;
    struct world_record *log, *sent; /* `sent`: not in the log yet */
    int64_t next_offset;
    bool held;    /* sent records stay on their way until world_report */
    bool refuses; /* the producer's queue is full */
    struct table_options table;
    bool table_open, loaded;
    char folder[64]; /* the test's files */
    /* the broker's answers about positions */
    struct offsets_question *questions;
    bool silent, fails;
    int asked;       /* questions so far */
    int64_t log_end; /* offset of the next record of ess.events */
} world;

/* --- time */

static _Atomic int64_t world_ms = 1000000;

int64_t clock_ms(void) { return world_ms; }
int64_t clock_us(void) { return world_ms * 1000; }
int64_t clock_wall_ms(void) { return INT64_C(1700000000000) + world_ms; }

/* --- the producer */

int producer_send(struct producer *producer, const struct producer_record *record,
                  struct append *append, struct error *err) {
    (void)producer;
    if (world.refuses)
        return error_set(err, "the queue is full");
    struct world_record *r = mem_zero(sizeof *r);
    *r = (struct world_record){.append = append,
                               .partition = record->partition,
                               .key = mem_copy_string(record->key.data, record->key.len),
                               .value = mem_copy_string(record->value.data, record->value.len),
                               .value_len = record->value.len,
                               .tombstone = !record->value.data};
    DL_APPEND(world.sent, r);
    return 0;
}

const char *producer_fault(const struct producer *producer) {
    (void)producer;
    return NULL;
}

/* --- the table */

struct table *table_new(struct loop *table_loop, const struct table_options *options,
                        struct error *err) {
    (void)table_loop, (void)err;
    world.table = *options;
    world.table_open = true;
    return (struct table *)&world;
}

void table_free(struct table *table) {
    (void)table;
    world.table_open = false;
}

bool table_loaded(const struct table *table) {
    (void)table;
    return world.loaded;
}

static inline void world_read(const struct world_record *r) {
    const struct kafka_record record = {.topic = world.table.topics[0],
                                        .partition = r->partition,
                                        .offset = r->offset,
                                        .appended_ms = clock_wall_ms(),
                                        .key = span_of(r->key),
                                        .value = {r->tombstone ? NULL : r->value, r->value_len}};
    if (world.table_open)
        world.table.record(world.table.arg, &record);
}

static inline void world_append(struct world_record *r) {
    r->offset = world.next_offset++;
    DL_APPEND(world.log, r);
    world_read(r);
}

/* Another writer's record about a subscriber; `value` NULL: a tombstone. */
static inline void world_write(const char *id, const char *kind, const char *value) {
    char key[200];
    struct world_record *r = mem_zero(sizeof *r);
    size_t len = value ? strlen(value) : 0;
    snprintf(key, sizeof key, "%s%s", id, kind);
    *r = (struct world_record){.partition = kafka_partition_of(id, PARTITIONS),
                               .key = mem_copy_string(key, strlen(key)),
                               .value = mem_copy_string(value, len),
                               .value_len = len,
                               .tombstone = !value};
    world_append(r);
}

/* Reports the first record on its way; if it is in the log, it is read after the report. */
static inline void world_report(enum producer_fate fate, bool in_log) {
    struct world_record *r = world.sent;
    const struct producer_report report = {
        .fate = fate,
        .offset = fate == PRODUCER_WRITTEN ? world.next_offset : -1,
        .reason = fate == PRODUCER_WRITTEN ? NULL : "the broker has gone"};
    assert_non_null(r);
    DL_DELETE(world.sent, r);
    struct append *append = r->append;
    append->reported(append, &report);
    if (in_log) {
        world_append(r);
        return;
    }
    free(r->key);
    free(r->value);
    free(r);
}

/* The newest value of a key; NULL: no record, or a tombstone. */
static inline const char *world_value(const char *id, const char *kind) {
    char key[200];
    const char *value = NULL;
    snprintf(key, sizeof key, "%s%s", id, kind);
    for (const struct world_record *r = world.log; r; r = r->next)
        if (strcmp(r->key, key) == 0)
            value = r->tombstone ? NULL : r->value;
    return value;
}

static inline int world_records(const char *id, const char *kind) {
    char key[200];
    int count = 0;
    snprintf(key, sizeof key, "%s%s", id, kind);
    for (const struct world_record *r = world.log; r; r = r->next)
        count += strcmp(r->key, key) == 0;
    return count;
}

/* --- offsets: record `n` of the log was appended at wall-clock time 1000 * n */

struct offsets_question {
    struct offsets_question *prev, *next;
    int64_t at[POSITIONS_MAX];
    size_t count;
    void (*answered)(void *arg, const struct offsets_answer *answer, const struct error *err);
    void *arg;
};

struct offsets_question *offsets_ask(struct offsets *offsets, const char *topic, int32_t partition,
                                     const int64_t *times, size_t count,
                                     void (*answered)(void *, const struct offsets_answer *,
                                                      const struct error *),
                                     void *arg) {
    struct offsets_question *q = mem_zero(sizeof *q);
    (void)offsets, (void)topic, (void)partition;
    *q = (struct offsets_question){.count = count, .answered = answered, .arg = arg};
    for (size_t i = 0; i < count; i++)
        q->at[i] = times[i];
    world.asked++;
    DL_APPEND(world.questions, q);
    return q;
}

void offsets_drop(struct offsets_question *q) {
    if (!q)
        return;
    DL_DELETE(world.questions, q);
    free(q);
}

static inline void world_answer(struct offsets_question *q) {
    const struct offsets_answer answer = {.end = world.log_end, .at = q->at};
    struct error err;
    error_set(&err, "no broker answers");
    DL_DELETE(world.questions, q);
    for (size_t i = 0; i < q->count; i++)
        q->at[i] = (q->at[i] + 999) / 1000 < answer.end ? (q->at[i] + 999) / 1000 : answer.end;
    q->answered(q->arg, world.fails ? NULL : &answer, world.fails ? &err : NULL);
    free(q);
}

/* --- running */

/* Appends and reads sent records, answers queries, and runs due timers. */
static inline void world_turn(void) {
    while (world.questions && !world.silent)
        world_answer(world.questions);
    while (world.sent && !world.held)
        world_report(PRODUCER_WRITTEN, true);
    turn_once();
}

static inline void world_settle(void) {
    for (int i = 0; i < 10; i++)
        world_turn();
}

static inline void world_pass(int64_t ms) {
    for (; ms > 0; ms -= 50) {
        world_ms += ms < 50 ? ms : 50;
        world_turn();
    }
}

/* Waits for the kernel or a thread, in real time. */
static inline void world_until(bool (*met)(void *arg), void *arg) {
    const struct timespec moment = {.tv_nsec = 200000};
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    for (int64_t give_up = now.tv_sec + REAL_PATIENCE_MS / 1000; !met(arg);) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        assert_true(now.tv_sec < give_up);
        world_turn();
        nanosleep(&moment, NULL);
    }
}

/* --- what other ingests write */

static inline void world_spec(struct spec *spec, const char *id, const char *topic) {
    static const struct cidr everywhere = {.bits = 0};
    static const struct spec_rules rules = {.allowed = &everywhere, .allowed_count = 1};
    char text[300];
    struct error err;
    snprintf(text, sizeof text,
             "{\"id\":\"%s\",\"url\":\"https://a.example/\",\"topics\":[\"%s\"],"
             "\"secret\":\"abcdefghijklmnop\"}",
             id, topic);
    assert_int_equal(spec_from_json(spec, span_of(text), &rules, &err), 0);
}

/* Writes a record of which the spec and these members are still missing. `source`: "api" or the
 * path of a file. */
static inline void world_write_record(struct subscriber_record record, const char *id,
                                      const char *registration_id, const char *source,
                                      const char *topic) {
    struct buf value = {0};
    world_spec(&record.spec, id, topic);
    snprintf(record.registration_id, sizeof record.registration_id, "%s", registration_id);
    snprintf(record.source, sizeof record.source, "%s", source);
    subscriber_record_to_json(&record, world.ingest.keyring, &value);
    world_write(id, "", buf_string(&value));
    spec_fini(&record.spec);
    buf_fini(&value);
}

static inline void world_write_spec(const char *id, const char *registration_id, const char *source,
                                    const char *topic, bool removed) {
    const struct subscriber_record record = {.start = 5, .removed = removed};
    world_write_record(record, id, registration_id, source, topic);
}

/* `token`: the subscriber's own access token; NULL: none. */
static inline void world_write_keys_of(const char *id, const char *registration_id,
                                       const char *secret, const char *token) {
    struct subscriber_keys keys = {.secret = (char *)(uintptr_t)secret};
    struct buf value = {0};
    if (token)
        access_token_hash(span_of(token), keys.token);
    snprintf(keys.registration_id, sizeof keys.registration_id, "%s", registration_id);
    subscriber_keys_to_json(&keys, id, world.ingest.keyring, &value);
    world_write(id, "/keys", buf_string(&value));
    buf_fini(&value);
}

static inline void world_write_keys(const char *id, const char *registration_id,
                                    const char *secret) {
    world_write_keys_of(id, registration_id, secret, NULL);
}

static inline struct registry_entry *world_entry(const char *id) {
    return registry_find(world.ingest.registry, id);
}

/* Registers a subscriber as the API does; returns its entry. */
static inline struct registry_entry *world_register(const char *id, const char *registration_id) {
    world_write_keys(id, registration_id, "abcdefghijklmnop");
    world_write_spec(id, registration_id, "api", "drug.*", false);
    return world_entry(id);
}

static inline void ignore_loaded(struct ingest *ingest) { (void)ingest; }

/* --- life: world_open and world_close, a test's setup and teardown */

static inline int world_open(void **state) {
    struct error err;
    char path[80];
    (void)state;
    make_loop(state);
    world.ingest = (struct ingest){.service = {.loop = loop, .kafka_up = true}, .ids_read = true};
    world.ingest.service.producer = (struct producer *)&world;
    world.ingest.service.feed = &fake_feed;
    fake_feed_clear();
    world.ingest.service.genesis = (struct genesis){.subscriber_partitions = PARTITIONS};
    world.next_offset = 100;
    world.held = world.refuses = world.fails = world.silent = false;
    world.asked = 0;
    world.log_end = 1;
    world.loaded = true;
    snprintf(world.folder, sizeof world.folder, "/tmp/ess-ingest-test-XXXXXX");
    assert_non_null(mkdtemp(world.folder));
    snprintf(path, sizeof path, "%s/key", world.folder);
    assert_int_equal(keyring_create(path, &err), 0);
    world.ingest.keyring = keyring_load(path, NULL, &err);
    assert_non_null(world.ingest.keyring);
    unlink(path);
    world.ingest.positions = positions_new(&world.ingest);
    world.ingest.registry = registry_new(&world.ingest, ignore_loaded, &err);
    return 0;
}

static inline void world_free_records(struct world_record **list) {
    struct world_record *r, *next;
    DL_FOREACH_SAFE(*list, r, next) {
        DL_DELETE(*list, r);
        free(r->key);
        free(r->value);
        free(r);
    }
}

static inline int world_close(void **state) {
    registry_free(world.ingest.registry);
    world.ingest.registry = NULL;
    while (world.sent)
        world_report(PRODUCER_UNRESOLVED, false);
    free_loop(state);
    positions_free(world.ingest.positions);
    keyring_free(world.ingest.keyring);
    world_free_records(&world.log);
    rmdir(world.folder);
    return 0;
}

#define world_test(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

#endif
