/* The rate of an adaptive subscriber; see adaptive.h. */
#include "dispatcher/lane/adaptive.h"

#include <math.h>

/* Found by simulating endpoints of 1 to 1,000 events a second with fixed, sliding and leaking
 * windows (adaptive_test.c). */
#define LEAST_PER_SEC 0.1
#define FALL 0.9            /* from a rate that was found */
#define FALL_FAR 0.5        /* from a rate that was not */
#define RISE_OF_GAP 0.05    /* a second, of the way to the limit */
#define RISE_OF_LIMIT 0.005 /* a second, at least */
#define RISE_OF_RATE 0.05   /* a second, while no limit is known */
#define BEYOND 1.1          /* of the limit: it is the limit no longer */
enum {
    FALL_EVERY_MS = 1000,
    FOUND = 10,        /* deliveries since the last fall that make a rate a found one */
    FIRST_LEAST = 5,   /* a second; a first fall goes no lower at once */
    LATE_MS = 10,      /* what is started late by a busy machine may be caught up */
    SILENCE_MS = 1000, /* an unanswered attempt that took as long is a timeout */
    BACKOFF_LEAST_MS = 100
};

static double adaptive_within(const struct adaptive *a, double per_sec) {
    return fmin(a->ceiling_per_sec, fmax(per_sec, LEAST_PER_SEC));
}

static bool adaptive_holds(const struct adaptive *a) {
    return a->ceiling_per_sec > 0 && a->per_sec < a->ceiling_per_sec;
}

void adaptive_forget(struct adaptive *a) {
    *a = (struct adaptive){.ceiling_per_sec = a->ceiling_per_sec, .per_sec = a->ceiling_per_sec};
}

void adaptive_set(struct adaptive *a, double ceiling_per_sec) {
    bool held = adaptive_holds(a) && ceiling_per_sec > 0;
    if (a->ceiling_per_sec == ceiling_per_sec)
        return;
    a->ceiling_per_sec = ceiling_per_sec;
    if (!held) {
        adaptive_forget(a);
        return;
    }
    a->per_sec = adaptive_within(a, a->per_sec);
}

void adaptive_restore(struct adaptive *a, double per_sec) {
    if (a->ceiling_per_sec <= 0 || !(per_sec > 0))
        return;
    a->per_sec = adaptive_within(a, per_sec);
    a->limit_per_sec = per_sec;
}

/* --- pace */

static double adaptive_interval_ms(const struct adaptive *a) { return 1000 / a->per_sec; }

int64_t adaptive_next_ms(struct adaptive *a, int64_t now_ms) {
    if (!adaptive_holds(a))
        return 0;
    double late_ms = (double)now_ms - a->next_ms;
    a->idle |= late_ms > fmax(LATE_MS, adaptive_interval_ms(a));
    if (late_ms > LATE_MS)
        a->next_ms = (double)(now_ms - LATE_MS);
    return (int64_t)ceil(a->next_ms);
}

size_t adaptive_most(const struct adaptive *a) {
    if (!adaptive_holds(a))
        return SIZE_MAX;
    return a->per_sec < 2 ? 1 : (size_t)a->per_sec;
}

void adaptive_start(struct adaptive *a, int64_t events) {
    if (!adaptive_holds(a))
        return;
    a->next_ms += fmin((double)events, (double)adaptive_most(a)) * adaptive_interval_ms(a);
    a->pressed = !a->idle;
    a->idle = false;
}

/* --- the rate */

bool adaptive_is_too_much(const struct outcome *outcome) {
    bool timeout = outcome->verdict == VERDICT_UNANSWERED && outcome->duration_ms >= SILENCE_MS;
    if (outcome->verdict == VERDICT_UNSENT)
        return false;
    return outcome->verdict == VERDICT_OVERLOADED || outcome->status == 503 || timeout;
}

bool adaptive_spares(const struct adaptive *a, const struct outcome *outcome) {
    return a->ceiling_per_sec > 0 && adaptive_is_too_much(outcome) &&
           outcome->verdict != VERDICT_UNANSWERED;
}

int64_t adaptive_backoff_min_ms(const struct adaptive *a, const struct outcome *outcome,
                                int64_t backoff_min_ms) {
    if (!adaptive_spares(a, outcome))
        return backoff_min_ms;
    double least_ms = fmax(BACKOFF_LEAST_MS, adaptive_interval_ms(a));
    return least_ms < (double)backoff_min_ms ? (int64_t)least_ms : backoff_min_ms;
}

static void adaptive_count(struct adaptive *a, int64_t events, int64_t now_ms) {
    int64_t second = now_ms / 1000;
    if (second != a->second) {
        a->in_second_before = second == a->second + 1 ? a->in_second : 0;
        a->in_second = 0;
        a->second = second;
    }
    a->in_second += events;
    a->delivered += events;
}

static double adaptive_rise_a_second(const struct adaptive *a) {
    if (a->limit_per_sec <= 0)
        return RISE_OF_RATE * a->per_sec;
    return fmax(RISE_OF_GAP * (a->limit_per_sec - a->per_sec), RISE_OF_LIMIT * a->limit_per_sec);
}

/* Only a rate that was made use of may rise. */
static void adaptive_rise(struct adaptive *a, int64_t now_ms) {
    double passed_ms = (double)(now_ms - a->rose_ms);
    a->rose_ms = now_ms;
    if (!adaptive_holds(a) || !a->pressed)
        return;
    double passed_s = fmin(passed_ms, fmax(1000, adaptive_interval_ms(a))) / 1000;
    a->per_sec = adaptive_within(a, a->per_sec + adaptive_rise_a_second(a) * passed_s);
    if (a->per_sec > a->limit_per_sec * BEYOND)
        a->limit_per_sec = 0;
}

/* The ceiling is no rate that was found: what the endpoint has just taken says more. */
static double adaptive_before_fall(const struct adaptive *a, int64_t now_ms) {
    if (adaptive_holds(a))
        return a->per_sec;
    int64_t age = now_ms / 1000 - a->second;
    int64_t most = age > 1                                          ? 0
                   : age == 1 || a->in_second > a->in_second_before ? a->in_second
                                                                    : a->in_second_before;
    return fmin(a->per_sec, 2 * fmax((double)most, FIRST_LEAST));
}

static void adaptive_fall(struct adaptive *a, int64_t now_ms) {
    double before = adaptive_before_fall(a, now_ms);
    bool found = a->delivered >= FOUND, first_in_row = a->delivered > 0 || !a->has_fallen;
    if (first_in_row)
        a->limit_per_sec = found || adaptive_holds(a) ? before : 0;
    a->per_sec = adaptive_within(a, before * (found ? FALL : FALL_FAR));
    a->has_fallen = true;
    a->fell_ms = a->rose_ms = now_ms;
    a->delivered = 0;
    a->next_ms = (double)now_ms + adaptive_interval_ms(a);
    a->idle = false;
}

void adaptive_answer(struct adaptive *a, uint64_t attempt, uint64_t next_attempt,
                     const struct outcome *outcome, int64_t events, int64_t now_ms) {
    if (a->ceiling_per_sec <= 0)
        return;
    if (outcome->verdict == VERDICT_DELIVERED) {
        adaptive_count(a, events, now_ms);
        adaptive_rise(a, now_ms);
        return;
    }
    bool under_way = attempt < a->counts_from ||
                     (a->has_fallen && now_ms - a->fell_ms < FALL_EVERY_MS);
    if (!adaptive_is_too_much(outcome) || under_way)
        return;
    adaptive_fall(a, now_ms);
    a->counts_from = next_attempt;
}
