/* The rate of an adaptive subscriber: how many events a second its endpoint takes, found by trying.
 * The rate rises with deliveries by a fixed step a second, and falls by a factor on 429, 503 and
 * timeouts. Events start evenly spaced at the rate. Pure: the caller passes the time.
 *
 * `limit` is the rate at which the endpoint last refused. The rate rises towards `limit` in smaller
 * and smaller steps, so that it stays near the limit for long and rarely goes beyond it. A tenth
 * beyond, the endpoint takes more than it did, and the next limit is looked for in larger steps. */
#ifndef ESS_DISPATCHER_ADAPTIVE_H
#define ESS_DISPATCHER_ADAPTIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dispatcher/channel/channel.h"

/* The ceiling without a throttle: the highest throttle that a subscriber may have. */
#define ADAPTIVE_CEILING_PER_SEC 10000.0

struct adaptive {
    double ceiling_per_sec; /* 0: not adaptive */
    double per_sec;         /* the present rate; at the ceiling nothing is held back */
    double limit_per_sec;   /* 0: not known */
    double next_ms;         /* when the next event may start */
    bool idle;              /* no event was there to start for longer than the rate asked for */
    bool pressed;           /* the newest event waited for the rate, so the rate is what holds */
    bool has_fallen;        /* once at least */
    int64_t fell_ms;        /* when the rate fell last */
    int64_t rose_ms;        /* when the rate rose last */
    uint64_t counts_from;   /* attempts with a lower number were under way when the rate fell */
    int64_t delivered;      /* since the rate fell */
    int64_t second;         /* the second of the newest delivery, and the deliveries in it */
    int64_t in_second, in_second_before;
};

/* Sets the ceiling, 0: not adaptive. A rate at the ceiling stays there; any other stays what it
 * is, within the ceiling. */
void adaptive_set(struct adaptive *adaptive, double ceiling_per_sec);
/* Goes on at a rate found earlier. 0: none was found. */
void adaptive_restore(struct adaptive *adaptive, double per_sec);
/* Another endpoint: nothing is known. */
void adaptive_forget(struct adaptive *adaptive);

/* When the next event may start: possibly in the past. */
int64_t adaptive_next_ms(struct adaptive *adaptive, int64_t now_ms);
/* How many events may start at once: what the rate lets through in a second, at least one. */
size_t adaptive_most(const struct adaptive *adaptive);
/* Events start now, after adaptive_next_ms. More than adaptive_most, of a request that is older
 * than the rate, count as so many. */
void adaptive_start(struct adaptive *adaptive, int64_t events);

/* Whether the endpoint asks for less. */
bool adaptive_is_too_much(const struct outcome *outcome);
/* Takes the outcome of attempt number `attempt`. `next_attempt`: the number of the next one. */
void adaptive_answer(struct adaptive *adaptive, uint64_t attempt, uint64_t next_attempt,
                     const struct outcome *outcome, int64_t events, int64_t now_ms);
/* Whether an attempt with this outcome does not count as one at its event: the endpoint has said
 * nothing about the event. A timeout may be the event's fault, so it counts. */
bool adaptive_spares(const struct adaptive *adaptive, const struct outcome *outcome);
/* The shortest back-off after such an outcome: the rate itself holds back what follows. */
int64_t adaptive_backoff_min_ms(const struct adaptive *adaptive, const struct outcome *outcome,
                                int64_t backoff_min_ms);

#endif
