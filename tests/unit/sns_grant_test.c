/* Which topics clients may publish to with the dispatcher's own credentials. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/model/sns_grant.h"
#include "common/model/sns_target.h"

static void an_item_is_an_account_or_an_arn(void **state) {
    static const char *const good[] = {"123456789012", "arn:aws:sns:us-east-1:123456789012:t",
                                       "arn:aws:sns:us-east-1:123456789012:ess-*", "arn:*"};
    static const char *const bad[] = {"*",
                                      "",
                                      "12345678901",
                                      "1234567890123",
                                      "12345678901x",
                                      "sns:t",
                                      "arn:aws:sns:*:123456789012:t"};
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(sns_grant_check(good[i], &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(sns_grant_check(bad[i], &err), -1);
}

static void it_covers_its_topics_at_awss_own_endpoint(void **state) {
    struct sns_target target = {.topic_arn = (char[]){"arn:aws:sns:us-east-1:123456789012:ess-a"},
                                .account = "123456789012"};
    (void)state;
    assert_true(sns_grant_covers("123456789012", &target));
    assert_true(sns_grant_covers("arn:aws:sns:us-east-1:123456789012:ess-a", &target));
    assert_true(sns_grant_covers("arn:aws:sns:us-east-1:123456789012:ess-*", &target));
    assert_false(sns_grant_covers("123456789013", &target));
    assert_false(sns_grant_covers("arn:aws:sns:us-east-1:123456789012:ess-", &target));
    assert_false(sns_grant_covers("arn:aws:sns:us-east-1:123456789012:ess-ab*", &target));
    target.endpoint = (char[]){"https://elsewhere.example"};
    assert_false(sns_grant_covers("123456789012", &target));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_item_is_an_account_or_an_arn),
        cmocka_unit_test(it_covers_its_topics_at_awss_own_endpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
