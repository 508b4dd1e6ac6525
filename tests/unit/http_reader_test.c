/* A reader of the log by HTTP: the start, the prev_cursor of events, and the end. */
#include "web_fixture.h"

/* A kind that writes an event a line and answers at the log's end. With `follow` it parks there
 * for another event. */
struct lines {
    struct http_reader reader;
    struct buf body;
    bool follows;
};

static void lines_free(struct http_reader *reader) {
    struct lines *l = (struct lines *)reader;
    http_reader_fini(reader);
    buf_fini(&l->body);
    free(l);
}

static void lines_abandon(struct http_reader *reader) {
    http_reader_unavailable(reader);
    lines_free(reader);
}

static void lines_lapse(struct http_reader *reader) {
    authenticator_lapsed(reader->request);
    lines_free(reader);
}

static void lines_go(struct http_reader *reader) {
    struct lines *l = (struct lines *)reader;
    struct feed_event event;
    enum http_reader_result result;
    if (http_reader_lapsed(reader))
        return;
    while ((result = http_reader_next(reader, &event)) == HTTP_READER_EVENT) {
        http_reader_put(reader, &event, &l->body);
        buf_puts(&l->body, "\n");
    }
    if (result == HTTP_READER_NEWER) {
        lines_abandon(reader);
    } else if (result == HTTP_READER_END && l->follows) {
        l->follows = false;
        reader->ask_ms = 0;
        http_reader_park(reader);
    } else if (result == HTTP_READER_END) {
        buf_printf(&l->body, "reached %d\n", (int)http_reader_reached(reader));
        http_answer(reader->request, 200, "text/plain", &l->body);
        lines_free(reader);
    }
}

static void handle(void *arg, struct http_request *request) {
    static const struct http_reader_kind kind = {"since_cursor", lines_go, lines_abandon,
                                                 lines_lapse, lines_free};
    struct error err;
    struct lines *l = mem_zero(sizeof *l);
    http_reader_init(&l->reader, &kind, arg, request);
    l->follows = http_request_query(request, "follow");
    http_request_watch(request);
    if (http_reader_range(&l->reader, &err) == 0 && http_reader_topics(&l->reader, &err) == 0) {
        http_reader_begin(&l->reader);
        return;
    }
    http_reader_refuse(&l->reader, &err);
    lines_free(&l->reader);
}

static const struct http_route routes[] = {{"GET", "/read", handle, false, AUTH_READ}};

static int open_readers(void **state) {
    world_open(state);
    web_open(routes, 1, NULL);
    return 0;
}

static int close_readers(void **state) {
    web_close();
    return world_close(state);
}

static void test_each_events_prev_cursor_is_the_one_it_got_before(void **state) {
    (void)state;
    fake_event("drug.copay", 1);
    fake_event("plan.copay", 1);
    fake_event("drug.price", 1);
    const char *all = get("/read?since_cursor=0");
    assert_answer(all, 200, "\"cursor\":1,\"prev_cursor\":0,");
    assert_answer(all, 200, "\"cursor\":2,\"prev_cursor\":1,");
    assert_answer(all, 200, "\"cursor\":3,\"prev_cursor\":2,");
    const char *drugs = get("/read?since_cursor=0&topics=drug.*");
    assert_answer(drugs, 200, "\"cursor\":3,\"prev_cursor\":1,\"id\"");
    assert_null(strstr(drugs, "\"cursor\":2"));
}

static void test_one_that_begins_in_a_gap_of_compaction_keeps_prev_cursor_true(void **state) {
    (void)state;
    fake_event("drug.copay", 1); /* 1 */
    fake_hole();
    fake_hole();
    fake_hole();
    fake_event("drug.copay", 1); /* 5 */
    fake_event("drug.copay", 1);
    assert_answer(get("/read?since_cursor=1"), 200,
                  "\"cursor\":5,\"prev_cursor\":1,\"compacted\":true,");
    /* The start position is the client's cursor, not necessarily an event's. */
    assert_answer(get("/read?since_cursor=3"), 200,
                  "\"cursor\":5,\"prev_cursor\":3,\"compacted\":true,");
    const char *last = get("/read?since_cursor=4");
    assert_answer(last, 200, "\"cursor\":5,\"prev_cursor\":4,\"id\""); /* no gap above 4 */
    assert_answer(last, 200, "\"cursor\":6,\"prev_cursor\":5,\"id\"");
}

static void test_a_gap_among_unwanted_events_marks_the_next_event(void **state) {
    (void)state;
    fake_event("drug.copay", 1);
    fake_event("plan.copay", 1);
    fake_hole(); /* an event of unknown topic */
    fake_event("plan.copay", 1);
    fake_event("drug.copay", 1); /* 5 */
    fake_event("drug.copay", 1);
    const char *drugs = get("/read?since_cursor=0&topics=drug.*");
    assert_answer(drugs, 200, "\"cursor\":5,\"prev_cursor\":1,\"compacted\":true,");
    assert_answer(drugs, 200, "\"cursor\":6,\"prev_cursor\":5,\"id\"");
}

static void test_a_gap_is_not_forgotten_while_the_next_part_is_waited_for(void **state) {
    struct client c;
    (void)state;
    fake_event("drug.copay", 1);
    fake_hole();
    fake_event("plan.copay", 1);
    fake_event("drug.copay", 1); /* 4 */
    fake_feed.absent_from = 4;
    begin_read(&c, "/read?since_cursor=1&topics=drug.*");
    world_settle();
    assert_false(client_has_ended(&c));
    fake_feed_bring();
    assert_answer(client_answer(&c), 200, "\"cursor\":4,\"prev_cursor\":1,\"compacted\":true,");
    client_end(&c);
}

static void test_a_gap_that_opens_while_parked_marks_the_next_event(void **state) {
    struct client c;
    (void)state;
    fake_event("drug.copay", 1);
    begin_read(&c, "/read?since_cursor=0&follow=1&topics=drug.*");
    world_settle();
    append_event("plan.copay", 1);
    fake_hole();
    append_event("drug.copay", 1); /* 4 */
    assert_answer(client_answer(&c), 200, "\"cursor\":4,\"prev_cursor\":1,\"compacted\":true,");
    client_end(&c);
}

static void test_while_it_waits_at_the_end_what_it_does_not_want_counts_as_reached(void **state) {
    struct client c;
    (void)state;
    fake_event("drug.copay", 1);
    begin_read(&c, "/read?since_cursor=1&follow=1&topics=drug.*");
    world_settle();
    append_event("plan.copay", 1);
    world_settle();
    assert_false(client_has_ended(&c));
    append_event("drug.price", 1); /* 3 */
    const char *answer = client_answer(&c);
    assert_answer(answer, 200, "\"cursor\":3,\"prev_cursor\":1,\"id\"");
    assert_answer(answer, 200, "reached 3");
    client_end(&c);
}

static void test_until_cursor_is_inclusive_and_bounds_what_is_reached(void **state) {
    (void)state;
    fake_event("drug.copay", 1);
    fake_event("drug.copay", 1);
    fake_event("drug.copay", 1);
    const char *answer = get("/read?since_cursor=0&until_cursor=2");
    assert_answer(answer, 200, "\"cursor\":2,");
    assert_answer(answer, 200, "reached 2");
    assert_null(strstr(answer, "\"cursor\":3,"));
    assert_answer(get("/read?since_cursor=1&until_cursor=1"), 200, "reached 1");
    assert_answer(get("/read?since_cursor=2&until_cursor=1"), 400, "\"field\":\"until_cursor\"");
}

static void test_a_cursor_that_another_ingest_gave_a_moment_ago_is_waited_for(void **state) {
    struct client c;
    (void)state;
    fake_event("drug.copay", 1);
    begin_read(&c, "/read?since_cursor=2");
    world_pass(900);
    append_event("drug.copay", 1); /* 2 */
    assert_answer(client_answer(&c), 200, "reached 2");
    client_end(&c);
}

static void test_a_cursor_beyond_the_end_is_refused_after_a_second(void **state) {
    struct client c;
    (void)state;
    fake_event("drug.copay", 1);
    begin_read(&c, "/read?since_cursor=2");
    world_pass(900);
    assert_false(client_has_ended(&c));
    world_pass(200);
    const char *answer = client_answer(&c);
    assert_answer(answer, 400, "\"field\":\"since_cursor\"");
    assert_answer(answer, 400, "2 is beyond the end of the log, 1");
    client_end(&c);
}

static void test_a_tail_that_stays_behind_its_own_publishes_is_503(void **state) {
    struct client c;
    (void)state;
    fake_event("drug.copay", 1);
    world.ingest.acknowledged = 2; /* published here, not read yet */
    begin_read(&c, "/read?since_cursor=1");
    world_pass(1100);
    assert_answer(client_answer(&c), 503, "the log cannot be read at present");
    client_end(&c);
}

static void test_while_the_log_is_not_sure_nothing_is_read(void **state) {
    (void)state;
    fake_event("drug.copay", 1);
    fake_feed.unsure = true;
    assert_answer(get("/read?since_cursor=0"), 503, "Retry-After: 1");
}

static void test_an_event_of_a_later_version_is_not_passed(void **state) {
    (void)state;
    fake_event("drug.copay", 1);
    fake_feed.events[fake_event("plan.copay", 1)].newer = true;
    fake_event("drug.copay", 1);
    assert_answer(get("/read?since_cursor=0"), 503,
                  "a later version of ESS wrote the event at cursor 2");
    assert_answer(get("/read?since_cursor=0&topics=drug.*"), 200, "\"cursor\":3,");
    assert_answer(get("/read?since_cursor=0&until_cursor=1"), 200, "reached 1");
}

static void test_bad_parameters_are_named(void **state) {
    struct buf many = {0};
    (void)state;
    assert_answer(get("/read?since_cursor=-1"), 400, "\"field\":\"since_cursor\"");
    assert_answer(get("/read?since_cursor=1x"), 400, "\"field\":\"since_cursor\"");
    assert_answer(get("/read?topics=drug..copay"), 400, "\"field\":\"topics\"");
    assert_answer(get("/read?topics=drug.copay,"), 400, "\"field\":\"topics\"");
    buf_puts(&many, "/read?topics=a");
    for (int i = 0; i < 100; i++)
        buf_puts(&many, ",a");
    assert_answer(get(buf_string(&many)), 400, "at most 100 patterns");
    buf_fini(&many);
}

static void test_one_whose_client_goes_away_is_gone(void **state) {
    struct client c;
    (void)state;
    fake_event("drug.copay", 1);
    begin_read(&c, "/read?since_cursor=1&follow=1");
    client_end(&c);
    await_readers(0);
    append_event("drug.copay", 1); /* wakes no reader */
    world_settle();
}

static void test_when_the_log_is_read_again_every_reader_gets_503(void **state) {
    struct client waiting, early;
    (void)state;
    fake_event("drug.copay", 1);
    client_begin(&waiting, "GET", "/read?since_cursor=1&follow=1", NULL);
    client_begin(&early, "GET", "/read?since_cursor=2", NULL);
    await_readers(2);
    http_readers_end(world.ingest.http_readers);
    assert_answer(client_answer(&waiting), 503, "Retry-After: 1");
    assert_answer(client_answer(&early), 503, "Retry-After: 1");
    client_end(&waiting);
    client_end(&early);
}

#define http_reader_test(f) cmocka_unit_test_setup_teardown(f, open_readers, close_readers)

int main(void) {
    const struct CMUnitTest tests[] = {
        http_reader_test(test_each_events_prev_cursor_is_the_one_it_got_before),
        http_reader_test(test_one_that_begins_in_a_gap_of_compaction_keeps_prev_cursor_true),
        http_reader_test(test_a_gap_among_unwanted_events_marks_the_next_event),
        http_reader_test(test_a_gap_is_not_forgotten_while_the_next_part_is_waited_for),
        http_reader_test(test_a_gap_that_opens_while_parked_marks_the_next_event),
        http_reader_test(test_while_it_waits_at_the_end_what_it_does_not_want_counts_as_reached),
        http_reader_test(test_until_cursor_is_inclusive_and_bounds_what_is_reached),
        http_reader_test(test_a_cursor_that_another_ingest_gave_a_moment_ago_is_waited_for),
        http_reader_test(test_a_cursor_beyond_the_end_is_refused_after_a_second),
        http_reader_test(test_a_tail_that_stays_behind_its_own_publishes_is_503),
        http_reader_test(test_while_the_log_is_not_sure_nothing_is_read),
        http_reader_test(test_an_event_of_a_later_version_is_not_passed),
        http_reader_test(test_bad_parameters_are_named),
        http_reader_test(test_one_whose_client_goes_away_is_gone),
        http_reader_test(test_when_the_log_is_read_again_every_reader_gets_503),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
