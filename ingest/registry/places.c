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
#include "common/kafka/offsets.h"
#include "common/model/spec.h"
#include "ingest/ingest.h"

enum { TIME_BYTES = 64, CLOCKS_DIFFER_MS = 60000, PATIENCE_MS = 5000 };

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

/* --- asking the broker */

struct query {
    struct ingest *ingest;
    struct offsets_question *question;
    struct loop_timer timer;
    struct place places[PLACES_MAX];
    size_t count;
    void (*done)(void *arg, const struct place *places, const struct error *refused);
    void *arg;
    struct query *prev, *next;
};

struct places {
    struct ingest *ingest;
    struct query *queries; /* under way */
};

static int place_finish(const struct ingest *ingest, struct place *place, int64_t at, int64_t end,
                        struct error *err) {
    if (place->is_time && place->value > clock_wall_ms() + CLOCKS_DIFFER_MS)
        return error_set_field(err, place->field, "lies in the future");
    if (place->is_time)
        place->value = at - 1 > place->least ? at - 1 : place->least;
    else if (place->value >= end && place->value > ingest_end(ingest))
        return error_set_field(err, place->field,
                               "%" PRId64 " is beyond the end of the log, %" PRId64, place->value,
                               end - 1);
    place->is_time = false;
    return 0;
}

static void query_free(struct query *q) {
    DL_DELETE(q->ingest->places->queries, q);
    loop_timer_clear(q->ingest->loop, &q->timer);
    offsets_drop(q->question);
    free(q);
}

static void query_on_answer(void *arg, const struct offsets_answer *answer,
                            const struct error *err) {
    struct query *q = arg;
    struct error refused = {0};
    int result = answer ? 0 : error_set(&refused, "%s", err->message);
    const int64_t *at = answer ? answer->at : NULL;
    q->question = NULL;
    for (size_t i = 0; i < q->count && result == 0; i++)
        result = place_finish(q->ingest, &q->places[i], q->places[i].is_time ? *at++ : 0,
                              answer->end, &refused);
    q->done(q->arg, q->places, result ? &refused : NULL);
    query_free(q);
}

/* The broker hangs, or others' questions are before this one. */
static void query_on_due(void *arg) {
    struct query *q = arg;
    struct error err = {0};
    error_set(&err, "Kafka does not tell where the log stands");
    q->done(q->arg, q->places, &err);
    query_free(q);
}

static struct offsets_question *query_ask(struct query *q) {
    int64_t times[PLACES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < q->count; i++)
        if (q->places[i].is_time)
            times[count++] = q->places[i].value;
    return offsets_ask(q->ingest->offsets, q->ingest->events_topic, 0, times, count,
                       query_on_answer, q);
}

void places_resolve(struct ingest *ingest, const struct place *places, size_t count,
                    void (*done)(void *, const struct place *, const struct error *), void *arg) {
    bool known = true;
    for (size_t i = 0; i < count; i++)
        known &= !places[i].is_time && places[i].value <= ingest_end(ingest);
    if (known) {
        done(arg, places, NULL);
        return;
    }
    struct query *q = mem_zero(sizeof *q);
    *q = (struct query){.ingest = ingest, .count = count, .done = done, .arg = arg};
    memcpy(q->places, places, count * sizeof *places);
    loop_timer_init(&q->timer, query_on_due, q);
    loop_timer_set(ingest->loop, &q->timer, clock_ms() + PATIENCE_MS);
    DL_APPEND(ingest->places->queries, q);
    q->question = query_ask(q);
}

struct places *places_new(struct ingest *ingest) {
    struct places *all = mem_zero(sizeof *all);
    all->ingest = ingest;
    return all;
}

void places_free(struct places *all) {
    struct query *q, *next;
    if (!all)
        return;
    DL_FOREACH_SAFE(all->queries, q, next) {
        query_free(q);
    }
    free(all);
}
