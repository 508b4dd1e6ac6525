/* The throttle; see throttle.h. A ring of when the newest attempts were finished: the next one
 * looks at the slot that it will take, which is that of the attempt `burst` before it. */
#include "dispatcher/lane/throttle.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/buf.h"

/* An attempt before those that are known, which ended no later than one that is in flight: settled
 * by the next finish. */
static const int64_t UNKNOWN = INT64_MAX - 1;

static void set_window(struct throttle *t, double per_sec) {
    t->per_sec = per_sec;
    t->burst = per_sec > 0 ? (uint32_t)ceil(per_sec)
                           : 1; /* unlimited: the newest one is remembered for set_rate */
    t->window_ms = per_sec > 0 ? (int64_t)ceil(t->burst / per_sec * 1000) : 0;
}

void throttle_init(struct throttle *t, double per_sec) {
    *t = (struct throttle){.started = 0};
    set_window(t, per_sec);
    t->finished_ms = mem_zero(t->burst * sizeof *t->finished_ms);
}

void throttle_fini(struct throttle *t) {
    free(t->finished_ms);
    t->finished_ms = NULL;
}

/* The slot of the attempt `back` before the next one, from 1 to burst. */
static uint32_t slot_before(const struct throttle *t, uint32_t back) {
    return (uint32_t)((t->started % t->burst + t->burst - back) % t->burst);
}

/* When the attempt `back` before the next one was finished, or a time that is no earlier where the
 * ring does not tell. */
static int64_t finished_before(const struct throttle *t, uint32_t back) {
    if (back > t->started && !t->filled)
        return 0; /* there was none */
    int64_t known = t->finished_ms[slot_before(t, back < t->burst ? back : t->burst)];
    return back > t->burst && known == INT64_MAX ? UNKNOWN : known;
}

void throttle_set_rate(struct throttle *t, double per_sec) {
    struct throttle old = *t;
    set_window(t, per_sec);
    t->finished_ms = mem_zero(t->burst * sizeof *t->finished_ms);
    for (uint32_t back = 1; back <= t->burst; back++) {
        int64_t known = finished_before(&old, back);
        t->finished_ms[slot_before(t, back)] = known;
        t->has_unknown |= known == UNKNOWN;
    }
    throttle_fini(&old);
}

void throttle_fill(struct throttle *t, int64_t now_ms) {
    t->filled = true;
    for (uint32_t i = 0; i < t->burst; i++)
        if (t->finished_ms[i] < now_ms + 1)
            t->finished_ms[i] = now_ms + 1;
}

int64_t throttle_next_ms(const struct throttle *t) {
    int64_t finished = t->finished_ms[t->started % t->burst];
    if (t->per_sec <= 0 || finished == 0)
        return 0;
    return finished >= UNKNOWN ? INT64_MAX : finished + t->window_ms;
}

uint64_t throttle_start(struct throttle *t) {
    t->finished_ms[t->started % t->burst] = INT64_MAX;
    return t->started++;
}

void throttle_finish(struct throttle *t, uint64_t attempt, int64_t now_ms) {
    if (attempt + t->burst >= t->started)
        t->finished_ms[attempt % t->burst] = now_ms + 1;
    for (uint32_t i = 0; t->has_unknown && i < t->burst; i++)
        if (t->finished_ms[i] == UNKNOWN)
            t->finished_ms[i] = now_ms + 1;
    t->has_unknown = false;
}
