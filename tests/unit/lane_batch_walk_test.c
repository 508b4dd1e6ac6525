/* Lanes with batches in thousands of random steps: whatever the endpoint answers, in whatever
 * order, each event is settled once, by key none overtakes another, and a request that comes again
 * has the same events. */
#include <stdlib.h>

#include "tests/unit/lane_fixture.h"

enum { EVENTS = 400, KEYS = 5, BATCH = 7, REQUESTS_MAX = 8 };

enum fate { WAITS, DELIVERED, LOST };

static enum fate fates[EVENTS + 1];
static int64_t newest_of_key[KEYS];
static struct request {
    int64_t first, last;
    size_t count;
} under_way[REQUESTS_MAX];
static size_t requests;
static int64_t refused; /* this event is refused by the endpoint; 0: none */
static int64_t log_end; /* of what was published so far */

static uint64_t key_of(int64_t cursor) { return (uint64_t)(cursor * 7 % KEYS); }
static int64_t dice(int64_t sides) { return (int64_t)(next_random() % (uint64_t)sides); }

static void settle_event(int64_t cursor, enum fate fate) {
    assert_int_equal(fates[cursor], WAITS);
    fates[cursor] = fate;
    if (lane.policy.ordering != SPEC_KEY)
        return;
    assert_true(newest_of_key[key_of(cursor)] < cursor);
    newest_of_key[key_of(cursor)] = cursor;
}

static void scan(void) {
    if (lane.scanned == log_end) {
        lane_at_end(&lane, log_end, false);
        return;
    }
    lane_expect(&lane, 50 + dice(100));
    int64_t cursor = lane.scanned + 1;
    if (lane_found(&lane, cursor, (uint64_t)cursor, key_of(cursor), false))
        fail_msg("an event starts without its batch");
}

static void start_request(int64_t cursor) {
    lane_fix(&lane, cursor, now_ms);
    const struct window_entry *e = lane_entry(&lane, cursor);
    struct request *request = &under_way[requests++];
    *request = (struct request){.first = cursor, .count = lane_batch_count(e)};
    assert_true(request->count <= BATCH);
    for (; e; e = lane_batch_next(e)) {
        assert_true(e->cursor > request->last && fates[e->cursor] == WAITS);
        for (int64_t between = request->last; request->last && ++between < e->cursor;)
            assert_true(fates[between] != WAITS); /* nothing is left out that comes later */
        request->last = e->cursor;
    }
    lane_start(&lane, cursor);
}

static bool request_has(const struct request *request, int64_t cursor) {
    return cursor >= request->first && cursor <= request->last && fates[cursor] == WAITS;
}

static void settle_request(const struct request *request) {
    const struct window_entry *e = lane_entry(&lane, request->first);
    for (; e; e = lane_batch_next(e))
        settle_event(e->cursor, DELIVERED);
}

static void end_request(void) {
    struct request *request = &under_way[dice((int64_t)requests)], done = *request;
    *request = under_way[--requests];
    if (dice(20) == 0) {
        lane_abort(&lane, done.first, now_ms);
        return;
    }
    if (dice(60) == 0)
        refused = 0; /* it is mended: while nothing may be given up, the lane waits for that */
    int status = request_has(&done, refused) ? 422 : dice(4) == 0 ? 503 : dice(9) == 0 ? 0 : 200;
    if (status == 200)
        settle_request(&done);
    finish(done.first, status);
    assert_true(status != 200 || !lane_entry(&lane, done.first));
}

/* Kafka has the dead letters that are being written. */
static void write_dead_letters(void) {
    for (size_t i = 0; i < lane.window.count; i++) {
        const struct window_entry *e = lane.window.entries[i];
        if (e->state != ENTRY_DEAD_LETTERING)
            continue;
        settle_event(e->cursor, LOST);
        lane_dead_lettered(&lane, e->cursor);
        return;
    }
}

static void wait_or_publish(int64_t due) {
    if (log_end < EVENTS && dice(2)) {
        log_end += 1 + dice(10);
        log_end = log_end < EVENTS ? log_end : EVENTS;
        if (lane.at_end)
            lane_wake(&lane, lane.scanned);
    } else if (due < INT64_MAX) {
        now_ms = due > now_ms ? due : now_ms;
    }
}

static void step(void) {
    int64_t cursor, due;
    if (requests && dice(3) == 0)
        end_request();
    if (dice(3) == 0)
        write_dead_letters();
    switch (requests < REQUESTS_MAX ? lane_next(&lane, now_ms, &cursor, &due) : LANE_NOTHING) {
    case LANE_SCAN:
        scan();
        break;
    case LANE_SEND:
        start_request(cursor);
        break;
    default:
        if (requests)
            end_request();
        else
            wait_or_publish(due);
    }
}

static void walk(enum spec_ordering ordering, int64_t max_in_flight, uint64_t first_seed) {
    struct lane_policy policy = usual;
    policy.ordering = ordering;
    policy.max_in_flight = max_in_flight;
    policy.max_attempts = 4;
    policy.batch = (struct batch_limits){BATCH, 600, dice(2) * 300};
    seed = first_seed;
    memset(fates, 0, sizeof fates);
    memset(newest_of_key, 0, sizeof newest_of_key);
    requests = 0;
    log_end = 0;
    refused = 1 + dice(EVENTS);
    lane_set_policy(&lane, &policy);
    for (int steps = 0; lane.position < EVENTS; steps++) {
        step();
        if (steps > 200000)
            fail_msg("stuck at %lld", (long long)lane.position);
        assert_true(lane.position == 0 || fates[lane.position] != WAITS);
    }
    for (int64_t cursor = 1; cursor <= EVENTS; cursor++)
        assert_true(fates[cursor] != WAITS);
    assert_true(lane.delivered + lane.dead_lettered == EVENTS && lane.window.count == 0);
}

static void walks(enum spec_ordering ordering, int64_t max_in_flight) {
    for (uint64_t number = 1; number <= 200; number++) {
        end(NULL);
        begin(NULL);
        walk(ordering, max_in_flight, number * 0x9e3779b97f4a7c15U);
    }
}

static void strict_batches_settle_all(UNUSED void **state) { walks(SPEC_STRICT, 1); }
static void batches_by_key_settle_all(UNUSED void **state) { walks(SPEC_KEY, 4); }
static void batches_without_order_settle_all(UNUSED void **state) { walks(SPEC_NONE, 4); }

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(strict_batches_settle_all),
        TEST(batches_by_key_settle_all),
        TEST(batches_without_order_settle_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
