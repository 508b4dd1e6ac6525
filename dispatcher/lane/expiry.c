/* The end of a subscriber's time; see expiry.h. */
#include "dispatcher/lane/expiry.h"

#include <string.h>

#include "dispatcher/lane/lane.h"

const char *expiry_reason(void) { return "expired"; }

bool expiry_is_over(int64_t expires_ms, int64_t wall_ms) {
    return expires_ms && expires_ms <= wall_ms;
}

enum expiry expiry_judge(const struct lane *lane, int64_t expires_ms, int64_t wall_ms) {
    if (expiry_is_over(expires_ms, wall_ms))
        return lane->disabled ? EXPIRY_NONE : EXPIRY_OVER;
    return lane->disabled && strcmp(lane->reason, expiry_reason()) == 0 ? EXPIRY_RENEWED
                                                                        : EXPIRY_NONE;
}

int64_t expiry_wait_ms(int64_t expires_ms, int64_t wall_ms) {
    int64_t left_ms = expires_ms - wall_ms;
    if (!expires_ms || left_ms <= 0)
        return INT64_MAX;
    return left_ms < EXPIRY_LOOK_MAX_MS ? left_ms : EXPIRY_LOOK_MAX_MS;
}
