/* Requests of foreign web pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/http/origin.h"

static char *names[] = {(char[]){"ess.example"}};

static int check(const char *host, const char *origin, const char *fetch_site) {
    struct error err;
    return origin_check(host, origin, fetch_site, names, 1, "ingest.hosts", &err);
}

static void test_programs_that_say_nothing_of_origins_are_let_in_by_address_and_by_known_name(
    void **state) {
    static const char *const hosts[] = {"127.0.0.1",     "127.0.0.1:8080",  "[::1]:8080",
                                        "localhost",     "localhost:80",    "LOCALHOST.",
                                        "a.localhost",   "ingest:8080",     "10.1.2.3:80",
                                        "[2001:db8::1]", "ess.example:443", "ESS.example."};
    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        assert_int_equal(check(hosts[i], NULL, NULL), 0);
    assert_int_equal(check(NULL, NULL, NULL), 0); /* HTTP/1.0; no browser */
}

static void test_a_name_that_a_page_may_let_point_here_is_refused(void **state) {
    static const char *const hosts[] = {"evil.example",
                                        "evil.example:8080",
                                        "127.0.0.1.evil.example",
                                        "localhost.evil.example",
                                        "ess.example.evil.example",
                                        "evilocalhost.example",
                                        "0x7f.1",
                                        "[evil.example]"};
    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        assert_int_equal(check(hosts[i], NULL, NULL), -1);
}

static void test_a_page_may_call_only_the_server_that_it_came_from(void **state) {
    static const char *const foreign[] = {"https://evil.example",  "null",
                                          "http://127.0.0.1:3000", "http://localhost:8080",
                                          "127.0.0.1:8080",        ""};
    (void)state;
    assert_int_equal(check("127.0.0.1:8080", "http://127.0.0.1:8080", "same-origin"), 0);
    assert_int_equal(check("ess.example", "https://ess.example", NULL), 0);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        assert_int_equal(check("127.0.0.1:8080", foreign[i], NULL), -1);
    assert_int_equal(check("evil.example", "http://evil.example", "same-origin"),
                     -1); /* rebinding */
}

static void test_a_cross_site_fetch_is_refused_without_an_origin_too(void **state) {
    (void)state;
    assert_int_equal(check("127.0.0.1:8080", NULL, "cross-site"), -1);
    assert_int_equal(check("127.0.0.1:8080", NULL, "none"), 0); /* typed into the address bar */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_programs_that_say_nothing_of_origins_are_let_in_by_address_and_by_known_name),
        cmocka_unit_test(test_a_name_that_a_page_may_let_point_here_is_refused),
        cmocka_unit_test(test_a_page_may_call_only_the_server_that_it_came_from),
        cmocka_unit_test(test_a_cross_site_fetch_is_refused_without_an_origin_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
