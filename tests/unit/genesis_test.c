/* The content of the log's first record besides its key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/feed/genesis.h"

static int32_t partitions_in(const char *value) { return genesis_partitions(span_of(value)); }

static void the_number_of_partitions_is_the_records_own(void **state) {
    (void)state;
    assert_int_equal(
        partitions_in(
            "{\"v\":1,\"feed\":\"5a0f2f7e-0000-4000-8000-000000000000\",\"partitions\":3}"),
        3);
    assert_int_equal(
        partitions_in(
            "{\"v\":1,\"partitions\":1024,\"feed\":\"5a0f2f7e-0000-4000-8000-000000000000\"}"),
        1024);
}

static void a_record_without_a_number_was_written_when_it_was_64(void **state) {
    (void)state;
    assert_int_equal(partitions_in("{\"v\":1,\"feed\":\"5a0f2f7e-0000-4000-8000-000000000000\"}"),
                     64);
    assert_int_equal(partitions_in(""), 64);
    assert_int_equal(genesis_partitions((struct span){NULL, 0}), 64);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_number_of_partitions_is_the_records_own),
        cmocka_unit_test(a_record_without_a_number_was_written_when_it_was_64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
