/* The throttle; see throttle.h. A ring of finish times: the next attempt reuses the slot of the
 * attempt `burst` before. */
#include "dispatcher/lane/throttle.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/buf.h"

/* Finish time of an attempt older than the known attempts, no later than the end of an attempt in
 * flight: set by the next finish. */
static const int64_t UNKNOWN = INT64_MAX - 1;

static void throttle_set_window(struct throttle *t, double per_sec) {
    t->per_sec = per_sec;
    t->burst = per_sec > 0 ? (uint32_t)ceil(per_sec)
                           : 1; /* unlimited: throttle_set_rate needs the newest finish time */
    t->window_ms = per_sec > 0 ? (int64_t)ceil(t->burst / per_sec * 1000) : 0;
}

void throttle_init(struct throttle *t, double per_sec) {
    *t = (struct throttle){.started = 0};
    throttle_set_window(t, per_sec);
    t->finished_ms = mem_zero(t->burst * sizeof *t->finished_ms);
}

void throttle_fini(struct throttle *t) {
    free(t->finished_ms);
    t->finished_ms = NULL;
}

/* The slot of the attempt `back` before the next, from 1 to burst. */
static uint32_t throttle_slot_before(const struct throttle *t, uint32_t back) {
    return (uint32_t)((t->started % t->burst + t->burst - back) % t->burst);
}

/* When the attempt `back` before the next was finished; a later time where the ring does not
 * know. */
static int64_t throttle_finished_before(const struct throttle *t, uint32_t back) {
    if (back > t->started && !t->filled)
        return 0; /* there was none */
    int64_t known = t->finished_ms[throttle_slot_before(t, back < t->burst ? back : t->burst)];
    return back > t->burst && known == INT64_MAX ? UNKNOWN : known;
}

void throttle_set_rate(struct throttle *t, double per_sec) {
    struct throttle old = *t;
    throttle_set_window(t, per_sec);
    t->finished_ms = mem_zero(t->burst * sizeof *t->finished_ms);
    for (uint32_t back = 1; back <= t->burst; back++) {
        int64_t known = throttle_finished_before(&old, back);
        t->finished_ms[throttle_slot_before(t, back)] = known;
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

int64_t throttle_next_ms(const struct throttle *t) { return throttle_next_for_ms(t, 1); }

/* When the slot of the attempt `ahead` of the next is free. */
static int64_t throttle_free_ms(const struct throttle *t, uint64_t ahead) {
    int64_t finished = t->finished_ms[(t->started + ahead) % t->burst];
    if (t->per_sec <= 0 || finished == 0)
        return 0;
    return finished >= UNKNOWN ? INT64_MAX : finished + t->window_ms;
}

int64_t throttle_next_for_ms(const struct throttle *t, size_t count) {
    int64_t latest_ms = 0;
    for (size_t i = 0; i < count && i < t->burst; i++) {
        int64_t free_ms = throttle_free_ms(t, i);
        latest_ms = free_ms > latest_ms ? free_ms : latest_ms;
    }
    return latest_ms;
}

size_t throttle_most(const struct throttle *t) { return t->per_sec > 0 ? t->burst : SIZE_MAX; }

size_t throttle_ready(const struct throttle *t, size_t most, int64_t now_ms) {
    size_t count = 0;
    most = most < throttle_most(t) ? most : throttle_most(t);
    while (count < most && throttle_free_ms(t, count) <= now_ms)
        count++;
    return count;
}

uint64_t throttle_start(struct throttle *t) { return throttle_start_many(t, 1); }

uint64_t throttle_start_many(struct throttle *t, size_t count) {
    uint64_t first = t->started;
    for (size_t i = 0; i < count && i < t->burst; i++)
        t->finished_ms[(first + i) % t->burst] = INT64_MAX;
    t->started += count;
    return first;
}

void throttle_finish(struct throttle *t, uint64_t attempt, int64_t now_ms) {
    throttle_finish_many(t, attempt, 1, now_ms);
}

/* How long the window stays full for the events of a request that it had no slots for. */
static int64_t throttle_debt_ms(const struct throttle *t, size_t count) {
    return t->per_sec > 0 && count > t->burst
               ? (int64_t)ceil((double)(count - t->burst) / t->per_sec * 1000)
               : 0;
}

void throttle_finish_many(struct throttle *t, uint64_t first, size_t count, int64_t now_ms) {
    int64_t finished_ms = now_ms + 1 + throttle_debt_ms(t, count);
    for (uint64_t end = first + count, i = count > t->burst ? end - t->burst : first; i < end; i++)
        if (i + t->burst >= t->started)
            t->finished_ms[i % t->burst] = finished_ms;
    for (uint32_t i = 0; t->has_unknown && i < t->burst; i++)
        if (t->finished_ms[i] == UNKNOWN)
            t->finished_ms[i] = now_ms + 1;
    t->has_unknown = false;
}

void throttle_forget(struct throttle *t, uint64_t attempt) {
    if (attempt + t->burst >= t->started)
        t->finished_ms[attempt % t->burst] = 0;
}
