/* Positions as cursors and times; see positions.h. */
#include "ingest/registry/positions.h"

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

struct position position_end(const struct ingest *ingest, const char *field) {
    /* Events appended in the present millisecond were most likely on their way before, or even
     * answered. Hence the + 1. */
    return (struct position){
        .field = field, .is_time = true, .value = clock_wall_ms() + 1, .least = ingest_end(ingest)};
}

struct position position_of_spec(const struct ingest *ingest, const struct spec *spec) {
    switch (spec->from) {
    case SPEC_FROM_END:
        return position_end(ingest, "from");
    case SPEC_FROM_BEGINNING:
        return (struct position){.field = "from"};
    case SPEC_FROM_CURSOR:
    case SPEC_FROM_TIME:
        break;
    }
    return (struct position){
        .field = "from", .is_time = spec->from == SPEC_FROM_TIME, .value = spec->from_value};
}

static bool position_parse_time(const struct json_member *member, int64_t *wall_ms) {
    char text[TIME_BYTES];
    long len = member->kind == JSON_IS_STRING ? json_unescape(member->value, text, sizeof text)
                                              : -1;
    return len >= 0 && clock_parse(text, (size_t)len, wall_ms) == 0;
}

int position_parse(struct position *position, const char *field, const struct json_member *member,
                   unsigned kinds, struct error *err) {
    static const char *const whats[] = {
        [POSITION_CURSOR] = "a cursor",
        [POSITION_TIME] = "a time such as 2024-05-07T14:03:11Z",
        [POSITION_CURSOR | POSITION_TIME] = "a cursor, or a time such as 2024-05-07T14:03:11Z"};
    *position = (struct position){.field = field};
    if ((kinds & POSITION_CURSOR) && member->kind == JSON_IS_NUMBER &&
        (position->value = number_parse(member->value)) >= 0)
        return 0;
    position->is_time = true;
    if ((kinds & POSITION_TIME) && position_parse_time(member, &position->value))
        return 0;
    return error_set_field(err, field, "must be %s", whats[kinds]);
}

/* --- asking the broker */

struct positions_query {
    struct ingest *ingest;
    struct offsets_question *question;
    struct loop_timer timer;
    struct position positions[POSITIONS_MAX];
    size_t count;
    void (*done)(void *arg, const struct position *positions, const struct error *refused);
    void *arg;
    struct positions_query *prev, *next;
};

struct positions {
    struct ingest *ingest;
    struct positions_query *queries; /* under way */
};

static int position_finish(const struct ingest *ingest, struct position *position, int64_t at,
                           int64_t end, struct error *err) {
    if (position->is_time && position->value > clock_wall_ms() + CLOCKS_DIFFER_MS)
        return error_set_field(err, position->field, "is in the future");
    if (position->is_time)
        position->value = at - 1 > position->least ? at - 1 : position->least;
    else if (position->value >= end && position->value > ingest_end(ingest))
        return error_set_field(err, position->field,
                               "%" PRId64 " is beyond the end of the log, %" PRId64,
                               position->value, end - 1);
    position->is_time = false;
    return 0;
}

static void positions_query_free(struct positions_query *q) {
    DL_DELETE(q->ingest->positions->queries, q);
    loop_timer_clear(q->ingest->service.loop, &q->timer);
    offsets_drop(q->question);
    free(q);
}

static void positions_query_on_answer(void *arg, const struct offsets_answer *answer,
                                      const struct error *err) {
    struct positions_query *q = arg;
    struct error refused = {0};
    int result = answer ? 0 : error_set(&refused, "%s", err->message);
    const int64_t *at = answer ? answer->at : NULL;
    q->question = NULL;
    for (size_t i = 0; i < q->count && result == 0; i++)
        result = position_finish(q->ingest, &q->positions[i], q->positions[i].is_time ? *at++ : 0,
                                 answer->end, &refused);
    q->done(q->arg, q->positions, result ? &refused : NULL);
    positions_query_free(q);
}

/* The broker hangs, or queries before this one took too long. */
static void positions_query_on_due(void *arg) {
    struct positions_query *q = arg;
    struct error err = {0};
    error_set(&err, "Kafka did not answer in time where the log ends");
    q->done(q->arg, q->positions, &err);
    positions_query_free(q);
}

static struct offsets_question *positions_query_ask(struct positions_query *q) {
    int64_t times[POSITIONS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < q->count; i++)
        if (q->positions[i].is_time)
            times[count++] = q->positions[i].value;
    return offsets_ask(q->ingest->service.offsets, q->ingest->service.events_topic, 0, times, count,
                       positions_query_on_answer, q);
}

void positions_resolve(struct ingest *ingest, const struct position *positions, size_t count,
                       void (*done)(void *, const struct position *, const struct error *),
                       void *arg) {
    bool known = true;
    for (size_t i = 0; i < count; i++)
        known &= !positions[i].is_time && positions[i].value <= ingest_end(ingest);
    if (known) {
        done(arg, positions, NULL);
        return;
    }
    struct positions_query *q = mem_zero(sizeof *q);
    *q = (struct positions_query){.ingest = ingest, .count = count, .done = done, .arg = arg};
    memcpy(q->positions, positions, count * sizeof *positions);
    loop_timer_init(&q->timer, positions_query_on_due, q);
    loop_timer_set(ingest->service.loop, &q->timer, clock_ms() + PATIENCE_MS);
    DL_APPEND(ingest->positions->queries, q);
    q->question = positions_query_ask(q);
}

struct positions *positions_new(struct ingest *ingest) {
    struct positions *all = mem_zero(sizeof *all);
    all->ingest = ingest;
    return all;
}

void positions_free(struct positions *all) {
    struct positions_query *q, *next;
    if (!all)
        return;
    DL_FOREACH_SAFE(all->queries, q, next) {
        positions_query_free(q);
    }
    free(all);
}
