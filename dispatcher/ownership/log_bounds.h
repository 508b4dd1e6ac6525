/* How far the log equals the log behind the tokens, found by comparing a few tokens: a log that
 * was cut and has grown again differs from the cut upwards. Pure. */
#ifndef ESS_DISPATCHER_LOG_BOUNDS_H
#define ESS_DISPATCHER_LOG_BOUNDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The newest event of a token. */
struct log_place {
    int64_t cursor;
    uint64_t id_hash; /* 0: the token names no event */
    bool gone;        /* the record has left the log and proves nothing */
};

struct log_bounds {
    /* the highest cursor whose record matches a token; 0: none except the start of the log */
    int64_t same;
    uint64_t same_id_hash;
    /* the lowest cursor whose record differs or does not exist yet; INT64_MAX: none */
    int64_t other;
};

void log_bounds_init(struct log_bounds *bounds);

/* The index of the place to read next, of places in ascending order; `count` if no place tells
 * more. Starts with the highest, which proves all below; after a difference, takes the middle of
 * the undecided places. */
size_t log_bounds_next(const struct log_bounds *bounds, const struct log_place *places,
                       size_t count);
/* Notes whether the record at a place matches the token or differs. */
void log_bounds_found(struct log_bounds *bounds, const struct log_place *place, bool same);
/* The log ends below `end`, though a token was beyond. */
void log_bounds_ends(struct log_bounds *bounds, int64_t end);

/* Whether everything up to `position` is unchanged as far as known. */
bool log_bounds_hold(const struct log_bounds *bounds, int64_t position);

#endif
