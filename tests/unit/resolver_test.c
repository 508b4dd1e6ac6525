/* Host names by c-ares, with the test's own name servers on port 53 of a network namespace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/epoll.h>

#include "common/base/clock.h"
#include "dispatcher/channel/resolver.h"
#include "tests/unit/net_fixture.h"

enum { TYPE_A = 1, TYPE_NS = 2, SERVERS = 2 };

/* 127.53.0.1 and 127.53.0.2; each says 10.0.0.<its number> of every name, and names a server of the
 * root, which may be kept for an hour. */
static struct server {
    struct loop_io io;
    int number, asked, asked_ipv6;
    bool silent, silent_on_names, silent_on_ipv6;
    int64_t silent_until_ms;
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
    if (s->silent || clock_ms() < s->silent_until_ms || (type != TYPE_NS && s->silent_on_names) ||
        (s->silent_on_ipv6 && type != TYPE_A))
        return;
    packet[2] = 0x85, packet[3] = 0x80;
    memset(packet + 6, 0, 6);
    if (type == TYPE_A) {
        const unsigned char record[] = {0xc0, 12, 0, TYPE_A, 0,  1, 0, 0,
                                        0,    1,  0, 4,      10, 0, 0, (unsigned char)s->number};
        packet[7] = 1;
        memcpy(packet + end, record, sizeof record);
        end += sizeof record;
    } else if (type == TYPE_NS) {
        const unsigned char record[] = {0xc0, 12, 0, TYPE_NS, 0, 1, 0, 0, 14, 16, 0, 1, 0};
        packet[7] = 1;
        memcpy(packet + end, record, sizeof record);
        end += sizeof record;
    }
    sendto(s->io.fd, packet, end, 0, (struct sockaddr *)&peer, peer_len);
}

static void open_server(struct server *s, int number) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(53),
                                  .sin_addr.s_addr = htonl(0x7f350000U + (unsigned)number)};
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

/* The last byte of the name's only address; 0: no address. */
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
    assert_int_equal(servers[0].asked_ipv6, 1); /* no second try at the dead server */
}

/* c-ares 1.32 waits for a server about as long as earlier versions. */
static void after_quick_answers_a_slow_one_is_waited_for_too(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) {
        char host[16];
        snprintf(host, sizeof host, "%d.test", i);
        assert_int_equal(ask(host), 1);
    }
    servers[0].silent_until_ms = clock_ms() + 1500;
    assert_int_equal(ask("slow.test"), 1);
}

static void stop_loop(void *arg) {
    (void)arg;
    loop_stop(loop);
}

/* Whether a name server was heard within 900 ms of waiting for a name. */
static bool hears(const char *host) {
    struct resolve resolve = {.done = on_found};
    struct loop_timer timer;
    int64_t began_ms = clock_ms();
    assert_null(resolver_find(resolver, &resolve, host));
    loop_timer_init(&timer, stop_loop, NULL);
    loop_timer_set(loop, &timer, began_ms + 900);
    loop_run(loop);
    resolver_forget(&resolve);
    return resolver_heard_since(resolver, began_ms);
}

/* c-ares 1.31 would answer from memory, and a dead server would pass for a live one. */
static void a_server_is_heard_only_when_it_answers_now(void **state) {
    (void)state;
    if (!loop)
        skip();
    servers[0].silent_on_names = true;
    assert_true(hears("one.test"));
    servers[0].silent = true;
    assert_false(hears("two.test"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_changed_resolv_conf_is_read_again, begin, end),
        cmocka_unit_test_setup_teardown(what_the_old_server_never_answered_is_asked_of_the_new_one,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_server_that_is_silent_on_ipv6_costs_a_moment, begin, end),
        cmocka_unit_test_setup_teardown(after_quick_answers_a_slow_one_is_waited_for_too, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_server_is_heard_only_when_it_answers_now, begin, end),
    };
    int fd = mkstemp(conf);
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(conf);
    return failed;
}
