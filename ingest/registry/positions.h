/* Positions in the log as clients give them, a cursor or a time. Times are resolved to cursors
 * here, once, so records hold cursors only. Loop thread only; queries to the broker run on a
 * thread of their own. */
#ifndef ESS_INGEST_POSITIONS_H
#define ESS_INGEST_POSITIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

struct ingest;
struct json_member;
struct positions; /* the broker queries under way */
struct spec;

enum { POSITIONS_MAX = 2 };

struct position {
    const char *field; /* the field that an error names; a string literal */
    bool is_time;
    /* A cursor, or wall-clock ms that stand for the first event appended then or later. */
    int64_t value;
    int64_t least; /* lower bound of the resolved cursor */
};

struct positions *positions_new(struct ingest *ingest);
/* Cancels every query without calling `done`. NULL is allowed. */
void positions_free(struct positions *positions);

/* The end of the log now. Events up to now are at or below the resulting cursor, later events
 * above. Another ingest may have appended events that this ingest has not read, so the broker is
 * asked for the offset of the present time. With a slow broker clock the result is lower, but
 * never below the end known here: one event too many is better than one too few. */
struct position position_end(const struct ingest *ingest, const char *field);

/* The start position of a new subscriber, from the spec's `from`. */
struct position position_of_spec(const struct ingest *ingest, const struct spec *spec);

enum position_kind { POSITION_CURSOR = 1, POSITION_TIME = 2 };
/* Reads a JSON number (a cursor) or string (a time), as far as `kinds` allows. Returns 0 or -1. */
int position_parse(struct position *position, const char *field, const struct json_member *member,
                   unsigned kinds, struct error *err);

/* Resolves `count` positions to cursors and calls `done`, at once when the broker need not be
 * asked. `refused` names the field of a cursor beyond the end or a time in the future; without a
 * field the broker did not answer. */
void positions_resolve(struct ingest *ingest, const struct position *positions, size_t count,
                       void (*done)(void *arg, const struct position *positions,
                                    const struct error *refused),
                       void *arg);

#endif
