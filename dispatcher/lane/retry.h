/* When the next attempt may follow a failed one. Pure. */
#ifndef ESS_DISPATCHER_RETRY_H
#define ESS_DISPATCHER_RETRY_H

#include <stdint.h>

/* The wait after failed attempt number `attempt` (from 1): d = min(max, min * 2^(attempt-1)),
 * random in [d/2, d] by `random` (any 64 bits), at least `retry_after_ms` (0: none) but never above
 * `backoff_max_ms`. */
int64_t retry_wait_ms(int64_t backoff_min_ms, int64_t backoff_max_ms, int64_t attempt,
                      int64_t retry_after_ms, uint64_t random);

#endif
