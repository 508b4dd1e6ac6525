/* Finding the members for a topic: the trie compared with the rules of patterns, and with
 * pattern_matches(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/container_of.h"
#include "common/model/match.h"
#include "common/model/pattern.h"

enum { MEMBERS = 25, PATTERNS_EACH = 4, PATTERN_BYTES = 64 };

struct party {
    struct match_member member;
    int calls;
};

static uint64_t next_random(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void count_call(void *arg, struct match_member *member) {
    struct party *party = container_of(member, struct party, member);
    party->calls++;
    ++*(int *)arg;
}

/* How many members a topic calls. */
static int calls(struct match *match, const char *topic) {
    int all = 0;
    match_each(match, span_of(topic), count_call, &all);
    return all;
}

/* Few words, so that much matches; some are the beginnings of others. */
static void random_words(uint64_t *seed, int star_percent, char *text, size_t size) {
    static const char *const words[] = {"a", "b", "aa", "ab", "a-b", "A"};
    int segments = 1 + (int)(next_random(seed) % (next_random(seed) % 4 ? 4 : 8));
    size_t len = 0;
    for (int i = 0; i < segments; i++) {
        bool star = (int)(next_random(seed) % 100) < star_percent;
        const char *word = star ? "*" : words[next_random(seed) % (next_random(seed) % 2 ? 2 : 6)];
        len += (size_t)snprintf(text + len, size - len, "%s%s", i ? "." : "", word);
    }
}

static void random_pattern(uint64_t *seed, char *text, size_t size) {
    struct error err;
    random_words(seed, 25, text, size);
    assert_int_equal(pattern_check(span_of(text), &err), 0);
}

static void an_exact_pattern_matches_its_topic_only(void **state) {
    struct match *match = match_new();
    struct party party = {0};
    (void)state;
    assert_int_equal(calls(match, "a"), 0);
    match_add(match, span_of("bill.introduced"), &party.member);
    assert_int_equal(calls(match, "bill.introduced"), 1);
    assert_int_equal(party.calls, 1);
    assert_int_equal(calls(match, "bill"), 0);
    assert_int_equal(calls(match, "bill.introduced.late"), 0);
    assert_int_equal(calls(match, "introduced.bill"), 0);
    assert_int_equal(calls(match, "bill.introduce"), 0);
    assert_int_equal(calls(match, "bill.introducedd"), 0);
    assert_int_equal(calls(match, "Bill.introduced"), 0);
    match_free(match);
}

static void a_star_in_the_middle_is_exactly_one_segment(void **state) {
    struct match *match = match_new();
    struct party party = {0};
    (void)state;
    match_add(match, span_of("a.*.c"), &party.member);
    assert_int_equal(calls(match, "a.b.c"), 1);
    assert_int_equal(calls(match, "a.c.c"), 1);
    assert_int_equal(calls(match, "a.c"), 0);
    assert_int_equal(calls(match, "a.b.b.c"), 0);
    assert_int_equal(calls(match, "a.b.c.d"), 0);
    match_add(match, span_of("*.x"), &party.member);
    assert_int_equal(calls(match, "b.x"), 1);
    assert_int_equal(calls(match, "x"), 0);
    assert_int_equal(calls(match, "b.b.x"), 0);
    match_free(match);
}

static void a_star_at_the_end_is_one_segment_or_more(void **state) {
    struct match *match = match_new();
    struct party party = {0};
    (void)state;
    match_add(match, span_of("a.*"), &party.member);
    assert_int_equal(calls(match, "a"), 0);
    assert_int_equal(calls(match, "a.b"), 1);
    assert_int_equal(calls(match, "a.b.c"), 1);
    assert_int_equal(calls(match, "a.b.c.d.e.f.g.h"), 1);
    assert_int_equal(calls(match, "ab.c"), 0);
    match_remove(match, span_of("a.*"), &party.member);
    match_add(match, span_of("*.*"), &party.member);
    assert_int_equal(calls(match, "a"), 0);
    assert_int_equal(calls(match, "a.b"), 1);
    assert_int_equal(calls(match, "a.b.c"), 1);
    match_free(match);
}

static void a_star_alone_matches_everything(void **state) {
    struct match *match = match_new();
    struct party party = {0};
    (void)state;
    match_add(match, span_of("*"), &party.member);
    assert_int_equal(calls(match, "a"), 1);
    assert_int_equal(calls(match, "a.b.c.d.e.f.g.h"), 1);
    match_free(match);
}

/* Topics come as parts of longer texts. */
static void a_topic_ends_where_its_span_does(void **state) {
    struct match *match = match_new();
    struct party party = {0};
    int all = 0;
    (void)state;
    match_add(match, (struct span){"a.bcd", 3}, &party.member);
    match_each(match, (struct span){"a.b.c", 3}, count_call, &all);
    assert_int_equal(all, 1);
    assert_int_equal(calls(match, "a.bcd"), 0);
    match_remove(match, (struct span){"a.b\"}", 3}, &party.member);
    assert_int_equal(calls(match, "a.b"), 0);
    match_free(match);
}

static void two_patterns_of_one_member_call_it_once(void **state) {
    static const char *const patterns[] = {"*", "a.*", "a.b", "*.b", "*.*", "a.b"};
    struct match *match = match_new();
    struct party party = {0}, other = {0};
    (void)state;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        match_add(match, span_of(patterns[i]), &party.member);
    match_add(match, span_of("a.b"), &other.member);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(calls(match, "a.b"), 2);
        assert_int_equal(party.calls, i);
        assert_int_equal(other.calls, i);
    }
    match_free(match);
}

static void a_pattern_added_twice_is_gone_when_it_is_removed_once(void **state) {
    struct match *match = match_new();
    struct party party = {0};
    (void)state;
    match_add(match, span_of("a.*"), &party.member);
    match_add(match, span_of("a.*"), &party.member);
    assert_int_equal(calls(match, "a.b"), 1);
    match_remove(match, span_of("a.*"), &party.member);
    assert_int_equal(calls(match, "a.b"), 0);
    match_free(match);
}

static void removal_takes_one_pattern_of_one_member(void **state) {
    struct match *match = match_new();
    struct party one = {0}, two = {0};
    (void)state;
    match_add(match, span_of("a.b"), &one.member);
    match_add(match, span_of("a.b.c"), &one.member);
    match_add(match, span_of("a.b"), &two.member);
    match_add(match, span_of("a.*"), &two.member);
    match_remove(match, span_of("a.b"), &one.member);
    assert_int_equal(calls(match, "a.b"), 1);
    assert_int_equal(two.calls, 1);
    assert_int_equal(calls(match, "a.b.c"), 2);
    match_remove(match, span_of("a.b"), &two.member);
    assert_int_equal(calls(match, "a.b"), 1); /* by a.* */
    match_remove(match, span_of("a.*"), &two.member);
    assert_int_equal(calls(match, "a.b"), 0);
    assert_int_equal(calls(match, "a.b.c"), 1); /* the branch below a.b stands */
    assert_int_equal(one.calls, 2);
    match_free(match);
}

static void removing_a_thousand_patterns_leaves_no_trace(void **state) {
    static char patterns[1000][PATTERN_BYTES];
    static struct party parties[1000];
    struct match *match = match_new();
    uint64_t seed = 0x1ea7;
    char topic[PATTERN_BYTES];
    int found = 0;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        random_pattern(&seed, patterns[i], sizeof patterns[i]);
        match_add(match, span_of(patterns[i]), &parties[i % 300].member);
    }
    for (int i = 0; i < 1000; i++) {
        random_words(&seed, 0, topic, sizeof topic);
        found += calls(match, topic);
    }
    assert_true(found > 1000);
    for (int i = 0; i < 1000; i++) /* in another order than they were added */
        match_remove(match, span_of(patterns[i * 617 % 1000]),
                     &parties[i * 617 % 1000 % 300].member);
    for (int i = 0; i < 1000; i++) {
        random_words(&seed, 0, topic, sizeof topic);
        assert_int_equal(calls(match, topic), 0);
    }
    match_free(match);
}

struct crowd {
    struct party parties[MEMBERS];
    char patterns[MEMBERS][PATTERNS_EACH][PATTERN_BYTES]; /* "": none in this place */
};

/* Every member is called once when one of its patterns matches, else not at all. Returns how many
 * were. */
static int check_topic(struct match *match, struct crowd *crowd, const char *topic) {
    int all = 0, expected_all = 0;
    for (int i = 0; i < MEMBERS; i++)
        crowd->parties[i].calls = 0;
    match_each(match, span_of(topic), count_call, &all);
    for (int i = 0; i < MEMBERS; i++) {
        int expected = 0;
        for (int k = 0; k < PATTERNS_EACH; k++)
            if (crowd->patterns[i][k][0] &&
                pattern_matches(span_of(crowd->patterns[i][k]), span_of(topic)))
                expected = 1;
        if (crowd->parties[i].calls != expected)
            fail_msg("member %d called %d times for %s, not %d; patterns [%s] [%s] [%s] [%s]", i,
                     crowd->parties[i].calls, topic, expected, crowd->patterns[i][0],
                     crowd->patterns[i][1], crowd->patterns[i][2], crowd->patterns[i][3]);
        expected_all += expected;
    }
    assert_int_equal(all, expected_all);
    return all;
}

static bool has_twin(const struct crowd *crowd, int i, int k) {
    for (int other = 0; other < PATTERNS_EACH; other++)
        if (other != k && strcmp(crowd->patterns[i][other], crowd->patterns[i][k]) == 0)
            return true;
    return false;
}

/* Fills the place if it is empty, otherwise empties it. A pattern in two places counts once, and
 * goes with the last of them. */
static void change_one(struct match *match, struct crowd *crowd, uint64_t *seed) {
    int i = (int)(next_random(seed) % MEMBERS), k = (int)(next_random(seed) % PATTERNS_EACH);
    char *pattern = crowd->patterns[i][k];
    if (!*pattern) {
        random_pattern(seed, pattern, PATTERN_BYTES);
        match_add(match, span_of(pattern), &crowd->parties[i].member);
        return;
    }
    if (!has_twin(crowd, i, k))
        match_remove(match, span_of(pattern), &crowd->parties[i].member);
    *pattern = '\0';
}

static void the_trie_agrees_with_pattern_matches_over_random_changes(void **state) {
    static struct crowd crowd;
    struct match *match = match_new();
    uint64_t seed = 0xc0ffee;
    int64_t called = 0, topics = 0;
    char topic[PATTERN_BYTES];
    (void)state;
    for (int change = 0; change < 3000; change++) {
        change_one(match, &crowd, &seed);
        for (int i = 0; i < 10; i++, topics++) {
            random_words(&seed, 0, topic, sizeof topic);
            called += check_topic(match, &crowd, topic);
        }
    }
    assert_true(called > topics); /* the comparison covered matches */
    assert_true(called < topics * MEMBERS / 2);
    match_free(match);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exact_pattern_matches_its_topic_only),
        cmocka_unit_test(a_star_in_the_middle_is_exactly_one_segment),
        cmocka_unit_test(a_star_at_the_end_is_one_segment_or_more),
        cmocka_unit_test(a_star_alone_matches_everything),
        cmocka_unit_test(a_topic_ends_where_its_span_does),
        cmocka_unit_test(two_patterns_of_one_member_call_it_once),
        cmocka_unit_test(a_pattern_added_twice_is_gone_when_it_is_removed_once),
        cmocka_unit_test(removal_takes_one_pattern_of_one_member),
        cmocka_unit_test(removing_a_thousand_patterns_leaves_no_trace),
        cmocka_unit_test(the_trie_agrees_with_pattern_matches_over_random_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
