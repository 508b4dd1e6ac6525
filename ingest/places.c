/* Cursors and times; see places.h. */
#include "ingest/places.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/kafka/times.h"
#include "common/model/json_scan.h"
#include "common/model/spec.h"
#include "ingest/body.h"
#include "ingest/ingest.h"

enum { TIME_BYTES = 64, CLOCKS_DIFFER_MS = 60000 };

struct place place_end(const struct ingest *ingest, const char *field) {
    return (struct place){.field = field, .is_time = true, .value = clock_wall_ms(), .least = ingest_end(ingest)};
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
    return (struct place){.field = "from", .is_time = spec->from == SPEC_FROM_TIME, .value = spec->from_value};
}

static bool parse_time(const struct json_member *member, int64_t *wall_ms) {
    char text[TIME_BYTES];
    long len = member->kind == JSON_IS_STRING ? json_unescape(member->value, text, sizeof text) : -1;
    return len >= 0 && clock_parse(text, (size_t)len, wall_ms) == 0;
}

int place_parse(struct place *place, const char *field, const struct json_member *member, unsigned kinds, struct error *err) {
    static const char *const whats[] = {[PLACE_CURSOR] = "a cursor", [PLACE_TIME] = "a time such as 2024-05-07T14:03:11Z",
                                        [PLACE_CURSOR | PLACE_TIME] = "a cursor, or a time such as 2024-05-07T14:03:11Z"};
    *place = (struct place){.field = field};
    if ((kinds & PLACE_CURSOR) && member->kind == JSON_IS_NUMBER && (place->value = body_whole_number(member->value)) >= 0)
        return 0;
    place->is_time = true;
    if ((kinds & PLACE_TIME) && parse_time(member, &place->value))
        return 0;
    return error_set_field(err, field, "must be %s", whats[kinds]);
}

/* Asks the broker. */
struct query {
    struct ingest *ingest;
    struct place places[PLACES_MAX];
    size_t count;
    int64_t at[PLACES_MAX]; /* for those that are times */
    int64_t end;            /* offset of the next record */
    int result;
    struct error err;
    void (*done)(void *arg, const struct place *places, const struct error *refused);
    void *arg;
};

static void work(void *arg) {
    struct query *q = arg;
    int64_t times[PLACES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < q->count; i++)
        if (q->places[i].is_time)
            times[count++] = q->places[i].value;
    q->result = times_offsets(q->ingest->times, q->ingest->events_topic, 0, times, count, &q->end, &q->err);
    count = 0;
    for (size_t i = 0; i < q->count; i++)
        if (q->places[i].is_time)
            q->at[i] = times[count++];
}

static int finish_place(struct query *q, struct place *place, int64_t at) {
    if (place->is_time && place->value > clock_wall_ms() + CLOCKS_DIFFER_MS)
        return error_set_field(&q->err, place->field, "lies in the future");
    if (place->is_time)
        place->value = at - 1 > place->least ? at - 1 : place->least;
    else if (place->value >= q->end && place->value > ingest_end(q->ingest))
        return error_set_field(&q->err, place->field, "%" PRId64 " is beyond the end of the log, %" PRId64, place->value, q->end - 1);
    place->is_time = false;
    return 0;
}

static void answered(void *arg) {
    struct query *q = arg;
    for (size_t i = 0; q->result == 0 && i < q->count; i++)
        q->result = finish_place(q, &q->places[i], q->at[i]);
    q->done(q->arg, q->places, q->result ? &q->err : NULL);
    free(q);
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
    loop_task(ingest->loop, work, answered, q);
}
