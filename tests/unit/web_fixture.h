/* Clients of the ingest in ingest_world.h: a real HTTP server on loopback with the test's own
 * routes, and access tokens. */
#ifndef ESS_TESTS_WEB_FIXTURE_H
#define ESS_TESTS_WEB_FIXTURE_H

#include "ingest_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "common/access/access_token.h"
#include "ingest/access/auth.h"
#include "ingest/access/token_reads.h"
#include "ingest/read/http_reader.h"

/* One request on a connection of its own. */
struct client {
    int fd;
    struct buf answer; /* as received */
    bool ended;        /* the server has closed it */
};

static inline void web_write_auth(const char *yaml) {
    FILE *file = fopen(world.ingest.service.settings.auth_file, "w");
    assert_non_null(file);
    assert_true(fputs(yaml, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline void web_on_auth_file(void *arg, size_t tokens, const struct error *err) {
    (void)arg, (void)tokens, (void)err;
}

/* `auth`: content of auth.file; NULL: everything is allowed. */
static inline void web_open(const struct http_route *routes, size_t count, const char *auth) {
    static char auth_file[100];
    struct error err;
    snprintf(auth_file, sizeof auth_file, "%s/auth.yml", world.folder);
    world.ingest.service.settings.auth_file = auth ? auth_file : (char *)(uintptr_t)"";
    if (auth)
        web_write_auth(auth);
    const struct http_server_options options = {
        .listen = "127.0.0.1:0",
        .body_max_bytes = 1024 * 1024,
        .buffers_bytes = (size_t)world.ingest.service.settings.ingest.buffers,
        .header_timeout_ms = 3600000,
        .body_timeout_ms = 3600000,
        .routes = routes,
        .routes_count = count,
        .admit = auth_admit,
        .arg = &world.ingest};
    const struct authenticator_options authenticator = {
        .loop = loop,
        .file = world.ingest.service.settings.auth_file,
        .hosts = world.ingest.service.settings.ingest.hosts,
        .hosts_option = "ingest.hosts",
        .reloaded = web_on_auth_file,
        .find = auth_find_own,
        .arg = &world.ingest};
    world.ingest.service.authenticator = authenticator_new(&authenticator, &err);
    assert_non_null(world.ingest.service.authenticator);
    world.ingest.service.http = http_server_new(loop, &options, &err);
    assert_non_null(world.ingest.service.http);
    world.ingest.http_readers = http_readers_new();
    world.ingest.token_reads = token_reads_new(
        world.ingest.service.settings.ingest.max_reads_per_token);
    world.ingest.parked_readers = parked_readers_new(loop);
    /* without directories, so the folder is ready at once */
    world.ingest.folder = folder_new(&world.ingest);
}

/* Ends every request under way. */
static inline void web_close(void) {
    http_readers_end(world.ingest.http_readers);
    assert_int_equal(http_readers_count(world.ingest.http_readers), 0);
    folder_free(world.ingest.folder);
    world.ingest.folder = NULL;
    http_server_free(world.ingest.service.http);
    parked_readers_free(world.ingest.parked_readers);
    token_reads_free(world.ingest.token_reads);
    http_readers_free(world.ingest.http_readers);
    authenticator_free(world.ingest.service.authenticator);
    world.ingest.service.authenticator = NULL;
    if (*world.ingest.service.settings.auth_file)
        unlink(world.ingest.service.settings.auth_file);
}

/* `token` NULL: no access token. */
static inline void client_begin(struct client *c, const char *method, const char *target,
                                const char *token) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct buf request = {0};
    const char *port = strchr(http_server_address(world.ingest.service.http), ':') + 1;
    address.sin_port = htons((uint16_t)strtol(port, NULL, 10));
    *c = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(connect(c->fd, (struct sockaddr *)&address, sizeof address), 0);
    buf_printf(&request, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", method,
               target);
    if (token)
        buf_printf(&request, "Authorization: Bearer %s\r\n", token);
    buf_puts(&request, strcmp(method, "GET") == 0 ? "\r\n" : "Content-Length: 0\r\n\r\n");
    assert_int_equal(write(c->fd, request.data, request.len), request.len);
    buf_fini(&request);
}

static inline void client_end(struct client *c) {
    close(c->fd);
    buf_fini(&c->answer);
}

static inline bool client_has_ended(void *arg) {
    struct client *c = arg;
    ssize_t n;
    while (!c->ended) {
        char *room = buf_reserve(&c->answer, 65536);
        if ((n = recv(c->fd, room, 65536, MSG_DONTWAIT)) < 0)
            break;
        buf_commit(&c->answer, (size_t)n);
        c->ended = n == 0;
    }
    return c->ended;
}

/* Reads the answer, valid until client_end. */
static inline const char *client_answer(struct client *c) {
    world_until(client_has_ended, c);
    return buf_string(&c->answer);
}

static inline int status_of(const char *answer) {
    assert_int_equal(strncmp(answer, "HTTP/1.1 ", 9), 0);
    return (int)strtol(answer + 9, NULL, 10);
}

/* Runs one request; the answer is valid until the next. */
static inline const char *ask_as(const char *token, const char *method, const char *target) {
    static struct client client;
    static bool used;
    if (used)
        client_end(&client);
    used = true;
    client_begin(&client, method, target, token);
    return client_answer(&client);
}

static inline const char *get(const char *target) { return ask_as(NULL, "GET", target); }

#define assert_answer(answer, status, part)                                                        \
    do {                                                                                           \
        const char *answer_text = answer;                                                          \
        if (status_of(answer_text) != (status) || !strstr(answer_text, part))                      \
            fail_msg("not %d with %s: %s", status, part, answer_text);                             \
    } while (0)

/* Whether the awaited number of requests is under way. */
static inline bool readers_are(void *arg) {
    return http_readers_count(world.ingest.http_readers) == *(size_t *)arg;
}
static inline void await_readers(size_t count) { world_until(readers_are, &count); }

/* Begins a read of the log that is the only one under way and is not answered at once. */
static inline void begin_read(struct client *c, const char *target) {
    client_begin(c, "GET", target, NULL);
    await_readers(1);
}

/* The log's tail reads another event. */
static inline int64_t append_event(const char *topic, size_t bytes) {
    const struct feed_event event = {.cursor = fake_event(topic, bytes), .topic = span_of(topic)};
    parked_readers_appended(world.ingest.parked_readers, &event);
    http_readers_advanced(&world.ingest);
    return event.cursor;
}

#endif
