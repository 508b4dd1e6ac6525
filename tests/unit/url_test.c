/* Which URLs may be registered: https, without credentials or fragment, and without a non-public
 * literal address in any spelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/net/url.h"

static struct error err;
static struct cidr allowed[3];
static size_t allowed_count;

/* Each URL of a NULL-terminated list is accepted, or refused with the reason. */
static void each_taken(const char *const *urls) {
    for (; *urls; urls++)
        if (url_check("url", *urls, allowed, allowed_count, &err))
            fail_msg("%s: %s", *urls, err.message);
}
static void each_refused(const char *const *urls, const char *reason) {
    for (; *urls; urls++) {
        if (url_check("url", *urls, allowed, allowed_count, &err) == 0)
            fail_msg("taken: %s", *urls);
        assert_string_equal(err.field, "url");
        if (!strstr(err.message, reason))
            fail_msg("%s: %s", *urls, err.message);
        if (strstr(err.message, "pl4nted"))
            fail_msg("%s", err.message);
    }
}
#define VALUES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_only_https_urls_are_taken(void **state) {
    (void)state;
    each_taken(VALUES("https://vendor.com/hook", "https://vendor.com", "HTTPS://Vendor.COM/",
                      "https://vendor.com:8443/a/b?c=d&e=%20", "https://a_b-c.vendor.com./",
                      "https://xn--mnchen-3ya.de/", "https://8.8.8.8/",
                      "https://[2606:4700::1111]:443/"));
    each_refused(VALUES("http://vendor.com/hook", "HTTP://vendor.com", "ftp://vendor.com/",
                        "file:///etc/passwd", "gopher://vendor.com/", "vendor.com/hook",
                        "//vendor.com/", "https:vendor.com", "https:/vendor.com/",
                        "httpss://vendor.com/", "javascript:alert(1)", "/hook"),
                 "must begin with https://");
    each_refused(
        VALUES("https://", "https:///", "https:///vendor.com/hook", "https://?a", "https://:443/"),
        "");
}

static void test_credentials_and_fragments_in_a_url_are_refused(void **state) {
    (void)state;
    each_refused(VALUES("https://user@vendor.com/", "https://user:pass@vendor.com/",
                        "https://:pass@vendor.com/", "https://@vendor.com/",
                        "https://:@vendor.com/", "https://vendor.com@evil.example/"),
                 "credentials");
    each_refused(VALUES("https://vendor.com/#a", "https://vendor.com/hook#",
                        "https://vendor.com/?a#b", "https://vendor.com#"),
                 "fragment");
}

static void test_odd_characters_and_ports_in_a_url_are_refused(void **state) {
    (void)state;
    each_refused(VALUES("https://vendor.com/a b", " https://vendor.com/", "https://vendor.com/ ",
                        "https://vendor.com/\n", "https://vendor.com/\t", "https://vendor.com/\x7f",
                        "https://vendor.com/\x01", "https://vendor.com/\u00e9",
                        "https://\uff11\uff12\uff17.0.0.1/",
                        "https://vendor.com\\\\@evil.example/"),
                 "printable ASCII");
    each_refused(VALUES("https://%EF%BC%91%EF%BC%92%EF%BC%97.0.0.1/", "https://vendor%E3%80%82com/",
                        "https://a,b/", "https://a%00b/", "https://a%2fb/", "https://[::1/",
                        "https://[v1.a]/", "https://vendor.com:0/", "https://vendor.com:65536/",
                        "https://vendor.com:443x/", "https://vendor.com:443:443/"),
                 "");
}

static void test_a_literal_address_that_is_not_public_is_refused_in_every_spelling(void **state) {
    (void)state;
    each_refused(VALUES("https://127.0.0.1/", "https://127.1/", "https://2130706433/",
                        "https://0x7f000001/", "https://0x7f.1/", "https://017700000001/",
                        "https://0177.0.0.01/", "https://127.0.0.1./", "https://0177.1./",
                        "https://%31%32%37.0.0.1/", "https://127%2e0%2E0.1/", "https://0/",
                        "https://10.1.2.3:8443/", "https://172.16.0.1/", "https://192.168.0.1/",
                        "https://169.254.169.254/latest/meta-data", "https://100.64.0.1/",
                        "https://224.0.0.1/", "https://255.255.255.255/"),
                 "is not a public address");
    each_refused(VALUES("https://[::1]/", "https://[0:0:0:0:0:0:0:1]:443/", "https://[::]/",
                        "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/",
                        "https://[::127.0.0.1]/", "https://[fd00::1]/", "https://[fe80::1]/",
                        "https://[fe80::1%25eth0]/", "https://[64:ff9b::10.0.0.1]/",
                        "https://[64:ff9b:1::8.8.8.8]/", "https://[2002:7f00:1::]/",
                        "https://[2001:0:808:808::80ff:fffe]/", "https://[2001:db8::1]/",
                        "https://[ff02::1]/"),
                 "is not a public address");
}

static void test_localhost_is_refused_in_every_spelling(void **state) {
    (void)state;
    each_refused(VALUES("https://localhost/", "https://LOCALHOST:443/", "https://localhost./",
                        "https://a.localhost/", "https://a.b.LocalHost./", "https://%6cocalhost/"),
                 "is this machine itself");
    each_taken(VALUES("https://mylocalhost/", "https://localhost.example/"));
}

static void test_what_egress_allows_may_be_registered(void **state) {
    (void)state;
    assert_int_equal(cidr_parse("127.0.0.0/8", &allowed[0], &err), 0);
    assert_int_equal(cidr_parse("10.1.0.0/16", &allowed[1], &err), 0);
    assert_int_equal(cidr_parse("fd00::/8", &allowed[2], &err), 0);
    allowed_count = 3;
    each_taken(VALUES("https://127.0.0.1:8443/", "https://0x7f.1/", "https://localhost/",
                      "https://a.localhost./", "https://10.1.2.3/", "https://[fd00::1]/",
                      "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::10.1.0.1]/"));
    each_refused(VALUES("https://10.2.0.1/", "https://[::1]/", "https://[64:ff9b::10.2.0.1]/"),
                 "is not a public address");
    each_refused(VALUES("http://127.0.0.1/"), "must begin with https://");
    allowed_count = 0;
}

static void test_no_refusal_repeats_a_password(void **state) {
    (void)state;
    each_refused(VALUES("https://user:pl4nted@vendor.com/", "https://user:pl4nted@127.0.0.1/",
                        "http://:pl4nted@vendor.com/"),
                 "");
}

static void test_a_server_is_a_host_and_a_port(void **state) {
    (void)state;
    assert_true(url_same_server("https://a.example/x?y", "https://A.example:443/z"));
    assert_false(url_same_server("https://a.example/", "https://b.example/"));
    assert_false(url_same_server("https://a.example/", "https://a.example:8443/"));
    assert_false(url_same_server("https://a.example/", "https://a.example.b.example/"));
}

static void test_a_masked_url_shows_no_value_of_its_query(void **state) {
    static const char *const cases[][2] = {{"https://a/b", "https://a/b"},
                                           {"https://a/b?", "https://a/b?"},
                                           {"https://a?k=v", "https://a?k=***"},
                                           {"https://a/b?k=v=w&t&=x", "https://a/b?k=***&***&=***"},
                                           {"https://a/?k=?&&l=", "https://a/?k=***&&l=***"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = {0};
        url_mask(cases[i][0], &out);
        assert_string_equal(buf_string(&out), cases[i][1]);
        buf_fini(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_https_urls_are_taken),
        cmocka_unit_test(test_credentials_and_fragments_in_a_url_are_refused),
        cmocka_unit_test(test_odd_characters_and_ports_in_a_url_are_refused),
        cmocka_unit_test(test_a_literal_address_that_is_not_public_is_refused_in_every_spelling),
        cmocka_unit_test(test_localhost_is_refused_in_every_spelling),
        cmocka_unit_test(test_what_egress_allows_may_be_registered),
        cmocka_unit_test(test_no_refusal_repeats_a_password),
        cmocka_unit_test(test_a_server_is_a_host_and_a_port),
        cmocka_unit_test(test_a_masked_url_shows_no_value_of_its_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
