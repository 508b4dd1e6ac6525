/* How far the log is the one that tokens were written in, found by comparing few of them: a log
 * that was cut and has grown again differs from the cut upwards. Pure. */
#ifndef ESS_DISPATCHER_LOG_BOUNDS_H
#define ESS_DISPATCHER_LOG_BOUNDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The newest event of a token. */
struct log_place {
    int64_t cursor;
    uint64_t id_hash; /* 0: it names no event */
    bool gone;        /* its record is in the log no more, so it tells nothing */
};

struct log_bounds {
    int64_t same; /* the highest cursor whose record is the one that a token names; 0: none, but for
                     the log's first */
    uint64_t same_id_hash;
    int64_t other; /* the lowest one whose record is another, or not there yet; INT64_MAX: none */
};

void log_bounds_init(struct log_bounds *bounds);

/* The number of the place to look at next; `count` when they can tell nothing more. They are in
 * ascending order. The highest at first, since it tells of all below; after one that differs, the
 * middle of those in question. */
size_t log_bounds_next(const struct log_bounds *bounds, const struct log_place *places,
                       size_t count);
/* What stands at a place: the record that its token names, or another one. */
void log_bounds_found(struct log_bounds *bounds, const struct log_place *place, bool same);
/* The log ends below `end`, though a token was beyond. */
void log_bounds_ends(struct log_bounds *bounds, int64_t end);

/* Everything up to `position` is as it was, as far as is known. False: it may not be. */
bool log_bounds_hold(const struct log_bounds *bounds, int64_t position);

#endif
