/* What is called without the proxy: domains with the names below them, and CIDRs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/net/address.h"
#include "common/net/no_proxy.h"

static char *const items[] = {(char[]){"example.com"}, (char[]){".inner.test"},
                              (char[]){"10.1.0.0/16"}, (char[]){"192.0.2.7"},
                              (char[]){"fd00::/8"},    (char[]){"absolute.test."}};
enum { ITEMS = sizeof items / sizeof *items };

static void a_domain_stands_for_itself_and_the_names_below(void **state) {
    static const char *const in[] = {"example.com",   "EXAMPLE.com",    "a.example.com",
                                     "example.com.",  "x.inner.test",   "inner.test",
                                     "absolute.test", "a.absolute.test"};
    static const char *const out[] = {
        "com", "notexample.com", "example.com.org", "example", "10.1.2.3", "test", ""};
    (void)state;
    for (size_t i = 0; i < sizeof in / sizeof *in; i++)
        assert_true(no_proxy_has_host(items, ITEMS, in[i]));
    for (size_t i = 0; i < sizeof out / sizeof *out; i++)
        assert_false(no_proxy_has_host(items, ITEMS, out[i]));
}

static bool has(const char *text) {
    struct sockaddr_storage address;
    assert_true(address_from_literal(text, &address));
    return no_proxy_has_address(items, ITEMS, (struct sockaddr *)&address);
}

static void a_range_stands_for_its_addresses(void **state) {
    (void)state;
    assert_true(has("10.1.255.255") && has("192.0.2.7") && has("[fd12::1]"));
    assert_false(has("10.2.0.0") || has("192.0.2.8") || has("[2001:db8::1]"));
    assert_true(has("[::ffff:10.1.2.3]"));
}

static void an_item_is_one_or_the_other(void **state) {
    static const char *const good[] = {"example.com", ".a",      "a-b_c.d", "10.0.0.0/8",
                                       "::1",         "1.2.3.4", "host1"};
    static const char *const bad[] = {
        "*", "*.example.com", "example.com:443", "10.0.0.0/33", "1.2.3",
        ".", "exa mple.com",  "http://x",        "x/16",        "\xc3\xb6.test"};
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(no_proxy_check(good[i], &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(no_proxy_check(bad[i], &err), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_domain_stands_for_itself_and_the_names_below),
        cmocka_unit_test(a_range_stands_for_its_addresses),
        cmocka_unit_test(an_item_is_one_or_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
