/* Acknowledgements as records, and which of several counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/model/acknowledgement.h"

#define BORN "0190b6a0-0000-4000-8000-000000000001"
#define BORN_LATER "0190b6a0-0000-4000-8000-000000000002"
#define FEED "0190b6a0-0000-4000-8000-00000000000f"
#define OTHER_FEED "0190b6a0-0000-4000-8000-00000000000e"

static struct acknowledgement of(const char *registration_id, int64_t rewinds, int64_t cursor) {
    struct acknowledgement a = {.rewinds = rewinds, .cursor = cursor};
    memcpy(a.registration_id, registration_id, sizeof a.registration_id);
    memcpy(a.feed, FEED, sizeof a.feed);
    return a;
}

static void an_acknowledgement_is_read_as_it_was_written(void **state) {
    const struct acknowledgement written = of(BORN, 2, 900719925474099312);
    struct acknowledgement read;
    struct buf out = {0};
    struct error err;
    (void)state;
    acknowledgement_to_json(&written, &out);
    assert_string_equal(buf_string(&out), "{\"v\":1,\"born\":\"" BORN "\",\"feed\":\"" FEED
                                          "\",\"rewinds\":2,\"cursor\":900719925474099312}");
    assert_int_equal(acknowledgement_from_json(&read, (struct span){out.data, out.len}, &err), 0);
    assert_false(acknowledgement_differs(&read, &written));
    buf_fini(&out);
}

static void what_is_no_acknowledgement_is_refused_with_the_reason(void **state) {
    static const struct {
        const char *text, *reason;
    } bad[] = {
        {"[]", "not a record"},
        {"{}", "not a record"},
        {"{\"v\":2}", "newer version"},
        {"{\"v\":1,\"feed\":\"" FEED "\",\"rewinds\":0,\"cursor\":1}", "born"},
        {"{\"v\":1,\"born\":\"x\",\"feed\":\"" FEED "\",\"rewinds\":0,\"cursor\":1}", "born"},
        {"{\"v\":1,\"born\":\"" BORN "\",\"rewinds\":0,\"cursor\":1}", "feed"},
        {"{\"v\":1,\"born\":\"" BORN "\",\"feed\":\"" FEED "\",\"cursor\":1}", "rewinds"},
        {"{\"v\":1,\"born\":\"" BORN "\",\"feed\":\"" FEED "\",\"rewinds\":0,\"cursor\":-1}",
         "cursor"},
    };
    struct acknowledgement read;
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (struct error){0};
        assert_int_equal(acknowledgement_from_json(&read, span_of(bad[i].text), &err), -1);
        if (!strstr(err.message, bad[i].reason))
            fail_msg("%s: %s", bad[i].text, err.message);
    }
}

static int64_t position_after(const struct acknowledgement *records, size_t count,
                              int64_t rewinds) {
    struct acknowledgement kept = {0};
    for (size_t i = 0; i < count; i++)
        acknowledgement_take(&kept, &records[i], BORN, FEED);
    return acknowledgement_position(&kept, BORN, rewinds, 3);
}

static void the_highest_acknowledgement_since_the_newest_rewind_counts_in_any_order(void **state) {
    const struct acknowledgement records[] = {of(BORN, 0, 50), of(BORN, 1, 20), of(BORN, 1, 30),
                                              of(BORN_LATER, 7, 70)};
    (void)state;
    for (size_t a = 0; a < 4; a++) {
        for (size_t b = 0; b < 4; b++) {
            for (size_t c = 0; c < 4; c++) {
                size_t d = 6 - a - b - c;
                if (a == b || a == c || b == c || d > 3)
                    continue;
                const struct acknowledgement shuffled[] = {records[a], records[b], records[c],
                                                           records[d]};
                /* in force, the other registration's record never replaces one of this */
                assert_int_equal(position_after(shuffled, 4, 1), 30);
            }
        }
    }
    assert_int_equal(position_after(records, 3, 0), 3); /* the rewind is not in force yet */
    assert_int_equal(position_after(records, 1, 0), 50);
    assert_int_equal(position_after(records, 1, 1), 3); /* the rewind has made it void */
    assert_int_equal(position_after(records, 0, 0), 3);
}

static void an_acknowledgement_below_the_checkpoint_changes_nothing(void **state) {
    struct acknowledgement kept = {0}, read = of(BORN, 0, 2);
    (void)state;
    assert_true(acknowledgement_take(&kept, &read, BORN, FEED));
    assert_int_equal(acknowledgement_position(&kept, BORN, 0, 3), 3);
}

static void one_of_another_log_is_void(void **state) {
    struct acknowledgement kept = {0}, read = of(BORN, 0, 9);
    (void)state;
    assert_false(acknowledgement_take(&kept, &read, BORN, OTHER_FEED));
    assert_int_equal(acknowledgement_position(&kept, BORN, 0, 3), 3);
}

static void one_may_be_read_before_its_subscriber(void **state) {
    struct acknowledgement kept = {0}, read = of(BORN, 0, 9);
    (void)state;
    assert_true(acknowledgement_take(&kept, &read, "", FEED));
    assert_int_equal(acknowledgement_position(&kept, BORN, 0, 3), 9);
    assert_int_equal(acknowledgement_position(&kept, BORN_LATER, 0, 3), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_acknowledgement_is_read_as_it_was_written),
        cmocka_unit_test(what_is_no_acknowledgement_is_refused_with_the_reason),
        cmocka_unit_test(the_highest_acknowledgement_since_the_newest_rewind_counts_in_any_order),
        cmocka_unit_test(an_acknowledgement_below_the_checkpoint_changes_nothing),
        cmocka_unit_test(one_of_another_log_is_void),
        cmocka_unit_test(one_may_be_read_before_its_subscriber),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
