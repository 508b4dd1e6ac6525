/* The adaptive rate, against endpoints that take so many events a second and answer 429 above, each
 * counting in its own way. The lane is the real one, with a backlog that never ends. */
#include <math.h>

#include "tests/unit/lane_fixture.h"

enum { FLIGHTS_MAX = 64, MEMORY = 4096 };

/* How an endpoint counts. */
enum counting { IN_ANY_SECOND, IN_SECONDS_OF_ITS_CLOCK, BY_BUCKET };

struct model {
    enum counting counting;
    int64_t per_sec;
    int status; /* of its refusals */
    int64_t latency_ms;
    int64_t taken_ms[MEMORY]; /* ring */
    int64_t taken;
    double tokens;
    int64_t filled_ms;
};

struct flight {
    int64_t cursor, until_ms;
    int status;
};

static struct flight flights[FLIGHTS_MAX];
static int flying;
static int64_t newest; /* the newest event found */

static bool takes_in_second(const struct model *m) {
    int64_t nth = m->taken - m->per_sec;
    if (nth < 0 || m->per_sec == 0)
        return m->per_sec > 0;
    int64_t before_ms = m->taken_ms[nth % MEMORY];
    return m->counting == IN_ANY_SECOND ? now_ms - before_ms >= 1000
                                        : now_ms / 1000 != before_ms / 1000;
}

static bool takes_from_bucket(struct model *m) {
    double most = (double)m->per_sec;
    m->tokens += (double)(now_ms - m->filled_ms) / 1000 * most;
    m->tokens = m->tokens > most ? most : m->tokens;
    m->filled_ms = now_ms;
    bool takes = m->tokens >= 1;
    m->tokens -= takes;
    return takes;
}

static int answer_of(struct model *m) {
    bool takes = m->counting == BY_BUCKET ? takes_from_bucket(m) : takes_in_second(m);
    if (!takes)
        return m->status;
    m->taken_ms[m->taken++ % MEMORY] = now_ms;
    return 204;
}

static void land(void) {
    for (int i = 0; i < flying; i++) {
        if (flights[i].until_ms > now_ms)
            continue;
        struct flight f = flights[i];
        flights[i--] = flights[--flying];
        assert_int_not_equal(finish(f.cursor, f.status), ENTRY_DEAD_LETTERING);
    }
}

static void take_off(struct model *m) {
    int64_t cursor;
    for (;;) {
        enum lane_todo todo = next(&cursor);
        if (todo == LANE_NOTHING || flying == FLIGHTS_MAX)
            return;
        if (todo == LANE_SCAN) {
            cursor = ++newest;
            assert_true(lane_found(&lane, cursor, 1, 0, false));
        }
        lane_start(&lane, cursor);
        flights[flying++] = (struct flight){cursor, now_ms + m->latency_ms, answer_of(m)};
        land();
    }
}

static void begin_adaptive(double ceiling, enum spec_ordering ordering) {
    struct lane_policy policy = usual;
    policy.adaptive_per_sec = ceiling;
    policy.ordering = ordering;
    policy.max_in_flight = ordering == SPEC_STRICT ? 1 : 16;
    policy.max_attempts = 2;
    lane_fini(&lane);
    throttle_fini(&throttle);
    throttle_init(&throttle, ceiling < ADAPTIVE_CEILING_PER_SEC ? ceiling : 0);
    endpoint = (struct endpoint){0};
    lane_init(&lane, &policy, &throttle, &endpoint, 0);
    flying = 0;
    newest = 0;
}

/* Time passes; the loop is late by up to 3 ms. */
static void pass(struct model *m, int64_t ms) {
    int64_t until_ms = now_ms + ms;
    while (now_ms < until_ms) {
        now_ms += 1 + (int64_t)(next_random() % 3);
        land();
        take_off(m);
    }
}

static double taken_a_second(struct model *m, int64_t ms) {
    int64_t before = m->taken;
    pass(m, ms);
    return (double)(m->taken - before) * 1000 / (double)ms;
}

static const double ceilings[] = {ADAPTIVE_CEILING_PER_SEC, 100, 10};
static const enum spec_ordering orderings[] = {SPEC_STRICT, SPEC_NONE};

/* After a lead of 45 s, each 20 s get at least `least` a second. A bucket may hold a second's worth
 * beyond its rate. */
static void settles(int64_t per_sec, double least) {
    for (int counting = IN_ANY_SECOND; counting <= BY_BUCKET; counting++)
        for (int i = 0; i < 12; i++) {
            struct model m = {.counting = counting,
                              .per_sec = per_sec,
                              .status = i & 1 ? 429 : 503,
                              .latency_ms = i < 6 ? 2 : 15,
                              .filled_ms = now_ms};
            begin_adaptive(ceilings[i / 2 % 3], orderings[i & 1]);
            pass(&m, 45000);
            for (int j = 0; j < 6; j++) {
                double rate = taken_a_second(&m, 20000), ceiling = ceilings[i / 2 % 3];
                if (rate < fmin(least, ceiling * 0.95) || rate > (double)per_sec * 1.05 + 0.05)
                    fail_msg("counting %d, latency %d, ceiling %.0f: %.2f a second, rate %.2f",
                             counting, (int)m.latency_ms, ceiling, rate, endpoint.adaptive.per_sec);
            }
        }
}

static void an_endpoint_of_7_a_second_gets_6_to_7_within_a_minute(UNUSED void **state) {
    settles(7, 6);
}

static void slower_and_faster_endpoints_get_most_of_what_they_take(UNUSED void **state) {
    settles(2, 1.5);
    settles(40, 33);
}

static void a_rate_follows_an_endpoint_that_takes_more_or_less_than_before(UNUSED void **state) {
    struct model m = {.counting = IN_ANY_SECOND, .per_sec = 20, .status = 429, .latency_ms = 2};
    begin_adaptive(ADAPTIVE_CEILING_PER_SEC, SPEC_STRICT);
    pass(&m, 60000);
    m.per_sec = 5;
    pass(&m, 30000);
    assert_in_range(taken_a_second(&m, 20000) * 10, 40, 51);
    m.per_sec = 60;
    pass(&m, 120000);
    assert_in_range(taken_a_second(&m, 20000) * 10, 480, 601);
}

static void an_endpoint_that_takes_all_is_held_back_by_the_throttle_alone(UNUSED void **state) {
    struct model m = {.per_sec = MEMORY - 1, .status = 429, .latency_ms = 1};
    begin_adaptive(100, SPEC_STRICT);
    assert_in_range(taken_a_second(&m, 10000), 90, 101);
    assert_true(endpoint.adaptive.per_sec == 100);
}

static struct outcome timeout(int64_t duration_ms) {
    struct outcome outcome = answer(0, 0);
    outcome.duration_ms = duration_ms;
    return outcome;
}

static void tell(const struct outcome *outcome) {
    struct adaptive *a = &endpoint.adaptive;
    adaptive_next_ms(a, now_ms);
    adaptive_start(a, 1);
    adaptive_answer(a, 0, 0, outcome, 1, now_ms);
}

static void it_falls_on_429_503_and_timeouts_and_on_nothing_else(UNUSED void **state) {
    static const int spared[] = {500, 502, 400, 404, 302, 410};
    begin_adaptive(100, SPEC_STRICT);
    for (size_t i = 0; i < sizeof spared / sizeof *spared; i++) {
        const struct outcome other = answer(spared[i], 0);
        tell(&other);
    }
    const struct outcome refused_at_once = timeout(5), too_many = answer(429, 0),
                         away = answer(503, 0), silent = timeout(15000);
    tell(&refused_at_once);
    assert_true(endpoint.adaptive.per_sec == 100);
    const struct outcome *lower[] = {&too_many, &away, &silent};
    double before = 100;
    for (int i = 0; i < 3; i++) {
        now_ms += 1000;
        tell(lower[i]);
        assert_true(endpoint.adaptive.per_sec < before);
        before = endpoint.adaptive.per_sec;
        tell(lower[i]); /* within the same second */
        assert_true(endpoint.adaptive.per_sec == before);
    }
    assert_true(adaptive_spares(&endpoint.adaptive, &too_many) &&
                adaptive_spares(&endpoint.adaptive, &away));
    assert_false(adaptive_spares(&endpoint.adaptive, &silent));
}

static void attempts_from_before_a_fall_do_not_lower_it_again(UNUSED void **state) {
    const struct outcome silent = timeout(15000);
    struct adaptive a = {0};
    adaptive_set(&a, 100);
    adaptive_answer(&a, 3, 16, &silent, 1, now_ms);
    double fallen = a.per_sec;
    for (uint64_t attempt = 4; attempt < 16; attempt++)
        adaptive_answer(&a, attempt, 16, &silent, 1, now_ms + 2000 * (int64_t)attempt);
    assert_true(a.per_sec == fallen);
    adaptive_answer(&a, 16, 17, &silent, 1, now_ms + 60000);
    assert_true(a.per_sec < fallen);
}

static void a_rate_that_is_not_made_use_of_does_not_rise(UNUSED void **state) {
    const struct outcome delivered = answer(200, 0), too_many = answer(429, 0);
    begin_adaptive(100, SPEC_STRICT);
    tell(&too_many);
    double fallen = endpoint.adaptive.per_sec;
    for (int i = 0; i < 1000; i++) {
        now_ms += 10000;
        tell(&delivered);
    }
    assert_true(endpoint.adaptive.per_sec == fallen);
}

static void an_outage_leaves_a_rate_that_soon_comes_back(UNUSED void **state) {
    struct model m = {.per_sec = 50, .status = 503, .latency_ms = 2};
    begin_adaptive(100, SPEC_STRICT);
    pass(&m, 60000);
    m.per_sec = 0;
    pass(&m, 600000);
    assert_true(endpoint.adaptive.per_sec == 0.1);
    m.per_sec = 50;
    pass(&m, 120000); /* the back-off of the outage, up to a minute, has to end first */
    assert_in_range(taken_a_second(&m, 20000), 40, 51);
}

static void a_token_keeps_it_and_another_url_forgets_it(UNUSED void **state) {
    struct token token = {0};
    const struct outcome too_many = answer(429, 0);
    begin_adaptive(100, SPEC_STRICT);
    tell(&too_many);
    double found = endpoint.adaptive.per_sec;
    lane_to_token(&lane, now_ms, now_ms + WALL_OFFSET, &token);
    assert_true(token.rate == found && found < 100);
    struct lane_policy policy = lane.policy;
    lane_fini(&lane);
    endpoint = (struct endpoint){0};
    lane_init_from_token(&lane, &policy, &throttle, &endpoint, &token);
    assert_true(endpoint.adaptive.per_sec == found);
    policy.adaptive_per_sec = 2;
    lane_set_policy(&lane, &policy);
    assert_true(endpoint.adaptive.per_sec == 2);
    endpoint_move(&endpoint);
    policy.adaptive_per_sec = 0;
    lane_set_policy(&lane, &policy);
    assert_int_equal(adaptive_next_ms(&endpoint.adaptive, now_ms), 0);
    token_fini(&token);
    lane_to_token(&lane, now_ms, now_ms + WALL_OFFSET, &token);
    assert_true(token.rate == 0);
    token_fini(&token);
}

#define IN_LANE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_LANE(an_endpoint_of_7_a_second_gets_6_to_7_within_a_minute),
        IN_LANE(slower_and_faster_endpoints_get_most_of_what_they_take),
        IN_LANE(a_rate_follows_an_endpoint_that_takes_more_or_less_than_before),
        IN_LANE(an_endpoint_that_takes_all_is_held_back_by_the_throttle_alone),
        IN_LANE(it_falls_on_429_503_and_timeouts_and_on_nothing_else),
        IN_LANE(attempts_from_before_a_fall_do_not_lower_it_again),
        IN_LANE(a_rate_that_is_not_made_use_of_does_not_rise),
        IN_LANE(an_outage_leaves_a_rate_that_soon_comes_back),
        IN_LANE(a_token_keeps_it_and_another_url_forgets_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
