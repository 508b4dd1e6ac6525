/* The time after which a subscriber gets nothing more: its field `expires`. Pure: the caller passes
 * the time, by the wall's clock. */
#ifndef ESS_DISPATCHER_EXPIRY_H
#define ESS_DISPATCHER_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

struct lane;

/* The wall's clock may be set, so that a timer looks at it now and then. */
enum { EXPIRY_LOOK_MAX_MS = 60 * 60 * 1000 };

enum expiry {
    EXPIRY_NONE,    /* nothing to do */
    EXPIRY_OVER,    /* the lane is to be disabled */
    EXPIRY_RENEWED, /* the lane was disabled for having expired, and is to be resumed */
};

/* `expires_ms`: 0: never. */
bool expiry_is_over(int64_t expires_ms, int64_t wall_ms);
/* What the lane needs now. A lane that is disabled for another reason stays disabled. */
enum expiry expiry_judge(const struct lane *lane, int64_t expires_ms, int64_t wall_ms);
/* How long to wait for the next look; INT64_MAX: none is needed. */
int64_t expiry_wait_ms(int64_t expires_ms, int64_t wall_ms);
/* The lane's reason. */
const char *expiry_reason(void);

#endif
