/* Bytes of a connection, through libmicrohttpd and the guard, beside a strict reader of the same
 * bytes: whatever a handler is given is a request that the strict reader finds too, with the same
 * method, path and body, in the same order. So nothing that can be read in two ways is ever served.
 */
#include <ctype.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/http/http_internal.h"
#include "fuzz.h"

enum { REQUESTS_MAX = 64, TURNS_MAX = 2000, INPUT_MAX = 8192 };

struct request {
    char method[16];
    struct buf path, body;
};
static struct request found[REQUESTS_MAX];
static size_t found_count, next_found;

/* --- the strict reader */

struct strict {
    struct span rest;
    bool bad;
};

static struct span line_of(struct strict *s) {
    struct span line = take_until(&s->rest, '\n');
    s->bad |= line.len == 0 || line.data[line.len - 1] != '\r' ||
              line.data + line.len == s->rest.data;
    return (struct span){line.data, line.len - !s->bad};
}

static bool is(struct span text, const char *word) {
    return text.len == strlen(word) && strncasecmp(text.data, word, text.len) == 0;
}

static bool only(struct span text, const char *characters) {
    for (size_t i = 0; i < text.len; i++)
        if (!text.data[i] || !strchr(characters, text.data[i]))
            return false;
    return text.len > 0;
}

static void decode_path(struct span target, struct buf *path) {
    for (size_t i = 0; i < target.len && target.data[i] != '?'; i++) {
        char hex[3] = {0};
        if (target.data[i] == '%' && i + 2 < target.len) {
            memcpy(hex, target.data + i + 1, 2);
            i += 2;
        }
        char c = *hex ? (char)strtol(hex, NULL, 16) : target.data[i];
        buf_append(path, &c, 1);
    }
}

struct framing {
    unsigned hosts, lengths, codings;
    size_t length;
    bool chunked;
};

static void read_header(struct strict *s, struct span line, struct framing *f) {
    static const char token[] =
        "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    struct span value = line, name = take_until(&value, ':');
    s->bad |= name.len == line.len || !only(name, token);
    while (value.len && strchr(" \t", *value.data) && *value.data)
        value = (struct span){value.data + 1, value.len - 1};
    for (size_t i = 0; i < value.len; i++)
        s->bad |= (unsigned char)value.data[i] < 0x20 ? value.data[i] != '\t'
                                                      : value.data[i] == 0x7f;
    f->hosts += is(name, "Host");
    f->lengths += is(name, "Content-Length");
    f->codings += is(name, "Transfer-Encoding");
    if (is(name, "Content-Length")) {
        s->bad |= !only(value, "0123456789") || value.len > 40;
        f->length = strtoull(s->bad ? "0" : value.data, NULL, 10);
    }
    if (is(name, "Transfer-Encoding"))
        s->bad |= !(f->chunked = is(value, "chunked"));
}

static void take(struct strict *s, size_t len, struct buf *body) {
    s->bad |= len > s->rest.len;
    if (s->bad)
        return;
    buf_append(body, s->rest.data, len);
    s->rest = (struct span){s->rest.data + len, s->rest.len - len};
}

/* The chunks' own lines may end with LF alone, as nginx takes them too: that is libmicrohttpd's,
 * and hidden from the guard. */
static struct span loose_line(struct strict *s) {
    struct span line = take_until(&s->rest, '\n');
    s->bad |= line.data + line.len == s->rest.data;
    return (struct span){line.data, line.len - (line.len && line.data[line.len - 1] == '\r')};
}

static void take_chunks(struct strict *s, struct buf *body) {
    for (size_t size = 1; size && !s->bad;) {
        struct span extension = loose_line(s), digits = take_until(&extension, ';');
        s->bad |= !only(digits, "0123456789abcdefABCDEF");
        size = s->bad ? 0 : strtoull(digits.data, NULL, 16);
        take(s, size, body);
        s->bad |= size && loose_line(s).len;
    }
    while (!s->bad && loose_line(s).len) /* trailers */
        continue;
}

static bool read_request(struct strict *s, struct request *r) {
    struct framing f = {0};
    while (s->rest.len && (*s->rest.data == '\n' ||
                           (*s->rest.data == '\r' && s->rest.len > 1 && s->rest.data[1] == '\n')))
        take_until(&s->rest, '\n');
    struct span line = line_of(s), method = take_until(&line, ' '), target = take_until(&line, ' ');
    s->bad |= !only(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_-") || !target.len ||
              !(is(line, "HTTP/1.1") || is(line, "HTTP/1.0"));
    bool old = is(line, "HTTP/1.0");
    for (struct span header; !s->bad && (header = line_of(s)).len;)
        read_header(s, header, &f);
    s->bad |= f.hosts > 1 || (!f.hosts && !old) || f.lengths + f.codings > 1 || (f.codings && old);
    if (!s->bad && f.chunked)
        take_chunks(s, &r->body);
    else
        take(s, f.length, &r->body);
    if (s->bad)
        return false;
    snprintf(r->method, sizeof r->method, "%.*s", (int)method.len, method.data);
    size_t scheme = strncasecmp(target.data, "http://", 7) == 0    ? 7
                    : strncasecmp(target.data, "https://", 8) == 0 ? 8
                                                                   : 0;
    while (scheme && target.len && scheme < target.len && target.data[scheme] != '/' &&
           target.data[scheme] != '?')
        scheme++;
    decode_path((struct span){target.data + scheme, target.len - scheme}, &r->path);
    return true;
}

/* --- the server */

static struct loop *loop;
static struct http_server *server;

static void handle(void *arg, struct http_request *request) {
    static const char *const known[] = {"a", "topics", NULL};
    struct buf body = {0};
    struct error err;
    (void)arg;
    for (; next_found < found_count; next_found++) {
        const struct request *r = &found[next_found];
        const char *method = strcmp(r->method, "HEAD") == 0
                                 ? "GET"
                                 : r->method; /* HEAD is served where GET is */
        if (strcmp(method, http_request_route(request)->method) == 0 &&
            strcmp(buf_string(&r->path), http_request_path(request)) == 0 &&
            span_equal(content(&r->body), http_request_body(request)))
            break;
    }
    MUST(next_found < found_count);
    next_found++;
    MUST(strlen(http_request_segment(request, 0)) < 128 && *http_request_id(request));
    if (http_request_query_check(request, known, &err))
        http_problem(request, 400, &err, NULL, 0);
    else
        http_answer(request, 200, "text/plain", &body);
}

static void begin(void) {
    static const struct http_route routes[] = {{"GET", "/a", handle, false, 0},
                                               {"POST", "/a", handle, true, 0},
                                               {"PUT", "/s/{id}/b", handle, false, 0}};
    const struct http_server_options options = {.listen = "127.0.0.1:0",
                                                .body_max_bytes = INPUT_MAX,
                                                .header_timeout_ms = 60000,
                                                .body_timeout_ms = 60000,
                                                .routes = routes,
                                                .routes_count = 3};
    struct error err;
    loop = loop_new();
    server = http_server_new(loop, &options, &err);
    MUST(server);
}

static bool go_on(void *arg) {
    int *turns = arg;
    if (--*turns == 0 || http_server_connections(server) == 0)
        loop_stop(loop);
    return true;
}

static void serve(struct span input, size_t first) {
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fds[2], turns = 20, later = TURNS_MAX;
    struct loop_hook hook = {.before_wait = go_on, .arg = &turns};
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    MUST(MHD_add_connection(server->daemon, fds[0], (const struct sockaddr *)&address,
                            sizeof address) == MHD_YES);
    MUST(write(fds[1], input.data, first) == (ssize_t)first);
    loop_hook_add(loop, &hook);
    loop_run(loop);
    if (send(fds[1], input.data + first, input.len - first, MSG_NOSIGNAL) >= 0) {
        shutdown(fds[1], SHUT_WR);
        hook.arg = &later;
        loop_run(loop);
    }
    loop_hook_remove(loop, &hook);
    close(fds[1]);
    struct loop_hook end = {.before_wait = go_on, .arg = &later};
    later = TURNS_MAX;
    loop_hook_add(loop, &end);
    loop_run(loop);
    loop_hook_remove(loop, &end);
    MUST(http_server_connections(server) == 0);
}

/* libmicrohttpd puts NULs where names and lines end, and so hides from the guard a NUL that stood
 * there, and a line of nothing but a colon beside a bare LF, which it takes for the end of the
 * headers: docs/operations.md says so. */
static bool is_hidden(struct span input) {
    for (size_t i = 0; i < input.len; i++) {
        bool before = i > 0 && strchr("\r\n", input.data[i - 1]),
             after = i + 1 < input.len && strchr("\r\n", input.data[i + 1]);
        if (!input.data[i] && (i == 0 || before || after))
            return true;
    }
    return memmem(input.data, input.len, "\n:\n", 3) || memmem(input.data, input.len, "\n:\r\n", 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size > INPUT_MAX || is_hidden(bytes(data + 1, size - 1)))
        return 0;
    if (!server)
        begin();
    struct span input = bytes(data + 1, size - 1);
    struct strict strict = {.rest = input};
    found_count = next_found = 0;
    while (found_count < REQUESTS_MAX && strict.rest.len &&
           read_request(&strict, &found[found_count]))
        found_count++;
    if (found_count < REQUESTS_MAX)
        serve(input, data[0] < input.len ? data[0] : 0);
    for (size_t i = 0; i < REQUESTS_MAX; i++) {
        buf_fini(&found[i].path);
        buf_fini(&found[i].body);
    }
    return 0;
}
