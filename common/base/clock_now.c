/* The current time; see clock.h. A file of its own, so that a test can link a fake clock. */
#include "common/base/clock.h"

#include <time.h>

static int64_t read_clock(clockid_t id, int64_t per_sec) {
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * per_sec + (int64_t)ts.tv_nsec / (1000000000 / per_sec);
}

int64_t clock_ms(void) { return read_clock(CLOCK_BOOTTIME, 1000); }
int64_t clock_us(void) { return read_clock(CLOCK_BOOTTIME, 1000000); }
int64_t clock_wall_ms(void) { return read_clock(CLOCK_REALTIME, 1000); }
