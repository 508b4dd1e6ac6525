/* Which addresses may be called: the edges of every range that is not public, IPv6 addresses with
 * an IPv4 address embedded, every spelling of a literal, and what the operator allows. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/net/address.h"

static struct sockaddr_storage address_of(const char *text) {
    struct sockaddr_storage storage = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&storage;
    if (inet_pton(AF_INET, text, &in->sin_addr) == 1)
        storage.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1)
        storage.ss_family = AF_INET6;
    else
        fail_msg("%s is no address", text);
    return storage;
}

/* Whether `text` may be called. The operator allows these ranges, NULL-terminated. */
static bool may_call(const char *text, const char *const *ranges) {
    struct sockaddr_storage address = address_of(text);
    struct cidr allowed[8];
    struct error err;
    size_t count = 0;
    for (; ranges && ranges[count]; count++)
        assert_int_equal(cidr_parse(ranges[count], &allowed[count], &err), 0);
    return address_allowed((struct sockaddr *)&address, allowed, count);
}
#define ALLOW(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_public_addresses_may_be_called(void **state) {
    static const char *const public[] = {
        "1.1.1.1",         "8.8.8.8",           "93.184.216.34",
        "2606:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888",
        "2400::1",         "3ffe::1",           "2001:200::1"};
    (void)state;
    for (size_t i = 0; i < sizeof public / sizeof *public; i++)
        if (!may_call(public[i], NULL))
            fail_msg("%s", public[i]);
}

/* The first and last address of each range; "" where the address before or after the range is not
 * public either. */
static const struct {
    const char *before, *first, *last, *behind;
} ranges[] = {
    {"", "0.0.0.0", "0.255.255.255", "1.0.0.0"},
    {"9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
    {"100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"},
    {"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"},
    {"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"},
    {"172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"},
    {"191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"},
    {"192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"},
    {"192.31.195.255", "192.31.196.0", "192.31.196.255", "192.31.197.0"},
    {"192.52.192.255", "192.52.193.0", "192.52.193.255", "192.52.194.0"},
    {"192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"},
    {"192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"},
    {"192.175.47.255", "192.175.48.0", "192.175.48.255", "192.175.49.0"},
    {"198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"},
    {"198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"},
    {"203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"},
    {"223.255.255.255", "224.0.0.0", "239.255.255.255", ""},
    {"", "240.0.0.0", "255.255.255.255", ""},
    {"", "::", "::ffff", ""},
    {"", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", ""},
    {"", "100::", "100::ffff:ffff:ffff:ffff", ""},
    {"", "100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", ""},
    {"", "200::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::"},
    {"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
     "2001:200::"},
    {"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
     "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"},
    {"2620:4f:7fff:ffff:ffff:ffff:ffff:ffff",
     "2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", "2620:4f:8001::"},
    {"3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
     "3fff:1000::"},
    {"3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "4000::", "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
     ""},
    {"", "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""},
    {"", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""},
    {"", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""},
    {"", "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""},
    {"", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""},
};
enum { RANGES = sizeof ranges / sizeof *ranges };

static void test_the_edges_of_every_special_range_are_refused_and_their_public_neighbours_are_not(
    void **state) {
    (void)state;
    for (size_t i = 0; i < RANGES; i++) {
        if (may_call(ranges[i].first, NULL) || may_call(ranges[i].last, NULL))
            fail_msg("%s to %s", ranges[i].first, ranges[i].last);
        if (*ranges[i].before && !may_call(ranges[i].before, NULL))
            fail_msg("%s", ranges[i].before);
        if (*ranges[i].behind && !may_call(ranges[i].behind, NULL))
            fail_msg("%s", ranges[i].behind);
    }
}

/* How an IPv6 address embeds an IPv4 address: mapped, NAT64, 6to4, compatible, Teredo client and
 * Teredo server. */
static void carry(const char *ipv4, char out[6][INET6_ADDRSTRLEN + 8]) {
    unsigned char b[4];
    assert_int_equal(inet_pton(AF_INET, ipv4, b), 1);
    snprintf(out[0], INET6_ADDRSTRLEN, "::ffff:%s", ipv4);
    snprintf(out[1], INET6_ADDRSTRLEN, "64:ff9b::%s", ipv4);
    snprintf(out[2], INET6_ADDRSTRLEN, "2002:%02x%02x:%02x%02x::1", b[0], b[1], b[2], b[3]);
    snprintf(out[3], INET6_ADDRSTRLEN, "::%s", ipv4);
    snprintf(out[4], INET6_ADDRSTRLEN, "2001:0:808:808:0:0:%02x%02x:%02x%02x", b[0] ^ 255,
             b[1] ^ 255, b[2] ^ 255, b[3] ^ 255);
    snprintf(out[5], INET6_ADDRSTRLEN, "2001:0:%02x%02x:%02x%02x::f7f7:f7f7", b[0], b[1], b[2],
             b[3]);
}

static void test_an_ipv6_address_that_carries_a_special_ipv4_one_is_refused(void **state) {
    char carried[6][INET6_ADDRSTRLEN + 8];
    (void)state;
    for (size_t i = 0; i < RANGES; i++) {
        for (int edge = 0; edge < 2; edge++) {
            const char *ipv4 = edge ? ranges[i].last : ranges[i].first;
            if (strchr(ipv4, ':'))
                continue;
            carry(ipv4, carried);
            for (int c = 0; c < 6; c++)
                if (may_call(carried[c], NULL))
                    fail_msg("%s", carried[c]);
        }
    }
}

static void test_an_ipv6_address_that_carries_a_public_ipv4_one_may_be_called_by_nat64_or_6to4(
    void **state) {
    char carried[6][INET6_ADDRSTRLEN + 8];
    (void)state;
    carry("8.8.8.8", carried);
    for (int c = 0; c < 3; c++)
        assert_true(may_call(carried[c], NULL));
    for (int c = 3; c < 6; c++) /* compatible and Teredo addresses are never allowed */
        assert_false(may_call(carried[c], NULL));
}

/* --- what the operator allows */

static void test_an_allowed_range_opens_what_is_in_it_and_nothing_else(void **state) {
    (void)state;
    assert_true(may_call("127.0.0.1", ALLOW("127.0.0.0/8")));
    assert_true(may_call("127.0.0.1", ALLOW("127.0.0.1")));
    assert_false(may_call("127.0.0.2", ALLOW("127.0.0.1")));
    assert_false(may_call("10.0.0.1", ALLOW("127.0.0.0/8", "192.168.0.0/16")));
    assert_true(may_call("192.168.1.1", ALLOW("127.0.0.0/8", "192.168.0.0/16")));
    assert_true(may_call("10.1.255.255", ALLOW("10.1.0.0/16")));
    assert_false(may_call("10.2.0.0", ALLOW("10.1.0.0/16")));
    assert_true(may_call("172.17.128.0", ALLOW("172.17.128.0/17")));
    assert_false(may_call("172.17.127.255", ALLOW("172.17.128.0/17")));
    assert_true(may_call("8.8.8.8", ALLOW("127.0.0.0/8")));
    assert_true(may_call("::1", ALLOW("::1")));
    assert_false(may_call("::1", ALLOW("127.0.0.0/8")));
    assert_false(may_call("127.0.0.1", ALLOW("::1")));
    assert_true(may_call("fd00::1", ALLOW("fd00::/8")));
    assert_false(may_call("fc00::1", ALLOW("fd00::/8")));
    assert_true(may_call("10.0.0.1", ALLOW("0.0.0.0/0")));
    assert_false(may_call("::1", ALLOW("0.0.0.0/0")));
    assert_true(may_call("::1", ALLOW("::/0")));
    assert_true(may_call("fe80::1", ALLOW("fe80::/10")));
}

static void test_a_carried_address_needs_to_be_allowed_itself(void **state) {
    char carried[6][INET6_ADDRSTRLEN + 8];
    (void)state;
    carry("10.0.0.1", carried);
    for (int c = 0; c < 3; c++)
        assert_true(may_call(carried[c], ALLOW("10.0.0.0/8")));
    assert_false(may_call(carried[1], ALLOW("64:ff9b::/96")));
    assert_false(may_call(carried[2], ALLOW("2002::/16")));
    assert_false(may_call(carried[4], ALLOW("2001::/32")));
    assert_false(may_call(carried[5], ALLOW("2001::/32")));
    assert_true(may_call(carried[4], ALLOW("2001::/32", "10.0.0.0/8")));
}

static void test_a_range_is_an_address_with_bits_and_what_else_is_refused_by_name(void **state) {
    static const char *const bad[] = {
        "",
        "/",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/8x",
        "10.0.0.0/8/8",
        "10.0.0.0/ 8",
        "10.0.0/8",
        "10/8",
        "10.0.0.256/8",
        "fd00::/129",
        "fd00::/99999999999999999999",
        "fd00:::/8",
        "localhost",
        "10.0.0.0 /8",
        "0x0a.0.0.0/8",
        "[::1]",
        "fe80::1%eth0",
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/8",
    };
    struct cidr cidr;
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (cidr_parse(bad[i], &cidr, &err) == 0)
            fail_msg("%s", bad[i]);
        assert_non_null(strstr(err.message, bad[i]));
    }
    assert_int_equal(cidr_parse("10.0.0.0/0", &cidr, &err), 0);
    assert_int_equal(cidr.bits, 96);
    assert_int_equal(cidr_parse("10.0.0.0/32", &cidr, &err), 0);
    assert_int_equal(cidr.bits, 128);
    assert_int_equal(cidr_parse("::/0", &cidr, &err), 0);
    assert_int_equal(cidr.bits, 0);
}

static void test_an_address_of_another_family_is_refused(void **state) {
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    const struct cidr everywhere = {.bits = 0};
    (void)state;
    assert_false(address_allowed((struct sockaddr *)&address, &everywhere, 1));
}

/* --- literals */

static void test_every_spelling_of_an_address_is_a_literal(void **state) {
    static const struct {
        const char *host, *address;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1"},
        {"127.1", "127.0.0.1"},
        {"127.0.1", "127.0.0.1"},
        {"2130706433", "127.0.0.1"},
        {"0x7f000001", "127.0.0.1"},
        {"0X7F000001", "127.0.0.1"},
        {"0x7f.1", "127.0.0.1"},
        {"0x7f.0x0.0x0.0x1", "127.0.0.1"},
        {"017700000001", "127.0.0.1"},
        {"0177.0.0.1", "127.0.0.1"},
        {"0177.0.0.01", "127.0.0.1"},
        {"127.0.0.1.", "127.0.0.1"},
        {"0177.1.", "127.0.0.1"},
        {"0", "0.0.0.0"},
        {"00", "0.0.0.0"},
        {"0.", "0.0.0.0"},
        {"0x0", "0.0.0.0"},
        {"10.65535", "10.0.255.255"},
        {"0xffffffff", "255.255.255.255"},
        {"192.0x00A80001", "192.168.0.1"},
        {"8.8.8.8", "8.8.8.8"},
        {"::1", "::1"},
        {"[::1]", "::1"},
        {"[0:0:0:0:0:0:0:1]", "::1"},
        {"[::FFFF:127.0.0.1]", "::ffff:127.0.0.1"},
        {"[::ffff:7f00:1]", "::ffff:127.0.0.1"},
        {"[64:ff9b::7f00:1]", "64:ff9b::127.0.0.1"},
        {"[fe80::1%eth0]", "fe80::1"},
        {"fe80::1%25eth0", "fe80::1"},
        {"[127.0.0.1]", "127.0.0.1"},
        {"0000000000000000000000000000000000000000000000000000000000000000000000177.0.0.1",
         "127.0.0.1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sockaddr_storage found, expected = address_of(cases[i].address);
        if (!address_from_literal(cases[i].host, &found))
            fail_msg("%s", cases[i].host);
        assert_memory_equal(&found, &expected, sizeof(struct sockaddr_in6));
    }
}

static void test_names_are_no_literals(void **state) {
    static const char *const names[] = {
        "",
        ".",
        "localhost",
        "localhost.",
        "vendor.com",
        "vendor.com.",
        "1.2.3.4.5",
        "256.1.1.1",
        "127.0.0.256",
        "08.0.0.1",
        "0xg",
        "0x1ffffffff",
        "4294967296",
        "127.0.0.1.nip.io",
        "127.0.0.1..",
        "[]",
        "[::1",
        "::1]",
        "::g",
        "1e1",
        "-1",
        "a.1",
        "1.a",
        "[vendor.com]",
        "127..1",
        ".127.0.0.1",
    };
    struct sockaddr_storage found;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (address_from_literal(names[i], &found))
            fail_msg("%s", names[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public_addresses_may_be_called),
        cmocka_unit_test(
            test_the_edges_of_every_special_range_are_refused_and_their_public_neighbours_are_not),
        cmocka_unit_test(test_an_ipv6_address_that_carries_a_special_ipv4_one_is_refused),
        cmocka_unit_test(
            test_an_ipv6_address_that_carries_a_public_ipv4_one_may_be_called_by_nat64_or_6to4),
        cmocka_unit_test(test_an_allowed_range_opens_what_is_in_it_and_nothing_else),
        cmocka_unit_test(test_a_carried_address_needs_to_be_allowed_itself),
        cmocka_unit_test(test_a_range_is_an_address_with_bits_and_what_else_is_refused_by_name),
        cmocka_unit_test(test_an_address_of_another_family_is_refused),
        cmocka_unit_test(test_every_spelling_of_an_address_is_a_literal),
        cmocka_unit_test(test_names_are_no_literals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
