/* Places in the log as clients give them, cursors and times, made into cursors: once, here, so that
 * whoever reads a record later has nothing to evaluate. Loop thread only; what must be asked of the
 * broker is asked on a thread of its own, for all who wait. */
#ifndef ESS_INGEST_POSITIONS_H
#define ESS_INGEST_POSITIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

struct ingest;
struct json_member;
struct positions; /* the questions to the broker that are under way */
struct spec;

enum { POSITIONS_MAX = 2 };

struct position {
    const char *field; /* to blame; a literal */
    bool is_time;
    int64_t
        value; /* the cursor; or wall, ms: right before the first event appended then or later */
    int64_t least; /* not below this cursor */
};

struct positions *positions_new(struct ingest *ingest);
/* Nobody who asked is told any more. NULL is allowed. */
void positions_free(struct positions *positions);

/* The log's end at this moment: whatever was in the log is below it, whatever is published from now
 * on above. Another ingest may have appended what this one has not read yet: so the broker is asked
 * what was appended before now. Where its clock differs from ours, the place is lower, but not
 * below what this ingest has seen: rather an event too many than one too few. */
struct position position_end(const struct ingest *ingest, const char *field);

/* Where a new subscriber starts, by its `from`. */
struct position position_of_spec(const struct ingest *ingest, const struct spec *spec);

enum position_kind { POSITION_CURSOR = 1, POSITION_TIME = 2 };
/* Reads a JSON number (a cursor) or string (a time), whichever of `kinds` is allowed. Returns 0 or
 * -1. */
int position_parse(struct position *position, const char *field, const struct json_member *member,
                   unsigned kinds, struct error *err);

/* Makes `count` places into cursors and calls `done` with them and the log's end, at once when
 * nothing need be asked. A cursor beyond the end or a time in the future: `refused`, with the
 * field; without one when the broker does not answer. */
void positions_resolve(struct ingest *ingest, const struct position *positions, size_t count,
                       void (*done)(void *arg, const struct position *positions,
                                    const struct error *refused),
                       void *arg);

#endif
