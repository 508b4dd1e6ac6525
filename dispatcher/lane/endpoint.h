/* The health of a subscriber's endpoint over all attempts: the live lane, the running job and
 * test deliveries share one struct endpoint, as they share the throttle. Pure: the caller passes
 * the time.
 *
 * An endpoint that is unreachable or overloaded is backed off as a whole, then probed by one
 * attempt at a time until a 2xx. Failing time is time in which attempts were made and all failed:
 * silence, a pause and downtime of the dispatcher do not count. */
#ifndef ESS_DISPATCHER_ENDPOINT_H
#define ESS_DISPATCHER_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dispatcher/lane/adaptive.h"

struct endpoint {
    int64_t until_ms; /* backed off until then */
    int64_t failures; /* back-offs in a row */
    bool probing;     /* one attempt at a time until a 2xx */
    size_t in_flight;
    uint64_t started; /* attempts so far = the number of the next attempt */
    /* a 2xx of an attempt with a lower number was on the way when the back-off began, and does
     * not end the back-off */
    uint64_t frees_from;
    uint64_t moved_at;        /* attempts with a lower number were made at another URL */
    int64_t failing_since_ms; /* wall: the first failure since the last 2xx, for people; 0: not
                                 failing */
    int64_t failing_ms;       /* time in which attempts were made and all failed */
    int64_t failed_at_ms;     /* the newest failure; 0: not known */
    struct adaptive adaptive; /* the rate that the endpoint takes */
};

/* An attempt starts. Returns its number. */
uint64_t endpoint_start(struct endpoint *endpoint);
/* The same at several events in one request. */
uint64_t endpoint_start_many(struct endpoint *endpoint, int64_t events);
/* The attempt was answered, failed, or was called off. */
void endpoint_end(struct endpoint *endpoint);

/* What the attempt's outcome says about the rate. */
void endpoint_answer(struct endpoint *endpoint, uint64_t attempt, const struct outcome *outcome,
                     int64_t events, int64_t now_ms);

/* Whether another attempt may start at until_ms: false while a probe is under way. */
bool endpoint_takes(const struct endpoint *endpoint);

/* An attempt was delivered: ends failing. Ends the back-off too, unless the back-off began after
 * the attempt. */
void endpoint_succeed(struct endpoint *endpoint, uint64_t attempt);
/* An attempt failed. At most `most_ms` of the time since the newest failure counts as failing
 * time. */
void endpoint_fail(struct endpoint *endpoint, int64_t now_ms, int64_t wall_ms, int64_t most_ms);
/* Backs the endpoint off until `until_ms`. Failures of attempts that were already under way count
 * as one. */
void endpoint_back_off(struct endpoint *endpoint, int64_t now_ms, int64_t until_ms);

/* A pause ends the failing time. */
void endpoint_pause(struct endpoint *endpoint);
/* A resume forgets all failures. */
void endpoint_forget(struct endpoint *endpoint);
/* Another URL: forgets all failures, and ignores the attempts under way to the old URL. */
void endpoint_move(struct endpoint *endpoint);
/* Whether the attempt was made to an earlier URL. */
bool endpoint_moved_since(const struct endpoint *endpoint, uint64_t attempt);

#endif
