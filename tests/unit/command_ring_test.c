/* A subscriber's newest commands: the ring knows the oldest of them once it is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ingest/registry/command_ring.h"

static void test_the_oldest_of_fewer_than_a_hundred_is_none(void **state) {
    struct command_ring ring = {0};
    (void)state;
    assert_int_equal(command_ring_oldest(&ring), -1);
    for (int i = 0; i < COMMAND_RING_SIZE - 1; i++)
        command_ring_note(&ring, 1000 + i);
    assert_int_equal(command_ring_oldest(&ring), -1);
    command_ring_note(&ring, 2000);
    assert_int_equal(command_ring_oldest(&ring), 1000);
    command_ring_fini(&ring);
}

static void test_each_further_one_takes_the_place_of_the_oldest(void **state) {
    struct command_ring ring = {0};
    (void)state;
    for (int i = 0; i < 3 * COMMAND_RING_SIZE + 7; i++)
        command_ring_note(&ring, i);
    assert_int_equal(command_ring_oldest(&ring), 2 * COMMAND_RING_SIZE + 7);
    command_ring_fini(&ring);
    assert_int_equal(command_ring_oldest(&ring), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_oldest_of_fewer_than_a_hundred_is_none),
        cmocka_unit_test(test_each_further_one_takes_the_place_of_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
