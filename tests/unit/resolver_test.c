/* Names by c-ares, with name servers of the test's own on port 53 of a network namespace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/epoll.h>

#include "dispatcher/resolver.h"
#include "tests/unit/net_fixture.h"

enum { TYPE_A = 1, SERVERS = 2 };

/* 127.53.0.1 and 127.53.0.2; each says 10.0.0.<its number> of every name. */
static struct server {
    struct loop_io io;
    int number, asked, asked_ipv6;
    bool silent, silent_on_ipv6;
} servers[SERVERS];

static struct loop *loop;
static struct resolver *resolver;
static char conf[] = "/tmp/resolver_test_XXXXXX";
static struct resolver_answer found;

static void on_query(void *arg, uint32_t events) {
    struct server *s = arg;
    unsigned char packet[512] = {0};
    struct sockaddr_in peer;
    socklen_t peer_len = sizeof peer;
    ssize_t len = recvfrom(s->io.fd, packet, 256, 0, (struct sockaddr *)&peer, &peer_len);
    (void)events;
    if (len < 17)
        return;
    size_t end = 12;
    while (packet[end])
        end += 1U + packet[end];
    int type = packet[end + 2];
    end += 5;
    s->asked += type == TYPE_A;
    s->asked_ipv6 += type != TYPE_A;
    if (s->silent || (s->silent_on_ipv6 && type != TYPE_A))
        return;
    packet[2] = 0x85, packet[3] = 0x80;
    memset(packet + 6, 0, 6);
    if (type == TYPE_A) {
        const unsigned char record[] = {0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, 1, 0, 4, 10, 0, 0, (unsigned char)s->number};
        packet[7] = 1;
        memcpy(packet + end, record, sizeof record);
        end += sizeof record;
    }
    sendto(s->io.fd, packet, end, 0, (struct sockaddr *)&peer, peer_len);
}

static void open_server(struct server *s, int number) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(0x7f350000U + (unsigned)number)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    *s = (struct server){.number = number};
    loop_io_set(loop, &s->io, fd, EPOLLIN, on_query, s);
}

static void use_server(int number) {
    char aside[sizeof conf + 4];
    snprintf(aside, sizeof aside, "%s.new", conf);
    FILE *file = fopen(aside, "w");
    assert_non_null(file);
    fprintf(file, "nameserver 127.53.0.%d\nsearch wrong.test\n", number);
    fclose(file);
    assert_int_equal(rename(aside, conf), 0);
}

static int begin(void **state) {
    static const struct option_list none;
    const struct resolver_options options = {.servers = &none, .resolv_conf = conf};
    struct error err;
    (void)state;
    static bool entered;
    if (!entered && !enter_empty_network(true))
        return 0;
    entered = true;
    loop = loop_new();
    for (int i = 0; i < SERVERS; i++)
        open_server(&servers[i], i + 1);
    use_server(1);
    resolver = resolver_new(loop, &options, &err);
    assert_non_null(resolver);
    return 0;
}

static int end(void **state) {
    (void)state;
    if (!loop)
        return 0;
    resolver_free(resolver);
    for (int i = 0; i < SERVERS; i++) {
        int fd = servers[i].io.fd;
        loop_io_clear(loop, &servers[i].io);
        close(fd);
    }
    loop_free(loop);
    loop = NULL;
    return 0;
}

static void on_found(void *arg, const struct resolver_answer *answer) {
    (void)arg;
    found = *answer;
    loop_stop(loop);
}

/* The last byte of the one address that it has; 0: none. */
static int ask(const char *host) {
    struct resolve resolve = {.done = on_found};
    if (!loop)
        skip(); /* not root */
    const struct resolver_answer *answer = resolver_find(resolver, &resolve, host);
    if (answer)
        found = *answer;
    while (resolve.name)
        loop_run(loop);
    const struct sockaddr_in *address = (const void *)&found.addresses[0];
    return found.count == 1 ? (int)(ntohl(address->sin_addr.s_addr) & 255) : 0;
}

static void a_changed_resolv_conf_is_read_again(void **state) {
    (void)state;
    assert_int_equal(ask("one.test"), 1);
    use_server(2);
    assert_int_equal(ask("two.test"), 2);
    assert_int_equal(servers[0].asked, 1);
}

static void what_the_old_server_never_answered_is_asked_of_the_new_one(void **state) {
    struct resolve waiting = {.done = on_found};
    (void)state;
    if (!loop)
        skip();
    servers[0].silent = true;
    assert_null(resolver_find(resolver, &waiting, "hook.test"));
    use_server(2);
    assert_int_equal(ask("other.test"), 2);
    while (waiting.name)
        loop_run(loop);
    assert_int_equal(found.count, 1);
}

static void a_server_that_is_silent_on_ipv6_costs_a_moment(void **state) {
    (void)state;
    servers[0].silent_on_ipv6 = true;
    assert_int_equal(ask("hook.test"), 1);
    assert_true(found.ipv4_known && !found.ipv6_known);
    assert_int_equal(servers[0].asked_ipv6, 1); /* no second try of it was waited for */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_changed_resolv_conf_is_read_again, begin, end),
        cmocka_unit_test_setup_teardown(what_the_old_server_never_answered_is_asked_of_the_new_one, begin, end),
        cmocka_unit_test_setup_teardown(a_server_that_is_silent_on_ipv6_costs_a_moment, begin, end),
    };
    int fd = mkstemp(conf);
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(conf);
    return failed;
}
