/* Publishes as hard as it can over kept-alive connections, one request in flight on each:
 *   load ADDRESS PORT CONNECTIONS SECONDS EVENTS_A_REQUEST
 * Events of 1 KB without ids; several a request go as a JSON array. Every answer must be 201.
 * Prints events a second, and of the requests p50 and p99 in microseconds. One thread, one epoll,
 * so that it takes little from what it measures. Loopback only. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"

enum {
    EVENT_BYTES = 1024,
    CONNECTIONS_MAX = 1024,
    SAMPLES_MAX = 4000000,
    ANSWER_BYTES = 256 * 1024
};

struct client {
    int fd;
    size_t sent;
    int64_t began_us;
    struct buf answer;
};

static struct buf request;
static struct client clients[CONNECTIONS_MAX];
static int64_t samples[SAMPLES_MAX];
static size_t samples_count;

static void fail(const char *what, const char *detail) {
    fprintf(stderr, "load: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
    exit(1);
}

static void put_event(struct buf *out) {
    static const char begin[] = "{\"topic\":\"drug.copay\",\"key\":\"00002-8215\",\"data\":{"
                                "\"ndc\":\"00002-8215\",\"copay\":25,\"plan\":\"MD-7\","
                                "\"valid\":[\"2024-05-07\",null],\"urgent\":true,\"note\":\"";
    static const char words[] = "The copay of insulin is lowered for all plans of this state. ";
    size_t start = out->len;
    buf_puts(out, begin);
    while (out->len - start < EVENT_BYTES - 3)
        buf_append(out, &words[(out->len - start) % (sizeof words - 1)], 1);
    buf_puts(out, "\"}}");
}

static void make_request(long events) {
    struct buf body = {0};
    buf_puts(&body, events > 1 ? "[" : "");
    for (long i = 0; i < events; i++) {
        buf_puts(&body, i ? "," : "");
        put_event(&body);
    }
    buf_puts(&body, events > 1 ? "]" : "");
    buf_printf(&request,
               "POST /ess/publish HTTP/1.1\r\nHost: ess\r\nContent-Type: "
               "application/json\r\nContent-Length: %zu\r\n\r\n",
               body.len);
    buf_append(&request, body.data, body.len);
    buf_fini(&body);
}

/* Sends what the socket takes; the rest when it is writable again. */
static void push(struct client *c) {
    while (c->sent < request.len) {
        ssize_t n = send(c->fd, request.data + c->sent, request.len - c->sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            fail("send", strerror(errno));
        c->sent += (size_t)n;
    }
}

static void begin_request(struct client *c) {
    c->sent = 0;
    c->began_us = clock_us();
    buf_clear(&c->answer);
    push(c);
}

/* Whether the answer is whole; then it is one that must be. */
static bool whole(const struct client *c) {
    const char *end = strstr(buf_string(&c->answer), "\r\n\r\n");
    const char *length = end ? strcasestr(c->answer.data, "content-length:") : NULL;
    if (!length || length > end)
        return false;
    if (c->answer.len < (size_t)(end + 4 - c->answer.data) + strtoul(length + 15, NULL, 10))
        return false;
    if (strncmp(c->answer.data, "HTTP/1.1 201", 12) != 0)
        fail("not 201", c->answer.data);
    return true;
}

/* True: its request is answered. */
static bool pull(struct client *c) {
    for (;;) {
        ssize_t n = recv(c->fd, buf_reserve(&c->answer, ANSWER_BYTES), ANSWER_BYTES, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n <= 0)
            fail("recv", n ? strerror(errno) : "the connection was closed");
        buf_commit(&c->answer, (size_t)n);
        if (whole(c))
            return true;
    }
}

static void connect_all(int epoll, const char *host, int port, long connections) {
    static const int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1 ||
        ntohl(address.sin_addr.s_addr) >> 24 != 127)
        fail("must be a loopback address", host);
    for (long i = 0; i < connections; i++) {
        struct client *c = &clients[i];
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0)
            fail("connect", strerror(errno));
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
            fail("epoll", strerror(errno));
    }
}

/* Runs until `end_us`; counts requests that were answered from `begin_us` on. */
static void run(int epoll, int64_t begin_us, int64_t end_us) {
    struct epoll_event events[CONNECTIONS_MAX];
    for (int64_t now = clock_us(); now < end_us; now = clock_us()) {
        int count = epoll_wait(epoll, events, CONNECTIONS_MAX, 100);
        for (int i = 0; i < count; i++) {
            struct client *c = events[i].data.ptr;
            if (c->sent < request.len)
                push(c);
            if (!pull(c))
                continue;
            if (now >= begin_us && samples_count < SAMPLES_MAX)
                samples[samples_count++] = clock_us() - c->began_us;
            begin_request(c);
        }
    }
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static long number(const char *text, long max) {
    char *end;
    long n = strtol(text, &end, 10);
    if (*end || n < 1 || n > max)
        fail("bad number", text);
    return n;
}

int main(int argc, char **argv) {
    enum { WARM_UP_US = 1000000 };
    if (argc != 6)
        fail("usage: load ADDRESS PORT CONNECTIONS SECONDS EVENTS_A_REQUEST", NULL);
    long connections = number(argv[3], CONNECTIONS_MAX), seconds = number(argv[4], 3600),
         events = number(argv[5], 1000);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    make_request(events);
    connect_all(epoll, argv[1], (int)number(argv[2], 65535), connections);
    int64_t begin = clock_us() + WARM_UP_US, end = begin + seconds * 1000000;
    for (long i = 0; i < connections; i++)
        begin_request(&clients[i]);
    run(epoll, begin, end);
    if (samples_count == 0)
        fail("nothing was answered", NULL);
    qsort(samples, samples_count, sizeof *samples, ascending);
    printf("events_per_sec=%.0f p50_us=%" PRId64 " p99_us=%" PRId64 "\n",
           (double)samples_count * (double)events / (double)seconds, samples[samples_count / 2],
           samples[samples_count * 99 / 100]);
    return 0;
}
