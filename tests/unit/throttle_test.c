/* The throttle as seen by the receiver, who may see an attempt at any moment between start and
 * finish. The model keeps real time in microseconds and passes the throttle whole milliseconds,
 * like a clock. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dispatcher/lane/throttle.h"

enum { RUNS = 2000, ATTEMPTS_MAX = 50000, FLIGHT_MAX = 8 };

/* What happened, in the order of the starts. */
struct record {
    int64_t start_us[ATTEMPTS_MAX], finish_us[ATTEMPTS_MAX], sorted_us[ATTEMPTS_MAX];
    int count;
};

struct flight {
    uint64_t attempt;
    int index; /* in the record */
};

struct sim {
    struct throttle throttle;
    struct flight flights[FLIGHT_MAX];
    int in_flight;
    int64_t now_us;
    uint64_t seed;
};

static struct record record;

static uint64_t next_random(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static double between(uint64_t *seed, double low, double high) {
    return low + (high - low) * (double)(next_random(seed) >> 11) / 9007199254740992.0;
}

static double random_rate(uint64_t *seed) {
    static const double some[] = {2.5, 0.3, 1, 5, 0.01, 0.999, 1.001, 10000, 9999.5, 3.7};
    uint64_t pick = next_random(seed) % 20;
    return pick < 10 ? some[pick] : pow(10, between(seed, -2, pick < 18 ? 2.3 : 4));
}

/* From 0 to about two windows, often much less. */
static int64_t random_duration_us(uint64_t *seed, double per_sec) {
    double window_us = ceil(per_sec) / per_sec * 1e6;
    switch (next_random(seed) % 4) {
    case 0:
        return 0;
    case 1:
        return (int64_t)between(seed, 0, 3000);
    case 2:
        return (int64_t)between(seed, 0, window_us / ceil(per_sec) * 2);
    default:
        return (int64_t)between(seed, 0, next_random(seed) % 20 ? window_us / 10 : window_us * 2);
    }
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* How many of the sorted times are below `limit`. */
static int below(const int64_t *times, int count, double limit) {
    int low = 0;
    for (int high = count; low < high;) {
        int middle = (low + high) / 2;
        if ((double)times[middle] < limit)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The most attempts that a half-open window of ceil(N)/N s can hold. The fullest window begins at
 * some finish. */
static int fullest_window(double per_sec) {
    double window_us = ceil(per_sec) / per_sec * 1e6;
    int fullest = 0;
    for (int i = 0; i < record.count; i++)
        record.sorted_us[i] = record.finish_us[i];
    qsort(record.sorted_us, (size_t)record.count, sizeof *record.sorted_us, compare);
    for (int i = 0; i < record.count; i++) {
        double from = (double)record.finish_us[i];
        int seen = below(record.start_us, record.count, from + window_us - 1e-3) -
                   below(record.sorted_us, record.count, from);
        fullest = seen > fullest ? seen : fullest;
    }
    return fullest;
}

static void check_windows(double per_sec, uint64_t seed) {
    int fullest = fullest_window(per_sec);
    if (fullest > (int)ceil(per_sec))
        fail_msg("%d attempts in a window that allows %d: rate %.17g, seed %#llx", fullest,
                 (int)ceil(per_sec), per_sec, (unsigned long long)seed);
}

static void sim_init(struct sim *sim, double per_sec, uint64_t seed) {
    *sim = (struct sim){.seed = seed, .now_us = 1000000 + (int64_t)(seed % 1000)};
    throttle_init(&sim->throttle, per_sec);
    record.count = 0;
}

static void sim_finish_earliest(struct sim *sim) {
    int earliest = 0;
    for (int i = 1; i < sim->in_flight; i++)
        if (record.finish_us[sim->flights[i].index] <
            record.finish_us[sim->flights[earliest].index])
            earliest = i;
    sim->now_us = record.finish_us[sim->flights[earliest].index];
    throttle_finish(&sim->throttle, sim->flights[earliest].attempt, sim->now_us / 1000);
    sim->flights[earliest] = sim->flights[--sim->in_flight];
}

static void sim_drain(struct sim *sim) {
    while (sim->in_flight > 0)
        sim_finish_earliest(sim);
}

/* Starts attempts as early as allowed, at most `at_once` in flight, until `more` were started. */
static void sim_run(struct sim *sim, double per_sec, int at_once, int more) {
    for (int end = record.count + more; record.count < end;) {
        int64_t next_ms = throttle_next_ms(&sim->throttle), at_us;
        if (next_ms == INT64_MAX || sim->in_flight == at_once) {
            assert_true(sim->in_flight > 0); /* else nothing would ever be sent again */
            sim_finish_earliest(sim);
            continue;
        }
        assert_true(next_ms < INT64_MAX / 2000);
        at_us = next_ms <= sim->now_us / 1000 ? sim->now_us : next_ms * 1000;
        /* an earlier answer only becomes known */
        while (sim->in_flight > 0 && at_us > sim->now_us) {
            sim_finish_earliest(sim);
            at_us = at_us > sim->now_us ? at_us : sim->now_us;
        }
        if (at_us / 1000 < throttle_next_ms(&sim->throttle))
            continue;
        sim->now_us = at_us;
        assert_true(record.count < ATTEMPTS_MAX);
        record.start_us[record.count] = at_us;
        record.finish_us[record.count] = at_us + random_duration_us(&sim->seed, per_sec);
        sim->flights[sim->in_flight++] = (struct flight){throttle_start(&sim->throttle),
                                                         record.count++};
    }
}

static int some_attempts(double per_sec, uint64_t *seed) {
    return (int)(ceil(per_sec) * between(seed, 1, 2.5)) + 20;
}

static void no_sliding_window_holds_more_than_its_rate(void **state) {
    (void)state;
    for (uint64_t run = 1; run <= RUNS; run++) {
        struct sim sim;
        uint64_t seed = run * 0x9e3779b97f4a7c15;
        double per_sec = random_rate(&seed);
        sim_init(&sim, per_sec, next_random(&seed));
        sim_run(&sim, per_sec, run % 3 ? 1 : FLIGHT_MAX, some_attempts(per_sec, &seed));
        sim_drain(&sim);
        throttle_fini(&sim.throttle);
        check_windows(per_sec, run);
    }
}

/* Of rates that are whole numbers all windows last a second; 5.05 may let 6 through in 1.188 s, 3.7
 * then 4 in 1.081 s. */
static double random_whole_rate(uint64_t *seed) { return ceil(random_rate(seed)); }

/* Three edits a run, often with an attempt in flight. */
static void an_edit_of_the_rate_never_lets_through_more_than_the_larger_one(void **state) {
    (void)state;
    for (uint64_t run = 1; run <= RUNS; run++) {
        struct sim sim;
        uint64_t seed = run * 0xd1342543de82ef95;
        double per_sec = random_whole_rate(&seed), largest = 0;
        sim_init(&sim, per_sec, next_random(&seed));
        for (int edit = 0; edit <= 3; edit++) {
            if (edit > 0) {
                per_sec = random_whole_rate(&seed);
                throttle_set_rate(&sim.throttle, per_sec);
            }
            largest = per_sec > largest ? per_sec : largest;
            sim_run(&sim, per_sec, 1,
                    (int)(next_random(&seed) % (2 * (uint64_t)ceil(per_sec) + 3)));
        }
        sim_drain(&sim);
        throttle_fini(&sim.throttle);
        check_windows(largest, run);
    }
}

/* Attempts after the last answer at the old rate keep to the new rate alone. */
static void after_an_edit_the_new_rate_holds(void **state) {
    (void)state;
    for (uint64_t run = 1; run <= RUNS; run++) {
        struct sim sim;
        uint64_t seed = run * 0xa0761d6478bd642f;
        double before = random_rate(&seed), after = random_rate(&seed);
        sim_init(&sim, before, next_random(&seed));
        sim_run(&sim, before, 1,
                (int)(next_random(&seed) % (uint64_t)some_attempts(before, &seed)));
        throttle_set_rate(&sim.throttle, after);
        if (run % 2)
            sim_drain(&sim);
        /* look at the new attempts only, including the one in flight */
        record.count = sim.in_flight;
        if (sim.in_flight) {
            record.start_us[0] = sim.now_us;
            record.finish_us[0] = record.finish_us[sim.flights[0].index];
            sim.flights[0].index = 0;
        }
        sim_run(&sim, after, 1, some_attempts(after, &seed));
        sim_drain(&sim);
        throttle_fini(&sim.throttle);
        check_windows(after, run);
    }
}

static void instant_answers_reach_the_rate_in_ten_windows_of_exactly_burst(void **state) {
    static const double rates[] = {0.01, 0.3, 0.5, 1, 2, 2.5, 3.7, 5, 99.9, 1000, 9999.5, 10000};
    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct throttle throttle;
        int64_t burst = (int64_t)ceil(rates[i]), now_ms = 777;
        double window_ms = (double)burst / rates[i] * 1000;
        throttle_init(&throttle, rates[i]);
        assert_int_equal(throttle.burst, burst);
        for (int window = 0; window < 10; window++) {
            for (int64_t made = 0; made < burst; made++) {
                assert_true(throttle_next_ms(&throttle) <= now_ms);
                throttle_finish(&throttle, throttle_start(&throttle), now_ms);
            }
            int64_t next_ms = throttle_next_ms(&throttle);
            assert_true((double)(next_ms - now_ms) >= window_ms);
            assert_true((double)(next_ms - now_ms) <=
                        ceil(window_ms) + 1); /* the finish, rounded up to the clock's next tick */
            now_ms = next_ms;
        }
        throttle_fini(&throttle);
    }
}

static void an_unlimited_one_never_waits(void **state) {
    struct throttle throttle;
    uint64_t open[100];
    (void)state;
    throttle_init(&throttle, 0);
    throttle_fill(&throttle, 1000000);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 100; i++) {
            assert_true(throttle_next_ms(&throttle) <= 0);
            open[i] = throttle_start(&throttle);
        }
        for (int i = 0; i < 100; i++)
            throttle_finish(&throttle, open[i], 5000);
    }
    assert_true(throttle_next_ms(&throttle) <= 0);
    throttle_fini(&throttle);
}

static void the_window_begins_at_the_answer_not_at_the_start(void **state) {
    struct throttle throttle;
    (void)state;
    throttle_init(&throttle, 1);
    assert_true(throttle_next_ms(&throttle) <= 1000);
    uint64_t attempt = throttle_start(&throttle); /* at 1000 */
    assert_int_equal(throttle_next_ms(&throttle), INT64_MAX);
    throttle_finish(&throttle, attempt, 8000);
    assert_in_range(throttle_next_ms(&throttle), 9000, 9001);
    throttle_fini(&throttle);
}

static void answers_out_of_order_count_each_for_its_own_attempt(void **state) {
    struct throttle throttle;
    (void)state;
    throttle_init(&throttle, 2);
    uint64_t first = throttle_start(&throttle), second = throttle_start(&throttle);
    throttle_finish(&throttle, second, 1000);
    assert_int_equal(throttle_next_ms(&throttle), INT64_MAX); /* the third hangs on the first */
    throttle_finish(&throttle, first, 3000);
    assert_in_range(throttle_next_ms(&throttle), 4000, 4001);
    throttle_fini(&throttle);
}

static void a_filled_window_opens_a_whole_window_later_for_a_whole_burst(void **state) {
    static const double rates[] = {0.01, 0.3, 1, 2.5, 5, 10000};
    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct throttle throttle;
        double window_ms = ceil(rates[i]) / rates[i] * 1000;
        throttle_init(&throttle, rates[i]);
        throttle_fill(&throttle, 50000);
        int64_t opens_ms = throttle_next_ms(&throttle);
        assert_true((double)opens_ms >= 50000 + window_ms &&
                    (double)opens_ms <= 50000 + ceil(window_ms) + 1);
        for (int made = 0; made < (int)ceil(rates[i]); made++) {
            assert_true(throttle_next_ms(&throttle) <= opens_ms);
            throttle_finish(&throttle, throttle_start(&throttle), opens_ms);
        }
        assert_true((double)throttle_next_ms(&throttle) >= (double)opens_ms + window_ms);
        throttle_fini(&throttle);
    }
}

static void a_window_filled_midway_forgets_nothing_of_what_was_sent(void **state) {
    (void)state;
    for (uint64_t run = 1; run <= 300; run++) {
        struct sim sim;
        uint64_t seed = run * 0xe7037ed1a0b428db;
        double per_sec = random_rate(&seed);
        sim_init(&sim, per_sec, next_random(&seed));
        sim_run(&sim, per_sec, 1,
                (int)(next_random(&seed) % (uint64_t)some_attempts(per_sec, &seed)));
        sim_drain(&sim);
        int64_t filled_us = sim.now_us;
        int before = record.count;
        throttle_fill(&sim.throttle, filled_us / 1000);
        sim_run(&sim, per_sec, 1, some_attempts(per_sec, &seed));
        sim_drain(&sim);
        throttle_fini(&sim.throttle);
        assert_true((double)(record.start_us[before] - filled_us / 1000 * 1000) >=
                    ceil(per_sec) / per_sec * 1e6 - 1e-3);
        check_windows(per_sec, run);
    }
}

static void the_same_rate_again_opens_no_second_window(void **state) {
    struct throttle throttle;
    (void)state;
    throttle_init(&throttle, 3);
    for (int i = 0; i < 3; i++) {
        throttle_set_rate(&throttle, 3);
        assert_true(throttle_next_ms(&throttle) <= 1000);
        throttle_finish(&throttle, throttle_start(&throttle), 1000 + i);
    }
    for (int i = 0; i < 3; i++) {
        throttle_set_rate(&throttle, 3);
        assert_in_range(throttle_next_ms(&throttle), 2000, 2001);
    }
    throttle_fini(&throttle);
}

static void a_raise_lets_only_the_difference_through_at_once(void **state) {
    struct throttle throttle;
    (void)state;
    throttle_init(&throttle, 2);
    for (int i = 0; i < 2; i++)
        throttle_finish(&throttle, throttle_start(&throttle), 1000);
    throttle_set_rate(&throttle, 5);
    for (int i = 0; i < 3; i++) {
        assert_true(throttle_next_ms(&throttle) <= 1000);
        throttle_finish(&throttle, throttle_start(&throttle), 1000);
    }
    assert_in_range(throttle_next_ms(&throttle), 2000, 2001);
    throttle_fini(&throttle);
}

static void an_attempt_in_flight_over_an_edit_still_holds_its_place(void **state) {
    static const double edits[][2] = {{1, 1}, {1, 0.5}, {4, 1}, {10000, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        struct throttle throttle;
        throttle_init(&throttle, edits[i][0]);
        uint64_t attempt = throttle_start(&throttle);
        throttle_set_rate(&throttle, edits[i][1]);
        assert_int_equal(throttle_next_ms(&throttle), INT64_MAX);
        throttle_finish(&throttle, attempt, 5000);
        assert_true(throttle_next_ms(&throttle) >= 5000 + (int64_t)(1000 / edits[i][1]));
        assert_true(throttle_next_ms(&throttle) <= 5000 + (int64_t)(1000 / edits[i][1]) + 1);
        throttle_fini(&throttle);
    }
}

static void to_unlimited_and_back_with_an_attempt_in_flight_ends_well(void **state) {
    struct throttle throttle;
    (void)state;
    throttle_init(&throttle, 0);
    uint64_t attempt = throttle_start(&throttle);
    throttle_set_rate(&throttle, 1);
    throttle_finish(&throttle, attempt, 1000);
    assert_true(throttle_next_ms(&throttle) <= 2001);
    attempt = throttle_start(&throttle);
    throttle_set_rate(&throttle, 0);
    assert_true(throttle_next_ms(&throttle) <= 0);
    throttle_finish(&throttle, attempt, 3000);
    throttle_set_rate(&throttle, 1);
    assert_true(throttle_next_ms(&throttle) <= 4001);
    throttle_finish(&throttle, throttle_start(&throttle), 5000);
    assert_in_range(throttle_next_ms(&throttle), 6000, 6001);
    throttle_fini(&throttle);
}

/* Requests of several events, of which some are not sent, never exceed the rate. */
static void no_window_holds_more_events_than_its_rate_in_requests_of_many(void **state) {
    enum { BURST = 7, REQUESTS = 2000 };
    static int64_t sent_ms[REQUESTS * BURST];
    size_t sent = 0;
    int64_t now_ms = 1000;
    uint64_t random = 88172645463325252U;
    struct throttle throttle;
    (void)state;
    throttle_init(&throttle, BURST);
    for (int i = 0; i < REQUESTS; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        size_t wanted = 1 + random % BURST;
        int64_t next_ms = throttle_next_for_ms(&throttle, wanted);
        now_ms = next_ms > now_ms ? next_ms : now_ms + (int64_t)(random >> 32) % 100;
        size_t count = throttle_ready(&throttle, wanted, now_ms);
        assert_true(count >= 1 && count <= wanted);
        uint64_t first = throttle_start_many(&throttle, count);
        throttle_finish_many(&throttle, first, count, now_ms);
        for (size_t j = 0; j < count; j++) {
            if (random >> j & 1)
                sent_ms[sent++] = now_ms;
            else
                throttle_forget(&throttle, first + j);
        }
    }
    for (size_t i = BURST; i < sent; i++)
        assert_true(sent_ms[i] - sent_ms[i - BURST] >= 1000);
    throttle_fini(&throttle);
}

static void a_request_above_the_burst_passes_and_is_paid_for(void **state) {
    struct throttle throttle;
    (void)state;
    throttle_init(&throttle, 2);
    throttle_finish(&throttle, throttle_start(&throttle), 5000);
    assert_int_equal(throttle_next_for_ms(&throttle, 10), 6001);
    assert_int_equal(throttle_most(&throttle), 2);
    uint64_t first = throttle_start_many(&throttle, 10);
    assert_true(throttle_next_ms(&throttle) == INT64_MAX);
    throttle_finish_many(&throttle, first, 10, 7000);
    assert_int_equal(throttle_next_ms(&throttle), 7001 + 4000 + 1000);
    throttle_fini(&throttle);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_sliding_window_holds_more_than_its_rate),
        cmocka_unit_test(an_edit_of_the_rate_never_lets_through_more_than_the_larger_one),
        cmocka_unit_test(after_an_edit_the_new_rate_holds),
        cmocka_unit_test(instant_answers_reach_the_rate_in_ten_windows_of_exactly_burst),
        cmocka_unit_test(an_unlimited_one_never_waits),
        cmocka_unit_test(the_window_begins_at_the_answer_not_at_the_start),
        cmocka_unit_test(answers_out_of_order_count_each_for_its_own_attempt),
        cmocka_unit_test(a_filled_window_opens_a_whole_window_later_for_a_whole_burst),
        cmocka_unit_test(a_window_filled_midway_forgets_nothing_of_what_was_sent),
        cmocka_unit_test(the_same_rate_again_opens_no_second_window),
        cmocka_unit_test(a_raise_lets_only_the_difference_through_at_once),
        cmocka_unit_test(an_attempt_in_flight_over_an_edit_still_holds_its_place),
        cmocka_unit_test(to_unlimited_and_back_with_an_attempt_in_flight_ends_well),
        cmocka_unit_test(no_window_holds_more_events_than_its_rate_in_requests_of_many),
        cmocka_unit_test(a_request_above_the_burst_passes_and_is_paid_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
