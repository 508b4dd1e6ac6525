/* Sizes as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/size.h"

static void a_size_is_read_and_written_in_its_largest_unit(void **state) {
    static const struct {
        const char *text, *written;
        int64_t bytes;
    } cases[] = {{"0", "0", 0},
                 {"65536", "64KiB", 65536},
                 {"1 MiB", "1MiB", 1 << 20},
                 {"3gib", "3GiB", INT64_C(3) << 30},
                 {"1025B", "1025", 1025}};
    char text[SIZE_TEXT_BYTES];
    int64_t bytes;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(size_parse(cases[i].text, &bytes), 0);
        assert_int_equal(bytes, cases[i].bytes);
        size_format(bytes, text);
        assert_string_equal(text, cases[i].written);
    }
}

static void what_is_no_size_is_refused(void **state) {
    static const char *const texts[] = {"", "-1", "1TiB", "KiB", "1.5MiB", "9999999999999GiB"};
    int64_t bytes;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(size_parse(texts[i], &bytes), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_size_is_read_and_written_in_its_largest_unit),
        cmocka_unit_test(what_is_no_size_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
