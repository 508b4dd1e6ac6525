/* Faults of this machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/resource.h>

#include "dispatcher/channel/machine.h"
#include "tests/unit/net_fixture.h"

static void each_shortage_has_its_errno_and_an_endpoints_trouble_has_none(void **state) {
    (void)state;
    assert_int_equal(machine_fault_of(EMFILE), FAULT_DESCRIPTORS);
    assert_int_equal(machine_fault_of(ENFILE), FAULT_DESCRIPTORS);
    assert_int_equal(machine_fault_of(ENOBUFS), FAULT_MEMORY);
    assert_int_equal(machine_fault_of(EADDRNOTAVAIL), FAULT_PORTS);
    assert_int_equal(machine_fault_of(ECONNREFUSED), FAULT_NONE);
    assert_int_equal(machine_fault_of(EHOSTUNREACH), FAULT_NONE);
    assert_int_equal(machine_fault_of(ETIMEDOUT), FAULT_NONE);
}

static void a_process_without_descriptors_says_so(void **state) {
    struct rlimit before, none;
    (void)state;
    assert_int_equal(machine_fault(), FAULT_NONE);
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    enum fault_kind fault = machine_fault();
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(fault, FAULT_DESCRIPTORS);
}

static void an_empty_network_has_no_route(void **state) {
    (void)state;
    if (!enter_empty_network(true))
        skip();
    assert_false(machine_has_route());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_shortage_has_its_errno_and_an_endpoints_trouble_has_none),
        cmocka_unit_test(a_process_without_descriptors_says_so),
        cmocka_unit_test(an_empty_network_has_no_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
