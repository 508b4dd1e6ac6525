/* At most ceil(N) attempts in any sliding window of ceil(N)/N seconds, as the receiver sees it:
 * attempt i starts no earlier than one window after attempt i-ceil(N) was *finished* (its answer
 * was there, or its connection closed). Pure: no clock of its own. */
#ifndef ESS_DISPATCHER_THROTTLE_H
#define ESS_DISPATCHER_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

struct throttle {
    double per_sec; /* 0: unlimited; then only the newest attempt is kept, for throttle_set_rate */
    int64_t window_ms;
    uint32_t burst;       /* ceil(per_sec) */
    int64_t *finished_ms; /* ring by attempt number; INT64_MAX while in flight */
    uint64_t started;     /* attempts so far = the number of the next one */
    bool filled;          /* others may have made attempts before the first one known here */
    bool has_unknown;     /* some slots hang on the next throttle_finish, see throttle_set_rate */
};

void throttle_init(struct throttle *throttle, double per_sec);
void throttle_fini(struct throttle *throttle);

/* Changes the rate and keeps what is known of the newest attempts, so that an edit never opens a
 * second window: over an edit from one whole number to another no second holds more than the larger
 * one. */
void throttle_set_rate(struct throttle *throttle, double per_sec);

/* Counts the window as full from `now_ms` on: another process may have used it up. */
void throttle_fill(struct throttle *throttle, int64_t now_ms);

/* When the next attempt may start: a time that may have passed, or INT64_MAX while that hangs on
 * one in flight. */
int64_t throttle_next_ms(const struct throttle *throttle);

/* An attempt starts. Returns its number, for throttle_finish. */
uint64_t throttle_start(struct throttle *throttle);
/* Its answer is there or its connection is closed, at `now_ms` (rounded up by the callee, so that a
 * window is never short by a clock's tick). */
void throttle_finish(struct throttle *throttle, uint64_t attempt, int64_t now_ms);

#endif
