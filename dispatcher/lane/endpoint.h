/* How a subscriber's endpoint fares, over all attempts at it: its live lane, the job that runs and
 * test deliveries share one, as they share the throttle. Pure: no clock of its own.
 *
 * An endpoint that is not there, or says that it has too much, is backed off as a whole, and then
 * probed by one attempt at a time until a 2xx. Failing time is time in which attempts were made and
 * all failed: silence, a pause and a dispatcher that was off do not count. */
#ifndef ESS_DISPATCHER_ENDPOINT_H
#define ESS_DISPATCHER_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint {
    int64_t until_ms; /* backed off until then */
    int64_t failures; /* back-offs in a row */
    bool probing;     /* one attempt at a time until a 2xx */
    size_t in_flight;
    uint64_t started;         /* attempts so far = the number of the next one */
    uint64_t frees_from;      /* the 2xx of an attempt with a lower number was on its way when the
                                 endpoint was backed off */
    uint64_t moved_at;        /* attempts with a lower number were made at another URL */
    int64_t failing_since_ms; /* wall: the first failure since the last 2xx, for people; 0: not
                                 failing */
    int64_t failing_ms;       /* time in which attempts were made and all failed */
    int64_t failed_at_ms;     /* the newest failure; 0: not known */
};

/* An attempt starts. Returns its number. */
uint64_t endpoint_start(struct endpoint *endpoint);
/* It was answered, failed, or was called off. */
void endpoint_end(struct endpoint *endpoint);

/* Whether another attempt may start at until_ms: not while a probe is under way. */
bool endpoint_takes(const struct endpoint *endpoint);

/* It was delivered: ends failing, and the back-off unless that began after the attempt. */
void endpoint_succeed(struct endpoint *endpoint, uint64_t attempt);
/* A failed attempt. Of the time since the newest failure at most `most_ms` counts. */
void endpoint_fail(struct endpoint *endpoint, int64_t now_ms, int64_t wall_ms, int64_t most_ms);
/* Backs it off until `until_ms`; the failures of attempts that were under way already count as one.
 */
void endpoint_back_off(struct endpoint *endpoint, int64_t now_ms, int64_t until_ms);

/* A pause: what failed before it is over. */
void endpoint_pause(struct endpoint *endpoint);
/* A resume: nothing is known of it. */
void endpoint_forget(struct endpoint *endpoint);
/* Another URL: nothing is known of it, and attempts that are under way will tell nothing. */
void endpoint_move(struct endpoint *endpoint);
/* Whether that attempt was made at another URL. */
bool endpoint_moved_since(const struct endpoint *endpoint, uint64_t attempt);

#endif
