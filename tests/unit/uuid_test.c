/* UUIDs: their form, and that later ones sort after earlier ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/crypto/uuid.h"

static void test_a_uuid_v7_is_its_time_and_the_random_bytes(void **state) {
    static const unsigned char zeros[10] = {0},
                               ones[10] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    char text[37], later[37];
    (void)state;
    uuid_v7(0x017f22e279b0,
            (const unsigned char[]){0xcc, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f},
            text); /* RFC 9562, A.6 */
    assert_string_equal(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
    uuid_v7(1715090591123, ones, text);
    uuid_v7(1715090591124, zeros, later);
    assert_true(strcmp(text, later) < 0);
    assert_string_equal(text + 13, "-7fff-bfff-ffffffffffff");
    assert_string_equal(later + 13, "-7000-8000-000000000000");
}

static void test_each_uuid_v4_is_another(void **state) {
    char one[37], two[37];
    (void)state;
    uuid_v4(one);
    uuid_v4(two);
    assert_string_not_equal(one, two);
    assert_int_equal(strspn(one, "0123456789abcdef-"), 36);
    assert_int_equal(one[14], '4');
    assert_non_null(strchr("89ab", one[19]));
}

static void test_what_is_no_uuid_is_told(void **state) {
    static const char *const bad[] = {"",
                                      "0190b6a0-0000-4000-8000-00000000000",
                                      "0190b6a0-0000-4000-8000-0000000000011",
                                      "0190b6a000000-4000-8000-000000000001",
                                      "0190B6A0-0000-4000-8000-000000000001",
                                      "0190b6a0-0000-4000-8000-00000000000\"",
                                      "------------------------------------"};
    char made[37];
    (void)state;
    uuid_v4(made);
    assert_true(uuid_check(made));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(uuid_check(bad[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_uuid_v7_is_its_time_and_the_random_bytes),
        cmocka_unit_test(test_each_uuid_v4_is_another),
        cmocka_unit_test(test_what_is_no_uuid_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
