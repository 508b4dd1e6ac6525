/* Waits between attempts; see retry.h. "Equal jitter": half of the wait is fixed, so that waits
 * always grow. */
#include "dispatcher/lane/retry.h"

int64_t retry_wait_ms(int64_t backoff_min_ms, int64_t backoff_max_ms, int64_t attempt,
                      int64_t retry_after_ms, uint64_t random) {
    int64_t d = backoff_min_ms;
    for (int64_t i = 1; i < attempt && d < backoff_max_ms; i++)
        d = d > backoff_max_ms / 2 ? backoff_max_ms : d * 2;
    d = d < backoff_max_ms ? d : backoff_max_ms;
    int64_t wait = d / 2 + (int64_t)(random % (uint64_t)(d - d / 2 + 1));
    int64_t asked = retry_after_ms < backoff_max_ms ? retry_after_ms : backoff_max_ms;
    return wait > asked ? wait : asked;
}
