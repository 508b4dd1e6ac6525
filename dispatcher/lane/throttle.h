/* At most ceil(N) events in any sliding window of ceil(N)/N seconds, as seen by the receiver:
 * attempt i starts at the earliest one window after attempt i-ceil(N) was *finished* (answered,
 * or connection closed). A request with several events counts as an attempt for each. Pure: the
 * caller passes the time. */
#ifndef ESS_DISPATCHER_THROTTLE_H
#define ESS_DISPATCHER_THROTTLE_H

#include <stdbool.h>
#include <stddef.h>
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

/* The same for a request with `count` events. One with more than ceil(N), which only an edit of the
 * rate can make, starts when nothing is left in the window. */
int64_t throttle_next_for_ms(const struct throttle *throttle, size_t count);
/* How many events a request may have that starts now; `most` at most. */
size_t throttle_ready(const struct throttle *throttle, size_t most, int64_t now_ms);
/* The most events that a request can ever start with. */
size_t throttle_most(const struct throttle *throttle);

/* Counts the start of an attempt. Returns the attempt's number, for throttle_finish. */
uint64_t throttle_start(struct throttle *throttle);
/* The same for a request with `count` events: the number of the first. */
uint64_t throttle_start_many(struct throttle *throttle, size_t count);
/* The answer is there or the connection is closed, at `now_ms`. The throttle rounds up, so that a
 * window is never short by a clock tick. */
void throttle_finish(struct throttle *throttle, uint64_t attempt, int64_t now_ms);
/* The same for a request. What it had above ceil(N) keeps the window full for longer. */
void throttle_finish_many(struct throttle *throttle, uint64_t first, size_t count, int64_t now_ms);

/* After the finish: the event was not sent. */
void throttle_forget(struct throttle *throttle, uint64_t attempt);

#endif
