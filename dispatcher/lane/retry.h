/* What an attempt's outcome means and when the next one may follow. Pure. */
#ifndef ESS_DISPATCHER_RETRY_H
#define ESS_DISPATCHER_RETRY_H

#include <stdbool.h>
#include <stdint.h>

enum retry_verdict {
    RETRY_SETTLED, /* 2xx */
    RETRY_LATER, /* 5xx, no answer, 3xx (never followed), 429, 408 and every other 4xx but the ones
                    below */
    RETRY_REFUSED, /* 400, 409, 413, 415, 422: this event is not wanted */
    RETRY_GONE,    /* 410: the subscriber is gone */
};

/* `status` is the HTTP status, or 0 when there was no whole answer. */
enum retry_verdict retry_judge(int status);

/* Whether a failure is the endpoint's, and no matter of this one event: it is not there, or says
 * that it has too much. */
bool retry_is_endpoints(int status, int64_t retry_after_ms);

/* The wait after failed attempt number `attempt` (from 1): d = min(max, min * 2^(attempt-1)),
 * random in [d/2, d] by `random` (any 64 bits), at least `retry_after_ms` (0: none) but never above
 * `backoff_max_ms`. */
int64_t retry_wait_ms(int64_t backoff_min_ms, int64_t backoff_max_ms, int64_t attempt,
                      int64_t retry_after_ms, uint64_t random);

#endif
