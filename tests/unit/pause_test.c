/* How long to wait before trying again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/pause.h"

static void the_first_time_does_not_wait_and_each_one_after_it_waits_longer(void **state) {
    (void)state;
    struct pause pause = {0};
    int64_t now_ms = 1000000;
    static const int64_t pauses[] = {0, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000};
    for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++) {
        int64_t until_ms = pause_until(&pause, now_ms);
        assert_int_equal(until_ms - now_ms, pauses[i]);
        now_ms = until_ms + 10;
    }
}

static void a_quiet_minute_forgets_it(void **state) {
    (void)state;
    struct pause pause = {0};
    pause_until(&pause, 1000);
    assert_int_equal(pause_until(&pause, 1010), 1510);
    assert_int_equal(pause_until(&pause, 61600), 61600);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_time_does_not_wait_and_each_one_after_it_waits_longer),
        cmocka_unit_test(a_quiet_minute_forgets_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
