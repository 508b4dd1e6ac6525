/* Cursors and times; see places.h. */
#include "ingest/registry/places.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/base/number.h"
#include "common/json/body.h"
#include "common/json/json_scan.h"
#include "common/kafka/times.h"
#include "common/model/spec.h"
#include "ingest/ingest.h"

enum { TIME_BYTES = 64, CLOCKS_DIFFER_MS = 60000, BATCH_QUERIES_MAX = 100, PATIENCE_MS = 5000 };

struct place place_end(const struct ingest *ingest, const char *field) {
    /* What was appended in this very millisecond had most likely been on its way before, or even
     * been answered. */
    return (struct place){
        .field = field, .is_time = true, .value = clock_wall_ms() + 1, .least = ingest_end(ingest)};
}

struct place place_of_spec(const struct ingest *ingest, const struct spec *spec) {
    switch (spec->from) {
    case SPEC_FROM_END:
        return place_end(ingest, "from");
    case SPEC_FROM_BEGINNING:
        return (struct place){.field = "from"};
    case SPEC_FROM_CURSOR:
    case SPEC_FROM_TIME:
        break;
    }
    return (struct place){
        .field = "from", .is_time = spec->from == SPEC_FROM_TIME, .value = spec->from_value};
}

static bool place_parse_time(const struct json_member *member, int64_t *wall_ms) {
    char text[TIME_BYTES];
    long len = member->kind == JSON_IS_STRING ? json_unescape(member->value, text, sizeof text)
                                              : -1;
    return len >= 0 && clock_parse(text, (size_t)len, wall_ms) == 0;
}

int place_parse(struct place *place, const char *field, const struct json_member *member,
                unsigned kinds, struct error *err) {
    static const char *const whats[] = {
        [PLACE_CURSOR] = "a cursor",
        [PLACE_TIME] = "a time such as 2024-05-07T14:03:11Z",
        [PLACE_CURSOR | PLACE_TIME] = "a cursor, or a time such as 2024-05-07T14:03:11Z"};
    *place = (struct place){.field = field};
    if ((kinds & PLACE_CURSOR) && member->kind == JSON_IS_NUMBER &&
        (place->value = number_parse(member->value)) >= 0)
        return 0;
    place->is_time = true;
    if ((kinds & PLACE_TIME) && place_parse_time(member, &place->value))
        return 0;
    return error_set_field(err, field, "must be %s", whats[kinds]);
}

/* --- asking the broker: for all who wait at once, and one time after the other, so that many cost
 * no thread each */

struct places {
    struct ingest *ingest;
    struct times *times;
    struct query *queries;      /* those that wait to be asked for, */
    struct places_batch *batch; /* and those that are being asked for */
};

struct query {
    struct places *all;
    struct places_batch *batch; /* NULL: it waits for one */
    size_t first;               /* of its times among the batch's */
    struct loop_timer timer;
    struct place places[PLACES_MAX];
    size_t count;
    void (*done)(void *arg, const struct place *places, const struct error *refused);
    void *arg;
    struct query *prev, *next;
};

struct places_batch {
    struct places *all;
    struct query *queries;
    int64_t at[BATCH_QUERIES_MAX * PLACES_MAX]; /* of the places that are times, in order */
    size_t count;
    int64_t end; /* offset of the next record */
    int result;
    struct error err;
};

static void places_work(void *arg) {
    struct places_batch *b = arg;
    b->result = times_offsets(b->all->times, b->all->ingest->events_topic, 0, b->at, b->count,
                              &b->end, &b->err);
}

static int place_finish(const struct places_batch *b, struct place *place, int64_t at,
                        struct error *err) {
    if (place->is_time && place->value > clock_wall_ms() + CLOCKS_DIFFER_MS)
        return error_set_field(err, place->field, "lies in the future");
    if (place->is_time)
        place->value = at - 1 > place->least ? at - 1 : place->least;
    else if (place->value >= b->end && place->value > ingest_end(b->all->ingest))
        return error_set_field(err, place->field,
                               "%" PRId64 " is beyond the end of the log, %" PRId64, place->value,
                               b->end - 1);
    place->is_time = false;
    return 0;
}

static void query_end(struct query *q, const struct error *refused) {
    struct query **list = q->batch ? &q->batch->queries : &q->all->queries;
    DL_DELETE(*list, q);
    loop_timer_clear(q->all->ingest->loop, &q->timer);
    q->done(q->arg, q->places, refused);
    free(q);
}

static void query_answered(const struct places_batch *b, struct query *q) {
    struct error err = b->err;
    int result = b->result;
    const int64_t *at = &b->at[q->first];
    for (size_t i = 0; i < q->count && result == 0; i++)
        result = place_finish(b, &q->places[i], q->places[i].is_time ? *at++ : 0, &err);
    query_end(q, result ? &err : NULL);
}

/* The broker hangs, or the thread that asks it: the batch comes back without this query. */
static void query_on_due(void *arg) {
    struct query *q = arg;
    struct error err = {0};
    error_set(&err, "Kafka does not tell where the log stands");
    query_end(q, &err);
}

static void places_begin_batch(struct places *all);

static void places_answered(void *arg) {
    struct places_batch *b = arg;
    b->all->batch = NULL;
    places_begin_batch(b->all);
    while (b->queries)
        query_answered(b, b->queries);
    free(b);
}

static void places_begin_batch(struct places *all) {
    if (all->batch || !all->queries)
        return;
    struct places_batch *b = mem_zero(sizeof *b);
    b->all = all;
    for (int n = 0; n < BATCH_QUERIES_MAX && all->queries; n++) {
        struct query *q = all->queries;
        DL_DELETE(all->queries, q);
        DL_APPEND(b->queries, q);
        q->batch = b;
        q->first = b->count;
        for (size_t i = 0; i < q->count; i++)
            if (q->places[i].is_time)
                b->at[b->count++] = q->places[i].value;
    }
    all->batch = b;
    loop_task(all->ingest->loop, places_work, places_answered, b);
}

void places_resolve(struct ingest *ingest, const struct place *places, size_t count,
                    void (*done)(void *, const struct place *, const struct error *), void *arg) {
    struct places *all = ingest->places;
    bool known = true;
    for (size_t i = 0; i < count; i++)
        known &= !places[i].is_time && places[i].value <= ingest_end(ingest);
    if (known) {
        done(arg, places, NULL);
        return;
    }
    struct query *q = mem_zero(sizeof *q);
    *q = (struct query){.all = all, .count = count, .done = done, .arg = arg};
    memcpy(q->places, places, count * sizeof *places);
    loop_timer_init(&q->timer, query_on_due, q);
    loop_timer_set(ingest->loop, &q->timer, clock_ms() + PATIENCE_MS);
    DL_APPEND(all->queries, q);
    places_begin_batch(all);
}

struct places *places_new(struct ingest *ingest, struct error *err) {
    struct places *all = mem_zero(sizeof *all);
    all->ingest = ingest;
    all->times = times_new(&ingest->settings.kafka, err);
    if (all->times)
        return all;
    free(all);
    return NULL;
}

void places_free(struct places *all) {
    if (!all)
        return;
    times_free(all->times);
    free(all);
}
