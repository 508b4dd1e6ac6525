/* The replay token as a record: a written token can be read back, missing or unknown members do no
 * harm, and foreign records are distinguished from newer ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/json/json_scan.h"
#include "common/model/token.h"

#define REGISTRATION_ID "0190b6a0-0000-4000-8000-000000000001"
#define FEED "0190b6a0-0000-4000-8000-000000000002"
#define NEEDED                                                                                     \
    "'born':'" REGISTRATION_ID "','feed':'" FEED "','position':1842,'last':1837,'state':'active'"

static struct token token;
static struct error err;
static bool newer;

static int read_bytes(struct span text) {
    token_fini(&token);
    return token_from_json(&token, text, &newer, &err);
}

static int free_token(void **state) {
    (void)state;
    token_fini(&token);
    return 0;
}

/* JSON in these tests is written with single quotes. */
static int read_token(const char *text) {
    size_t len = strlen(text);
    char *copy = memcpy(mem_alloc(len), text,
                        len); /* so that a sanitizer detects a read beyond the end */
    for (size_t i = 0; i < len; i++)
        copy[i] = copy[i] == '\'' ? '"' : copy[i];
    newer = true;
    int result = read_bytes((struct span){copy, len});
    free(copy);
    return result;
}

static void fill_settled(struct token *t) {
    t->settled = mem_zero(2 * sizeof *t->settled);
    t->settled_count = 2;
    t->settled[0] = (struct token_range){1844, 1844};
    t->settled[1] = (struct token_range){1850, 1900};
}

/* A replay that has settled a range, and a redrive of two dead letters. */
static void fill_jobs(struct token *t) {
    t->jobs = mem_zero(2 * sizeof *t->jobs);
    t->jobs_count = 2;
    t->jobs[0] = (struct token_job){.job = 3,
                                    .from = 42,
                                    .to = 99,
                                    .position = 50,
                                    .last = 49,
                                    .settled = mem_zero(sizeof(struct token_range)),
                                    .settled_count = 1};
    t->jobs[0].settled[0] = (struct token_range){52, 60};
    t->jobs[1] = (struct token_job){.job = 5,
                                    .redrive = true,
                                    .to = 7,
                                    .position = 1,
                                    .cursors = mem_zero(2 * sizeof(int64_t)),
                                    .cursors_count = 2};
    t->jobs[1].cursors[0] = 12;
    t->jobs[1].cursors[1] = 99;
    t->jobs[1].delivered = 4;
}

static void fill_redriven(struct token *t) {
    t->redriven_count = 73;
    t->redriven_letters = mem_zero(2 * sizeof *t->redriven_letters);
    t->redriven_letters_count = 2;
    t->redriven_letters[0] = 5;
    t->redriven_letters[1] = 9;
}

static void fill_pending(struct token *t) {
    t->pending = mem_zero(2 * sizeof *t->pending);
    t->pending_count = 2;
    t->pending[0] = 3;
    t->pending[1] = 5;
}

/* One more than are kept. */
static void fill_outcomes(struct token *t) {
    for (int64_t i = 0; i < TOKEN_OUTCOMES_MAX + 1; i++) {
        struct token_outcome o = {.generation = i,
                                  .at_ms = 10 * i,
                                  .command = "replay",
                                  .outcome = "refused",
                                  .delivered = -1};
        snprintf(o.reason, sizeof o.reason, "it has 16 jobs");
        token_add_outcome(&t->outcomes, &t->outcomes_count, &o);
    }
}

static void fill_attempts(struct token *t) {
    for (int64_t i = 1; i <= TOKEN_ATTEMPTS_MAX; i++) {
        struct token_attempt attempt = {
            .at_ms = 1000 * i, .cursor = 40 + i, .attempt = i, .duration_ms = 15 * i};
        attempt.status = i % 2 ? 503 : 0;
        snprintf(attempt.error, sizeof attempt.error, "%s", i % 2 ? "" : "connection \"refused\"");
        snprintf(attempt.excerpt, sizeof attempt.excerpt, "%s", i % 2 ? "try \\ later \u20ac" : "");
        token_add_attempt(t, &attempt);
    }
}

static struct token full_token(void) {
    struct token t = {
        .registration_id = REGISTRATION_ID,
        .feed = FEED,
        .position = 1842,
        .last = 1837,
        .last_id_hash = UINT64_MAX - 1,
        .compacted = true,
        .waiting = true,
        .state = TOKEN_RETRYING,
        .reason = "\"503\"\n\\ \u00e9\x01",
        .generation = 7,
        .epoch = 0,
        .number = 4711,
        .failing_since_ms = 1715090591123,
        .failing_ms = 4711,
        .next_attempt_ms = 1715090592123,
        .given_up = true,
        .refused_in_row = 19,
        .delivered = INT64_MAX,
        .dead_lettered = 3,
        .rate = 6.5,
        .handshake = "00112233445566778899aabbccddeeff",
        .applied = 6,
        .redriven = 2,
        .written_ms = 71,
        .last_success_ms = 72,
    };
    fill_settled(&t);
    fill_jobs(&t);
    fill_redriven(&t);
    fill_pending(&t);
    fill_outcomes(&t);
    fill_attempts(&t);
    return t;
}

static void assert_same(const struct token *a, const struct token *b) {
    struct buf one = {0}, other = {0};
    token_to_json(a, &one);
    token_to_json(b, &other);
    assert_string_equal(one.data, other.data);
    buf_fini(&one);
    buf_fini(&other);
}

static void test_a_token_is_read_as_it_was_written(void **state) {
    struct token written = full_token();
    struct buf text = {0};
    (void)state;
    token_to_json(&written, &text);
    assert_int_equal(json_scan((struct span){text.data, text.len}, JSON_DEPTH_MAX, &err), 0);
    assert_null(strchr(text.data, '\n'));
    assert_int_equal(read_bytes((struct span){text.data, text.len}), 0);
    assert_false(newer);
    assert_same(&token, &written);
    assert_string_equal(token.registration_id, REGISTRATION_ID);
    assert_string_equal(token.feed, FEED);
    assert_true(token.position == 1842 && token.last == 1837 &&
                token.last_id_hash == UINT64_MAX - 1);
    assert_true(token.compacted && token.waiting && token.given_up &&
                token.state == TOKEN_RETRYING);
    assert_string_equal(token.reason, written.reason);
    assert_true(token.generation == 7 && token.epoch == 0 && token.number == 4711 &&
                token.refused_in_row == 19);
    assert_true(token.failing_since_ms == 1715090591123 && token.failing_ms == 4711 &&
                token.next_attempt_ms == 1715090592123);
    assert_true(token.delivered == INT64_MAX && token.dead_lettered == 3 &&
                token.attempts_count == TOKEN_ATTEMPTS_MAX);
    for (int64_t i = 0; i < token.attempts_count; i++) {
        const struct token_attempt *a = &token.attempts[i], *b = &written.attempts[i];
        assert_true(a->at_ms == b->at_ms && a->cursor == b->cursor && a->attempt == b->attempt &&
                    a->status == b->status);
        assert_int_equal(a->duration_ms, b->duration_ms);
        assert_string_equal(a->error, b->error);
        assert_string_equal(a->excerpt, b->excerpt);
    }
    token_fini(&written);
    buf_fini(&text);
}

static void test_settled_ranges_and_jobs_come_back(void **state) {
    struct token written = full_token();
    struct buf text = {0};
    (void)state;
    token_to_json(&written, &text);
    assert_int_equal(read_bytes((struct span){text.data, text.len}), 0);
    assert_true(token.applied == 6 && token.redriven == 2 && token.settled_count == 2 &&
                token.jobs_count == 2);
    assert_true(token.settled[0].from == 1844 && token.settled[0].to == 1844);
    assert_true(token.settled[1].from == 1850 && token.settled[1].to == 1900);
    assert_true(token.written_ms == 71 && token.last_success_ms == 72 &&
                token.redriven_count == 73);
    for (int64_t offset = 0; offset < 12; offset++) /* up to 2, and two of those above */
        assert_true(token_has_redriven(&token, offset) ==
                    (offset <= 2 || offset == 5 || offset == 9));
    assert_true(token.pending_count == 2 && token.pending[0] == 3 && token.pending[1] == 5 &&
                token.jobs[1].delivered == 4);
    assert_true(token.outcomes_count == TOKEN_OUTCOMES_MAX && token.outcomes[0].generation == 1 &&
                token.outcomes[0].delivered == -1);
    assert_string_equal(token.outcomes[7].reason, "it has 16 jobs");
    const struct token_job *replay = &token.jobs[0], *redrive = &token.jobs[1];
    assert_true(replay->job == 3 && !replay->redrive && replay->from == 42 && replay->to == 99);
    assert_true(replay->position == 50 && replay->last == 49);
    assert_true(replay->settled_count == 1 && replay->settled[0].from == 52 &&
                replay->settled[0].to == 60 && redrive->settled_count == 0);
    assert_null(replay->cursors);
    assert_true(redrive->job == 5 && redrive->redrive && redrive->from == 0 && redrive->to == 7 &&
                redrive->position == 1);
    assert_true(redrive->cursors_count == 2 && redrive->cursors[0] == 12 &&
                redrive->cursors[1] == 99);
    token_fini(&written);
    buf_fini(&text);
}

/* Impossible ranges are left out: their events are sent again. */
static void test_of_settled_ranges_only_ascending_ones_above_the_position_count(void **state) {
    static const struct {
        const char *ranges;
        int64_t count;
    } cases[] = {
        {"[]", 0},
        {"[[1843,1843]]", 1},
        {"[[1842,1843]]", 0},
        {"[[1850,1849]]", 0},
        {"[[1844,1850],[1850,1860]]", 1},
        {"[1844]", 0},
        {"[[1844]]", 0},
        {"[null]", 0},
        {"{}", 0},
        {"[[1844,1850],[1852,1860],[1,2]]", 2},
        {"[[1844,1845,1846]]", 0},
    };
    struct buf text = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_clear(&text);
        buf_printf(&text, "{'v':1," NEEDED ",'settled':%s}", cases[i].ranges);
        assert_int_equal(read_token(text.data), 0);
        assert_int_equal(token.settled_count, cases[i].count);
    }
    for (int count = TOKEN_SETTLED_MAX; count <= TOKEN_SETTLED_MAX + 1; count++) {
        buf_clear(&text);
        buf_puts(&text, "{'v':1," NEEDED ",'settled':[");
        for (int i = 0; i < count; i++)
            buf_printf(&text, "%s[%d,%d]", i ? "," : "", 1844 + 2 * i, 1844 + 2 * i);
        buf_puts(&text, "]}");
        assert_int_equal(read_token(text.data), 0);
        assert_int_equal(token.settled_count, count <= TOKEN_SETTLED_MAX ? count : 0);
    }
    buf_fini(&text);
}

/* An unreadable job must not be read as a different job: the token is refused, and the subscriber
 * waits. */
static void test_a_job_that_cannot_be_makes_the_token_unreadable(void **state) {
    static const char *const bad[] = {
        "[1]",
        "[null]",
        "[{}]",
        "[{'job':-1,'from':1,'to':2,'position':1}]",
        "[{'job':1,'from':3,'to':2,'position':3}]",
        "[{'job':1,'from':3,'to':5,'position':2}]",
        "[{'job':1,'from':3,'to':5}]",
        "[{'job':1,'from':0,'to':5,'position':0,'redrive':true,'cursors':[]}]",
        "[{'job':1,'from':0,'to':5,'position':0,'redrive':true,'cursors':['x']}]",
        "[{'job':1,'from':0,'to':5,'position':0,'redrive':true,'cursors':5}]",
    };
    struct buf text = {0};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        buf_clear(&text);
        buf_printf(&text,
                   "{'v':1," NEEDED ",'attempts':[{'at':1}],'settled':[[1844,1844]],'jobs':%s}",
                   bad[i]);
        if (read_token(text.data) == 0)
            fail_msg("%s", bad[i]);
        assert_string_equal(err.field, "jobs");
        assert_false(newer);
    }
    for (int count = TOKEN_JOBS_MAX; count <= TOKEN_JOBS_MAX + 1; count++) {
        buf_clear(&text);
        buf_puts(&text, "{'v':1," NEEDED ",'jobs':[");
        for (int i = 0; i < count; i++)
            buf_printf(&text, "%s{'job':%d,'from':1,'to':5,'position':1,'last':1}", i ? "," : "",
                       i);
        buf_puts(&text, "]}");
        assert_int_equal(read_token(text.data), count <= TOKEN_JOBS_MAX ? 0 : -1);
    }
    for (int count = TOKEN_JOB_CURSORS_MAX; count <= TOKEN_JOB_CURSORS_MAX + 1; count++) {
        buf_clear(&text);
        buf_puts(&text,
                 "{'v':1," NEEDED
                 ",'jobs':[{'job':1,'redrive':true,'from':0,'to':5,'position':0,'cursors':[");
        for (int i = 0; i < count; i++)
            buf_printf(&text, "%s%d", i ? "," : "", i);
        buf_puts(&text, "]}]}");
        assert_int_equal(read_token(text.data), count <= TOKEN_JOB_CURSORS_MAX ? 0 : -1);
    }
    buf_fini(&text);
}

static void test_every_state_has_its_name_and_comes_back(void **state) {
    static const char *const names[] = {"active", "retrying", "paused", "disabled", "pending"};
    (void)state;
    for (int i = TOKEN_ACTIVE; i <= TOKEN_PENDING; i++) {
        struct token written = full_token();
        struct buf text = {0};
        written.state = (enum token_state)i;
        assert_string_equal(token_state_name(written.state), names[i]);
        token_to_json(&written, &text);
        assert_int_equal(read_bytes((struct span){text.data, text.len}), 0);
        assert_int_equal(token.state, i);
        assert_null(strstr(buf_string(&text), "\"state\":\"pending\""));
        token_fini(&written);
        buf_fini(&text);
    }
}

static void test_a_hash_keeps_all_its_64_bits(void **state) {
    static const uint64_t hashes[] = {
        0, 1, 0x7fffffffffffffff, 0x8000000000000000, 0xfedcba9876543210, UINT64_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++) {
        struct token written = full_token();
        struct buf text = {0};
        written.last_id_hash = hashes[i];
        token_to_json(&written, &text);
        assert_int_equal(read_bytes((struct span){text.data, text.len}), 0);
        assert_true(token.last_id_hash == hashes[i]);
        token_fini(&written);
        buf_fini(&text);
    }
}

static void test_members_that_are_not_known_are_ignored_at_any_place_and_depth(void **state) {
    (void)state;
    assert_int_equal(read_token("{'v':1,'later':{'a':[[[[[[[[[[{}]]]]]]]]]]}," NEEDED
                                ",'attempt':[{'job':1}],"
                                "'attempts':[{'at':5,'cursor':42,'attempt':1,'status':503,'"
                                "duration_ms':2,'later':true}]}"),
                     0);
    assert_false(newer);
    assert_int_equal(token.position, 1842);
    assert_int_equal(token.attempts_count, 1);
    assert_int_equal(token.attempts[0].cursor, 42);
}

static void test_members_that_are_missing_have_their_defaults(void **state) {
    (void)state;
    assert_int_equal(read_token("{'v':1," NEEDED "}"), 0);
    assert_true(token.epoch == -1 && token.applied == -1 && token.redriven == -1 &&
                token.settled_count == 0 && token.jobs_count == 0);
    assert_string_equal(token.reason, "");
    assert_true(token.last_id_hash == 0 && token.generation == 0 && token.failing_since_ms == 0 &&
                token.next_attempt_ms == 0);
    assert_true(token.delivered == 0 && token.dead_lettered == 0 && token.refused_in_row == 0 &&
                token.attempts_count == 0);
    assert_false(token.waiting || token.given_up || token.compacted);
}

static void test_members_of_another_type_count_as_missing(void **state) {
    (void)state;
    assert_int_equal(
        read_token(
            "{'v':1," NEEDED
            ",'epoch':'7','waiting':1,'reason':5,'generation':null,'delivered':1.5,'attempts':{},"
            "'last_id_hash':12,'given_up':'true'}"),
        0);
    assert_true(token.epoch == -1 && !token.waiting && !*token.reason && token.generation == 0 &&
                token.delivered == 0);
    assert_true(token.attempts_count == 0 && token.last_id_hash == 0 && !token.given_up);
    assert_int_equal(read_token("{'v':1," NEEDED ",'attempts':[1,null,'a',[],{'cursor':'x'}]}"), 0);
    assert_int_equal(token.attempts_count, 1);
    assert_int_equal(token.attempts[0].cursor, 0);
}

static void test_a_newer_version_is_told_apart(void **state) {
    (void)state;
    assert_int_equal(read_token("{'v':2}"), -1);
    assert_true(newer);
    assert_non_null(strstr(err.message, "newer version of ESS (v 2)"));
    assert_int_equal(read_token("{'v':9007199254740993,'position':{'all':'new'}}"), -1);
    assert_true(newer);
}

static void test_what_is_not_a_token_is_refused_and_not_called_newer(void **state) {
    static const char *const others[] = {
        "",
        " ",
        "{",
        "null",
        "[]",
        "1",
        "'a'",
        "{}",
        "{'v':0," NEEDED "}",
        "{'v':-1," NEEDED "}",
        "{'v':'1'," NEEDED "}",
        "{'v':1.0," NEEDED "}",
        "{" NEEDED "}",
        "{'v':1}",
        "{'v':1," NEEDED "",
        "{'v':1," NEEDED "}}",
        "{'v':1," NEEDED "} x",
        "\xff\xfe",
        "{'v':1,'feed':'" FEED "','position':1,'last':1,'state':'active'}",
        "{'v':1,'born':'" REGISTRATION_ID "','position':1,'last':1,'state':'active'}",
        "{'v':1,'born':'short','feed':'" FEED "','position':1,'last':1,'state':'active'}",
        "{'v':1,'born':'" REGISTRATION_ID "0','feed':'" FEED
        "','position':1,'last':1,'state':'active'}",
        "{'v':1,'born':'" REGISTRATION_ID "','feed':'" FEED "','last':1,'state':'active'}",
        "{'v':1,'born':'" REGISTRATION_ID "','feed':'" FEED "','position':1,'state':'active'}",
        "{'v':1,'born':'" REGISTRATION_ID "','feed':'" FEED
        "','position':-1,'last':-1,'state':'active'}",
        "{'v':1,'born':'" REGISTRATION_ID "','feed':'" FEED
        "','position':1,'last':2,'state':'active'}",
        "{'v':1,'born':'" REGISTRATION_ID "','feed':'" FEED
        "','position':'1','last':1,'state':'active'}",
        "{'v':1,'born':'" REGISTRATION_ID "','feed':'" FEED "','position':1,'last':1}",
        "{'v':1,'born':'" REGISTRATION_ID "','feed':'" FEED
        "','position':1,'last':1,'state':'asleep'}",
        "{'v':1,'born':'" REGISTRATION_ID "','feed':'" FEED "','position':1,'last':1,'state':0}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (read_token(others[i]) == 0)
            fail_msg("%s", others[i]);
        assert_false(newer);
        assert_true(strlen(err.message) > 0);
    }
}

static void test_only_the_newest_ten_attempts_are_kept_oldest_first(void **state) {
    struct token t = {0};
    (void)state;
    for (int64_t i = 1; i <= 25; i++) {
        token_add_attempt(&t, &(struct token_attempt){.attempt = i});
        assert_int_equal(t.attempts_count, i < TOKEN_ATTEMPTS_MAX ? i : TOKEN_ATTEMPTS_MAX);
        assert_int_equal(t.attempts[t.attempts_count - 1].attempt, i);
        assert_int_equal(t.attempts[0].attempt, i - t.attempts_count + 1);
    }
    token_fini(&t);
}

static void test_of_a_record_with_more_attempts_the_newest_ten_are_read(void **state) {
    struct buf text = {0};
    (void)state;
    buf_puts(&text, "{'v':1," NEEDED ",'attempts':[");
    for (int i = 1; i <= 30; i++)
        buf_printf(&text, "%s{'attempt':%d,'status':500}", i > 1 ? "," : "", i);
    buf_puts(&text, "]}");
    assert_int_equal(read_token(text.data), 0);
    assert_int_equal(token.attempts_count, TOKEN_ATTEMPTS_MAX);
    assert_int_equal(token.attempts[0].attempt, 21);
    assert_int_equal(token.attempts[9].attempt, 30);
    buf_fini(&text);
}

static void test_texts_too_long_are_cut_between_characters(void **state) {
    struct buf text = {0};
    (void)state;
    buf_puts(&text, "{'v':1," NEEDED ",'reason':'");
    for (int i = 0; i < 200; i++)
        buf_puts(&text, "\u20ac");
    buf_puts(&text, "'}");
    assert_int_equal(read_token(text.data), 0);
    assert_int_equal(strlen(token.reason), TOKEN_REASON_BYTES - 1);
    assert_int_equal((TOKEN_REASON_BYTES - 1) % 3, 0);
    buf_fini(&text);
    buf_puts(&text, "{'v':1," NEEDED ",'attempts':[{'error':'");
    for (int i = 0; i < 200; i++)
        buf_puts(&text, "\u20ac");
    buf_puts(&text, "'}]}");
    assert_int_equal(read_token(text.data), 0);
    assert_int_equal(strlen(token.attempts[0].error), 126); /* 127 would end within one */
    buf_fini(&text);
}

static void test_the_hash_of_an_id_is_fnv_1a_and_never_zero(void **state) {
    (void)state;
    assert_true(token_id_hash(span_of("")) == 0xcbf29ce484222325);
    assert_true(token_id_hash(span_of("a")) == 0xaf63dc4c8601ec8c);
    assert_true(token_id_hash(span_of("foobar")) == 0x85944171f73967e8);
    /* the one text of 8 bytes of this form whose FNV-1a is 0 */
    assert_true(token_id_hash((struct span){"\xd5\x6b\xb9\x53\x42\x87\x08\x36", 8}) == 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_token_is_read_as_it_was_written),
        cmocka_unit_test(test_settled_ranges_and_jobs_come_back),
        cmocka_unit_test(test_of_settled_ranges_only_ascending_ones_above_the_position_count),
        cmocka_unit_test(test_a_job_that_cannot_be_makes_the_token_unreadable),
        cmocka_unit_test(test_every_state_has_its_name_and_comes_back),
        cmocka_unit_test(test_a_hash_keeps_all_its_64_bits),
        cmocka_unit_test(test_members_that_are_not_known_are_ignored_at_any_place_and_depth),
        cmocka_unit_test(test_members_that_are_missing_have_their_defaults),
        cmocka_unit_test(test_members_of_another_type_count_as_missing),
        cmocka_unit_test(test_a_newer_version_is_told_apart),
        cmocka_unit_test(test_what_is_not_a_token_is_refused_and_not_called_newer),
        cmocka_unit_test(test_only_the_newest_ten_attempts_are_kept_oldest_first),
        cmocka_unit_test(test_of_a_record_with_more_attempts_the_newest_ten_are_read),
        cmocka_unit_test(test_texts_too_long_are_cut_between_characters),
        cmocka_unit_test(test_the_hash_of_an_id_is_fnv_1a_and_never_zero),
    };
    return cmocka_run_group_tests(tests, NULL, free_token);
}
