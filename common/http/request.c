/* A request's checks before the handler, its parameters and its answer; see server.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <utlist.h>

#include "common/base/hex.h"
#include "common/base/number.h"
#include "common/http/http_internal.h"
#include "common/json/writer.h"

enum { NO_ROOM_RETRY_S = 1, STOPPING_RETRY_S = 1 };

struct http_request *http_request_new(struct http_server *server, struct MHD_Connection *mhd,
                                      const char *uri) {
    struct http_request *r = mem_zero(sizeof *r);
    r->server = server;
    r->mhd = mhd;
    r->connection =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    guard_uri(&r->guard, uri);
    DL_APPEND(server->requests, r);
    return r;
}

void http_request_tell_gone(struct http_request *r) {
    void (*gone)(void *) = r->gone;
    r->gone = NULL;
    if (gone)
        gone(r->gone_arg);
}

void http_request_free(struct http_request *r) {
    if (!r->answered)
        http_request_tell_gone(r);
    http_stream_forget(r);
    http_connection_watch(r->connection, NULL);
    DL_DELETE(r->server->requests, r);
    if (r->response)
        MHD_destroy_response(r->response);
    for (size_t i = 0; i < r->headers_count; i++)
        free(r->headers[i]);
    if (r->free_data)
        r->free_data(r->data);
    buf_fini(&r->body);
    buf_fini(&r->out);
    r->server->held -= r->held;
    free(r);
}

/* --- path and query */

static enum MHD_Result add_parameter(void *cls, enum MHD_ValueKind kind, const char *name,
                                     size_t name_len, const char *value, size_t value_len) {
    struct http_request *r = cls;
    (void)kind;
    if (r->query_count == HTTP_QUERY_MAX)
        return MHD_NO;
    bool has_nul = strlen(name) != name_len || (value && strlen(value) != value_len);
    r->query[r->query_count++] = (struct http_parameter){name, value ? value : "", has_nul};
    return MHD_YES;
}

int http_request_query_check(const struct http_request *r, const char *const *known,
                             struct error *err) {
    for (size_t i = 0; i < r->query_count; i++) {
        const struct http_parameter *p = &r->query[i];
        const char *const *k = known;
        while (*k && strcmp(*k, p->name) != 0)
            k++;
        char name[64]; /* from the client: repeat only printable bytes */
        snprintf(name, sizeof name, "%s", p->name);
        for (char *c = name; *c; c++)
            *c = *c >= 0x20 && *c < 0x7f ? *c : '?';
        if (!*k)
            return error_set_field(err, name, "is no parameter of this call");
        if (p->has_nul)
            return error_set_field(err, name, "must not hold a NUL");
        for (size_t j = 0; j < i; j++)
            if (strcmp(r->query[j].name, p->name) == 0)
                return error_set_field(err, name, "is given twice");
    }
    return 0;
}

const char *http_request_query(const struct http_request *r, const char *name) {
    for (size_t i = 0; i < r->query_count; i++)
        if (strcmp(r->query[i].name, name) == 0)
            return r->query[i].value;
    return NULL;
}

bool http_request_no_query(struct http_request *r) {
    static const char *const none[] = {NULL};
    struct error err;
    if (http_request_query_check(r, none, &err) == 0)
        return true;
    http_problem(r, 400, &err, NULL, 0);
    return false;
}

/* The path of "http://host/path", as sent by proxies. */
static const char *path_of(const char *url) {
    size_t scheme = strncasecmp(url, "http://", 7) == 0    ? 7
                    : strncasecmp(url, "https://", 8) == 0 ? 8
                                                           : 0;
    const char *slash = scheme ? strchr(url + scheme, '/') : url;
    return slash ? slash : "/";
}

static bool path_matches(struct http_request *r, const char *pattern) {
    const char *path = r->path;
    size_t segments = 0;
    while (*pattern) {
        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        size_t len = strcspn(path, "/");
        if (len == 0 || len >= HTTP_SEGMENT_BYTES || segments == HTTP_SEGMENTS_MAX)
            return false;
        snprintf(r->segments[segments++], HTTP_SEGMENT_BYTES, "%.*s", (int)len, path);
        path += len;
        pattern += strcspn(pattern, "}") + 1;
    }
    return *path == 0;
}

/* HEAD is handled as GET; libmicrohttpd sends only the headers. */
static bool method_fits(const struct http_route *route, const char *method) {
    return strcmp(route->method, strcmp(method, "HEAD") == 0 ? "GET" : method) == 0;
}

/* Finds the route for path and method. Otherwise answers 404, or 405 with the methods of the
 * path. */
static bool find_route(struct http_request *r, const char *method) {
    const struct http_server_options *o = &r->server->options;
    struct buf allow = {0};
    struct error err;
    for (const struct http_route *route = o->routes; route < o->routes + o->routes_count; route++) {
        if (!path_matches(r, route->path))
            continue;
        if (method_fits(route, method)) {
            r->route = route;
            buf_fini(&allow);
            return true;
        }
        buf_printf(&allow, "%s%s", allow.len ? ", " : "",
                   strcmp(route->method, "GET") == 0 ? "GET, HEAD" : route->method);
    }
    if (allow.len)
        http_answer_header(r, "Allow", buf_string(&allow));
    error_set(&err, allow.len ? "this path takes %s" : "this path does not exist",
              buf_string(&allow));
    http_problem(r, allow.len ? 405 : 404, &err, NULL, 0);
    buf_fini(&allow);
    return false;
}

/* --- the beginning */

static void name_request(struct http_request *r) {
    const char *given = http_request_header(r, "X-Request-Id");
    size_t len = given ? strspn(given,
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
                       : 0;
    unsigned char random[16];
    if (len && !given[len] && len < HTTP_ID_BYTES) {
        memcpy(r->id, given, len);
        return;
    }
    if (getrandom(random, sizeof random, 0) != sizeof random)
        abort();
    hex_put(random, sizeof random, r->id);
}

static void body_fit(struct http_request *r, size_t bytes) {
    const struct http_server_options *o = &r->server->options;
    r->body_max = r->route->large_body ? o->body_max_bytes : HTTP_BODY_BYTES_DEFAULT;
    r->large_field = "";
    if (r->route->large_body && o->large_body_max)
        r->body_max = o->large_body_max(o->arg, r, &r->large_field);
    r->too_large = bytes > r->body_max;
}

void http_request_take_body(struct http_request *r, const char *data, size_t len) {
    if (r->too_large || r->no_room)
        return;
    buf_append(&r->body, data, len);
    body_fit(r, r->body.len > r->length ? r->body.len : r->length);
    r->no_room = !http_request_may_hold(r, len);
    if (r->too_large || r->no_room)
        buf_fini(&r->body);
    http_request_hold(r, 0);
}

void http_request_too_large(struct http_request *r) {
    struct error err;
    error_set(&err, "the body is larger than the %zu bytes that this call takes%s", r->body_max,
              r->route->large_body ? "; send less at once, and share large data by a link" : "");
    snprintf(err.field, sizeof err.field, "%s", r->large_field);
    http_problem(r, 413, &err, NULL, 0);
}

static bool length_fits(struct http_request *r) {
    const char *text = http_request_header(r, "Content-Length");
    int64_t length = text ? number_parse(span_of(text)) : 0;
    r->length = length < 0 ? SIZE_MAX : (size_t)length;
    body_fit(r, r->length);
    if (r->too_large)
        http_request_too_large(r);
    else if (!http_request_may_hold(r, r->length))
        http_request_no_room(r);
    else
        return true;
    return false;
}

bool http_request_begin(struct http_request *r, const char *url, const char *method,
                        const char *version) {
    struct error err;
    const struct http_server_options *o = &r->server->options;
    r->begun = true;
    name_request(r);
    guard_headers(&r->guard, r->mhd, method, version);
    /* The next bytes may be the rest of this request: do not read them. */
    r->closing = r->connection->lingers = r->guard.fault || r->guard.has_body;
    if (r->guard.fault) {
        error_set(&err, "%s", r->guard.fault);
        http_problem(r, 400, &err, NULL, 0);
        return false;
    }
    if (r->server->stopping) {
        http_request_stopping(r);
        return false;
    }
    r->path = path_of(url);
    MHD_get_connection_values_n(r->mhd, MHD_GET_ARGUMENT_KIND, add_parameter, r);
    if (!find_route(r, method) || (o->admit && !o->admit(o->arg, r)) || !length_fits(r))
        return false;
    r->closing = r->connection->lingers = false;
    return true;
}

const struct http_route *http_request_route(const struct http_request *r) { return r->route; }
struct span http_request_body(const struct http_request *r) {
    return (struct span){buf_string(&r->body), r->body.len};
}
const char *http_request_path(const struct http_request *r) { return r->path; }
const char *http_request_id(const struct http_request *r) { return r->id; }
const char *http_request_segment(const struct http_request *r, size_t number) {
    return number < HTTP_SEGMENTS_MAX ? r->segments[number] : "";
}
const char *http_request_header(const struct http_request *r, const char *name) {
    return MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, name);
}

void http_request_set_data(struct http_request *r, void *data, void (*free_data)(void *)) {
    if (r->free_data)
        r->free_data(r->data);
    r->data = data;
    r->free_data = free_data;
}
void *http_request_data(const struct http_request *r) { return r->data; }

/* --- memory */

void http_request_hold(struct http_request *r, size_t answer_bytes) {
    size_t held = r->body.cap + answer_bytes;
    r->server->held += held - r->held;
    r->held = held;
}

bool http_request_may_hold(const struct http_request *r, size_t more) {
    size_t max = r->server->options.buffers_bytes;
    return !max || !more || r->server->held + more <= max;
}

void http_request_no_room(struct http_request *r) {
    struct error err;
    error_set(&err, "bodies and answers of other requests use up the memory for them; try again");
    http_problem(r, 503, &err, NULL, NO_ROOM_RETRY_S);
}

size_t http_answer_room(const struct http_request *r) {
    size_t max = r->server->options.buffers_bytes, of_answers = max - max / 4;
    if (!max)
        return SIZE_MAX;
    return of_answers > r->server->held ? of_answers - r->server->held : 0;
}

bool http_answer_has_room(struct http_request *r) {
    if (http_answer_room(r))
        return true;
    http_request_no_room(r);
    return false;
}

void http_answer_hold(struct http_request *r, size_t bytes) { http_request_hold(r, bytes); }

/* --- the server's end */

void http_request_stopping(struct http_request *r) {
    struct error err;
    error_set(&err, "this server is stopping; try again");
    http_problem(r, 503, &err, NULL, STOPPING_RETRY_S);
}

/* --- clients that go away */

void http_request_on_gone(struct http_request *r, void (*gone)(void *), void *arg) {
    r->gone = gone;
    r->gone_arg = arg;
}

void http_request_left(struct http_request *r) {
    http_connection_watch(r->connection, NULL);
    r->dead = true;
    http_request_tell_gone(r);
    http_request_resume(r);
}

void http_request_watch(struct http_request *r) { http_connection_watch(r->connection, r); }

void http_request_resume(struct http_request *r) {
    if (!r->suspended)
        return;
    r->suspended = false;
    r->server->must_run = true;
    MHD_resume_connection(r->mhd);
}

/* --- answers */

void http_answer_header(struct http_request *r, const char *name, const char *value) {
    size_t name_len = strlen(name), value_len = strlen(value);
    if (r->headers_count == HTTP_ANSWER_HEADERS_MAX)
        abort(); /* our own mistake */
    char *pair = mem_alloc(name_len + value_len + 2);
    memcpy(pair, name, name_len + 1);
    memcpy(pair + name_len + 1, value, value_len + 1);
    r->headers[r->headers_count++] = pair;
}

void http_request_add_headers(struct http_request *r, const char *content_type) {
    MHD_add_response_header(r->response, "Content-Type", content_type);
    MHD_add_response_header(r->response, "X-Request-Id", r->id);
    for (size_t i = 0; i < r->headers_count; i++)
        MHD_add_response_header(r->response, r->headers[i],
                                r->headers[i] + strlen(r->headers[i]) + 1);
    if (r->closing || r->server->quiescing)
        MHD_add_response_header(r->response, "Connection", "close");
}

enum MHD_Result http_request_queue(struct http_request *r) {
    if (!r->response)
        return MHD_NO; /* libmicrohttpd closes the connection */
    enum MHD_Result result = MHD_queue_response(r->mhd, r->status, r->response);
    MHD_destroy_response(r->response); /* the connection has its own reference */
    r->response = NULL;
    return result;
}

void http_answer(struct http_request *r, unsigned status, const char *content_type,
                 struct buf *body) {
    size_t len, cap = body->cap;
    char *data = buf_detach(body, &len);
    http_request_hold(r, cap);
    http_connection_deadline(r->connection, http_answer_ms(len));
    r->response = MHD_create_response_from_buffer(len, data, MHD_RESPMEM_MUST_FREE);
    r->status = status;
    r->answered = true;
    if (r->response)
        http_request_add_headers(r, content_type);
    else
        free(data);
    /* Out of memory: the client sees the connection close. */
    r->dead |= !r->response;
    http_connection_watch(r->connection, NULL);
    http_request_resume(r);
}

void http_answer_status(struct http_request *request, const char *status) {
    struct buf body = {0};
    json_put_object(&body);
    json_member_string(&body, "status", status);
    json_end_object(&body);
    buf_puts(&body, "\n");
    http_answer(request, 200, "application/json", &body);
    buf_fini(&body);
}

static const char *title_of(unsigned status) {
    static const struct {
        unsigned status;
        const char *title;
    } titles[] = {{400, "Bad Request"},         {401, "Unauthorized"},
                  {403, "Forbidden"},           {404, "Not Found"},
                  {405, "Method Not Allowed"},  {409, "Conflict"},
                  {412, "Precondition Failed"}, {413, "Content Too Large"},
                  {429, "Too Many Requests"},   {503, "Service Unavailable"}};
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        if (titles[i].status == status)
            return titles[i].title;
    return "Error";
}

void http_problem(struct http_request *r, unsigned status, const struct error *err,
                  const char *extra, int64_t retry_after_s) {
    struct buf body = {0};
    char seconds[24];
    json_put_object(&body);
    json_member_string(&body, "title", title_of(status));
    json_member_number(&body, "status", status);
    json_member_string(&body, "detail", err->message);
    if (*err->field)
        json_member_string(&body, "field", err->field);
    json_put_raw(&body, span_of(extra));
    json_end_object(&body);
    buf_puts(&body, "\n");
    if (retry_after_s) {
        snprintf(seconds, sizeof seconds, "%lld", (long long)retry_after_s);
        http_answer_header(r, "Retry-After", seconds);
    }
    http_answer(r, status, "application/problem+json", &body);
    buf_fini(&body);
}
