/* At most ceil(N) attempts in any sliding window of ceil(N)/N seconds, as seen by the receiver:
 * attempt i starts at the earliest one window after attempt i-ceil(N) was *finished* (answered,
 * or connection closed). Pure: the caller passes the time. */
#ifndef ESS_DISPATCHER_THROTTLE_H
#define ESS_DISPATCHER_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

struct throttle {
    double per_sec; /* 0: unlimited; then only the newest attempt is kept, for throttle_set_rate */
    int64_t window_ms;
    uint32_t burst;       /* ceil(per_sec) */
    int64_t *finished_ms; /* ring by attempt number; INT64_MAX while in flight */
    uint64_t started;     /* attempts so far = the number of the next attempt */
    bool filled;          /* another process may have made attempts before the first known here */
    bool has_unknown;     /* some slots hang on the next throttle_finish, see throttle_set_rate */
};

void throttle_init(struct throttle *throttle, double per_sec);
void throttle_fini(struct throttle *throttle);

/* Changes the rate and keeps the known finish times, so that an edit never opens a second window:
 * over an edit from one whole number to another, no second holds more than the larger number. */
void throttle_set_rate(struct throttle *throttle, double per_sec);

/* Treats the window as full from `now_ms` on: another process may have used up the window. */
void throttle_fill(struct throttle *throttle, int64_t now_ms);

/* When the next attempt may start: possibly in the past; INT64_MAX while an attempt in flight
 * decides. */
int64_t throttle_next_ms(const struct throttle *throttle);

/* Counts the start of an attempt. Returns the attempt's number, for throttle_finish. */
uint64_t throttle_start(struct throttle *throttle);
/* The answer is there or the connection is closed, at `now_ms`. The throttle rounds up, so that a
 * window is never short by a clock tick. */
void throttle_finish(struct throttle *throttle, uint64_t attempt, int64_t now_ms);

#endif
