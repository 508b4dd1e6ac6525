/* Pages of events: where a page is cut, how long a poll waits, and the answer when the log does
 * not arrive. */
#include "web_fixture.h"

#include "ingest/read/page.h"

static const struct http_route routes[] = {{"GET", "/replay", page_replay, false, AUTH_READ},
                                           {"GET", "/poll", page_poll, false, AUTH_READ}};

static int open_pages(void **state) {
    world_open(state);
    web_open(routes, 2, NULL);
    return 0;
}

static int close_pages(void **state) {
    web_close();
    return world_close(state);
}

static void publish(int events, size_t bytes) {
    for (int i = 0; i < events; i++)
        append_event("drug.copay", bytes);
}

/* The number of events in an answer. */
static int events_in(const char *answer) {
    int events = 0;
    for (const char *at = answer; (at = strstr(at, "\"prev_cursor\":")); at++)
        events++;
    return events;
}

static void test_a_page_is_all_there_is(void **state) {
    (void)state;
    publish(3, 1);
    const char *page = get("/replay?since_cursor=1");
    assert_answer(page, 200, "],\"cursor\":3,\"more\":false}\n");
    assert_answer(page, 200, "Content-Type: application/json");
    assert_int_equal(events_in(page), 2);
    assert_answer(get("/replay?since_cursor=3"), 200,
                  "{\"events\":[],\"cursor\":3,\"more\":false}\n");
}

static void test_a_page_is_cut_at_its_limit_and_says_whether_there_is_more(void **state) {
    (void)state;
    publish(3, 1);
    const char *page = get("/replay?limit=2");
    assert_answer(page, 200, "],\"cursor\":2,\"more\":true}\n");
    assert_int_equal(events_in(page), 2);
    assert_answer(get("/replay?since_cursor=1&limit=2"), 200, "],\"cursor\":3,\"more\":false}\n");
    assert_answer(get("/replay?until_cursor=2&limit=2"), 200, "],\"cursor\":2,\"more\":false}\n");
}

static void test_without_a_limit_a_page_has_500_events(void **state) {
    (void)state;
    publish(501, 1);
    assert_int_equal(events_in(get("/replay")), 500);
    assert_int_equal(events_in(get("/replay?limit=1000")), 501);
}

static void test_a_page_is_cut_before_it_grows_beyond_8_mib(void **state) {
    enum { MIB = 1024 * 1024 };
    (void)state;
    publish(10, MIB);
    const char *page = get("/replay");
    assert_answer(page, 200, "],\"cursor\":7,\"more\":true}\n");
    assert_true(strlen(page) < 8 * MIB);
    assert_answer(get("/replay?since_cursor=7"), 200, "],\"cursor\":10,\"more\":false}\n");
}

static void test_an_event_larger_than_a_page_is_a_page_of_its_own(void **state) {
    (void)state;
    publish(1, 9 * 1024 * 1024);
    publish(1, 1);
    assert_answer(get("/replay"), 200, "],\"cursor\":1,\"more\":true}\n");
}

static int open_small(void **state) {
    world_open(state);
    world.ingest.service.settings.ingest.buffers = 1024 * 1024;
    web_open(routes, 2, NULL);
    return 0;
}

static void test_where_memory_is_short_a_page_is_small_and_goes_on(void **state) {
    int64_t cursor = 0, pages = 0;
    char target[64];
    (void)state;
    publish(20, 64 * 1024);
    while (cursor < 20) {
        snprintf(target, sizeof target, "/replay?since_cursor=%d", (int)cursor);
        const char *page = get(target);
        int events = events_in(page);
        assert_answer(page, 200, "\"more\":");
        assert_in_range(events, 1, 3);
        cursor += events;
        pages++;
    }
    assert_true(pages >= 7);
}

static void test_events_come_once_and_in_order_over_many_turns(void **state) {
    char part[64];
    (void)state;
    publish(100, 20000); /* more than one turn reads */
    const char *page = get("/replay");
    assert_int_equal(events_in(page), 100);
    for (int i = 1; i <= 100; i++) {
        snprintf(part, sizeof part, "\"cursor\":%d,\"prev_cursor\":%d,", i, i - 1);
        page = strstr(page, part);
        assert_non_null(page);
    }
}

static void test_a_poll_waits_for_a_first_event(void **state) {
    struct client c;
    (void)state;
    publish(2, 1);
    begin_read(&c, "/poll"); /* from the end */
    world_pass(29000);
    assert_false(client_has_ended(&c));
    publish(1, 1);
    const char *page = client_answer(&c);
    assert_answer(page, 200, "\"cursor\":3,\"prev_cursor\":2,");
    assert_answer(page, 200, "],\"cursor\":3,\"more\":false}\n");
    client_end(&c);
}

static void test_a_poll_for_which_nothing_comes_is_empty_after_its_wait_and_moves_on(void **state) {
    struct client c;
    (void)state;
    publish(2, 1);
    begin_read(&c, "/poll?topics=plan.*&cursor=1&wait=20");
    world_pass(10000);
    publish(3, 1); /* not a wanted event */
    world_pass(9900);
    assert_false(client_has_ended(&c));
    world_pass(200);
    assert_answer(client_answer(&c), 200, "{\"events\":[],\"cursor\":5,\"more\":false}\n");
    client_end(&c);
}

static void test_a_poll_with_events_or_without_a_wait_does_not_wait(void **state) {
    (void)state;
    publish(2, 1);
    assert_answer(get("/poll?cursor=1"), 200, "],\"cursor\":2,\"more\":false}\n");
    assert_answer(get("/poll?wait=0"), 200, "{\"events\":[],\"cursor\":2,\"more\":false}\n");
}

/* Begins a read of five events, of which those from the cursor `absent_from` on do not come. */
static void read_of_five(struct client *c, const char *target, int64_t absent_from) {
    publish(5, 1);
    fake_feed.absent_from = absent_from;
    begin_read(c, target);
}

static void test_a_log_that_does_not_come_at_all_is_503_after_10_s(void **state) {
    struct client c;
    (void)state;
    read_of_five(&c, "/replay", 1);
    world_pass(9800);
    assert_false(client_has_ended(&c));
    world_pass(300);
    assert_answer(client_answer(&c), 503, "Retry-After: 1");
    client_end(&c);
}

static void test_a_log_that_stops_coming_makes_a_short_page(void **state) {
    struct client c;
    (void)state;
    read_of_five(&c, "/replay", 3);
    world_pass(10100);
    const char *page = client_answer(&c);
    assert_answer(page, 200, "],\"cursor\":2,\"more\":true}\n");
    assert_int_equal(events_in(page), 2);
    client_end(&c);
}

static void test_a_search_that_takes_long_says_how_far_it_came(void **state) {
    struct client c;
    (void)state;
    read_of_five(&c, "/replay?topics=plan.*", 4);
    world_pass(10100);
    assert_answer(client_answer(&c), 200, "{\"events\":[],\"cursor\":3,\"more\":true}\n");
    client_end(&c);
}

static void test_a_page_ends_before_an_event_of_a_later_version_and_the_next_says_why(
    void **state) {
    (void)state;
    publish(3, 1);
    fake_feed.events[3].newer = true;
    assert_answer(get("/replay"), 200, "],\"cursor\":2,\"more\":true}\n");
    assert_answer(get("/replay?since_cursor=2"), 503, "at cursor 3: upgrade this ess-ingest");
    assert_answer(get("/poll?cursor=2"), 503, "at cursor 3: upgrade this ess-ingest");
}

static void test_bad_parameters_are_named(void **state) {
    (void)state;
    assert_answer(get("/replay?limit=0"), 400, "\"field\":\"limit\"");
    assert_answer(get("/replay?limit=10001"), 400, "\"field\":\"limit\"");
    assert_answer(get("/replay?wait=1"), 400, "\"field\":\"wait\"");
    assert_answer(get("/poll?wait=61"), 400, "\"field\":\"wait\"");
    assert_answer(get("/poll?since_cursor=1"), 400, "\"field\":\"since_cursor\"");
}

static void test_a_poll_beyond_the_end_names_cursor(void **state) {
    struct client c;
    (void)state;
    begin_read(&c, "/poll?cursor=9");
    world_pass(1100);
    const char *answer = client_answer(&c);
    assert_answer(answer, 400, "\"field\":\"cursor\"");
    assert_answer(answer, 400, "9 is beyond the end of the log, 0");
    client_end(&c);
}

#define page_test(f) cmocka_unit_test_setup_teardown(f, open_pages, close_pages)

int main(void) {
    const struct CMUnitTest tests[] = {
        page_test(test_a_page_is_all_there_is),
        page_test(test_a_page_is_cut_at_its_limit_and_says_whether_there_is_more),
        page_test(test_without_a_limit_a_page_has_500_events),
        page_test(test_a_page_is_cut_before_it_grows_beyond_8_mib),
        page_test(test_an_event_larger_than_a_page_is_a_page_of_its_own),
        cmocka_unit_test_setup_teardown(test_where_memory_is_short_a_page_is_small_and_goes_on,
                                        open_small, close_pages),
        page_test(test_events_come_once_and_in_order_over_many_turns),
        page_test(test_a_poll_waits_for_a_first_event),
        page_test(test_a_poll_for_which_nothing_comes_is_empty_after_its_wait_and_moves_on),
        page_test(test_a_poll_with_events_or_without_a_wait_does_not_wait),
        page_test(test_a_log_that_does_not_come_at_all_is_503_after_10_s),
        page_test(test_a_log_that_stops_coming_makes_a_short_page),
        page_test(test_a_search_that_takes_long_says_how_far_it_came),
        page_test(test_a_page_ends_before_an_event_of_a_later_version_and_the_next_says_why),
        page_test(test_bad_parameters_are_named),
        page_test(test_a_poll_beyond_the_end_names_cursor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
