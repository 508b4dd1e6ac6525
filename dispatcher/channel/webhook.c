/* HTTPS POSTs by libcurl; see webhook.h. After curl's multi_socket_action examples. */
#include "dispatcher/channel/webhook.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/version.h"
#include "dispatcher/channel/authorities.h"
#include "dispatcher/channel/machine.h"
#include "dispatcher/channel/resolver.h"
#include "dispatcher/channel/sockets.h"

enum {
    EXCERPT_BYTES = 128,
    ANSWER_BYTES_MAX = 64 * 1024,
    HEADER_BYTES_MAX = 64 * 1024,
    SPARE_HANDLES_MAX = 64,
    DEAF_MS = 10000
};

#define SYSTEM_CERTIFICATES "/etc/ssl/certs"

static const char died[] = "the connection was closed before an answer came";
static const char not_public[] = "the address is not public; egress.allow does not allow it";

/* An easy handle, and the URL that was last set in it: often that of the next request too. */
struct handle {
    CURL *easy;
    char *url, *host, *port;
    bool literal; /* the host is an address */
};

struct webhook {
    struct exchange exchange; /* first, for sockets.h */
    struct webhook_client *client;
    struct handle *handle;
    struct curl_slist *headers, *pins;
    struct authorities_copy *authorities; /* from when curl has it */
    struct resolve resolve;
    struct loop_timer
        timer; /* while its name is resolved: how long at most; or a failure is to be told */
    const char *failure;      /* why, when it was not curl that found out; NULL else */
    enum webhook_fault fault; /* likewise */
    bool fresh, opened;       /* a new connection is wanted; was begun */
    int64_t timeout_ms;
    bool added; /* curl has it */
    struct buf body;
    void (*done)(void *, const struct webhook_result *);
    void *arg;
    int64_t began_ms;
    char excerpt[EXCERPT_BYTES];
    size_t excerpt_len, answer_bytes, header_bytes;
    char reason[CURL_ERROR_SIZE];
    struct webhook *prev, *next;
};

struct webhook_client {
    struct loop *loop;
    struct webhook_client_options options;
    CURLM *multi;
    struct resolver *resolver;
    struct authorities *authorities;
    struct loop_timer timer;
    struct sockets *sockets;
    int64_t deaf_until_ms; /* no name server answered; what was asked meanwhile may still fail until
                              then */
    struct handle
        *spare[SPARE_HANDLES_MAX]; /* keep their buffers, and what holds for every request */
    size_t spare_count;
    struct webhook *under_way;
};

/* Never 0, which is "none" to curl. */
static long left_of(int64_t timeout_ms, long spent_ms) {
    return spent_ms < timeout_ms ? (long)timeout_ms - spent_ms : 1;
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg) {
    struct webhook_client *client = arg;
    (void)multi;
    if (timeout_ms < 0)
        loop_timer_clear(client->loop, &client->timer);
    else
        loop_timer_set(client->loop, &client->timer, clock_ms() + timeout_ms);
    return 0;
}

/* Each request is begun once: what curl would send again by itself, since the connection it took
 * from its cache was dead, is a second attempt, and that is not curl's to decide. */
static bool begun_before(struct webhook *w) {
    if (w->exchange.begun)
        w->failure = died;
    return w->exchange.begun;
}

static int on_begin(void *arg, char *address, char *local_address, int port, int local_port) {
    struct webhook *w = arg;
    (void)address, (void)local_address, (void)port, (void)local_port;
    if (begun_before(w))
        return CURL_PREREQFUNC_ABORT;
    w->exchange.begun = true;
    return CURL_PREREQFUNC_OK;
}

/* --- whose fault was it? */

/* Of an attempt that failed. What happens once the request is on its way is the endpoint's or the
 * network's. */
static enum webhook_fault find_fault(const struct webhook *w, CURLcode code) {
    long os_errno = 0;
    if (w->exchange.begun)
        return WEBHOOK_NO_FAULT;
    enum webhook_fault fault = w->fault ? w->fault : machine_fault();
    if (fault)
        return fault;
    if (code == CURLE_OUT_OF_MEMORY || code == CURLE_FAILED_INIT)
        return WEBHOOK_MEMORY;
    if (code == CURLE_SSL_CACERT_BADFILE)
        return WEBHOOK_CA;
    curl_easy_getinfo(w->handle->easy, CURLINFO_OS_ERRNO, &os_errno);
    if (code == CURLE_COULDNT_CONNECT && os_errno == ENETUNREACH && !machine_has_route())
        return WEBHOOK_ROUTE;
    return code == CURLE_COULDNT_CONNECT ? machine_fault_of((int)os_errno) : WEBHOOK_NO_FAULT;
}

/* A connection that was kept alive ended before one byte of an answer. The endpoint may have closed
 * it just before the request, so it is tried again on a new one (RFC 9110 9.2.2). */
static bool is_stale(const struct webhook *w, CURLcode code) {
    bool ended = w->failure == died || code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR ||
                 code == CURLE_GOT_NOTHING;
    return ended && w->exchange.begun && !w->opened && w->header_bytes == 0 && w->answer_bytes == 0;
}

/* The last word on where a connection may go: whatever a name resolved to, this is the address that
 * is called. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address) {
    struct webhook *w = arg;
    (void)purpose;
    if (begun_before(w))
        return CURL_SOCKET_BAD;
    if (!address_allowed(&address->addr, w->client->options.allowed,
                         w->client->options.allowed_count)) {
        w->failure = not_public;
        return CURL_SOCKET_BAD;
    }
    int fd = sockets_open(w->client->sockets, address, w->handle->host, &w->exchange);
    if (fd < 0)
        w->fault = machine_fault_of(errno);
    w->opened |= fd >= 0;
    return fd;
}

static size_t on_write(char *data, size_t size, size_t count, void *arg) {
    struct webhook *w = arg;
    size_t len = size * count;
    for (size_t i = 0; i < len && w->excerpt_len < EXCERPT_BYTES - 1; i++)
        w->excerpt[w->excerpt_len++] = data[i] >= 0x20 && data[i] < 0x7f ? data[i] : ' ';
    w->answer_bytes += len;
    return w->answer_bytes > ANSWER_BYTES_MAX
               ? 0
               : len; /* the status is what counts; the rest is not read */
}

/* A line of the answer's headers. An empty one ends them, and those of each 1xx before. */
static size_t on_header(char *data, size_t size, size_t count, void *arg) {
    struct webhook *w = arg;
    long status = 0;
    size_t len = size * count;
    w->header_bytes += len;
    if (len && (*data == '\r' || *data == '\n')) {
        curl_easy_getinfo(w->handle->easy, CURLINFO_RESPONSE_CODE, &status);
        w->exchange.answered = status >= 200;
    }
    return w->header_bytes > HEADER_BYTES_MAX ? 0 : len;
}

static void handle_forget_url(struct handle *handle) {
    free(handle->url);
    curl_free(handle->host);
    curl_free(handle->port);
    handle->url = handle->host = handle->port = NULL;
}

static void handle_free(struct handle *handle) {
    curl_easy_cleanup(handle->easy);
    handle_forget_url(handle);
    free(handle);
}

static void handle_set_url(struct handle *handle, const char *text) {
    struct sockaddr_storage literal;
    if (handle->url && strcmp(handle->url, text) == 0)
        return;
    handle_forget_url(handle);
    CURLU *url = curl_url();
    if (!url || curl_url_set(url, CURLUPART_URL, text, 0) ||
        curl_url_get(url, CURLUPART_HOST, &handle->host, 0) ||
        curl_url_get(url, CURLUPART_PORT, &handle->port, CURLU_DEFAULT_PORT))
        abort(); /* it was checked when it was registered */
    curl_url_cleanup(url);
    curl_easy_setopt(handle->easy, CURLOPT_URL, text);
    handle->url = mem_copy_string(text, strlen(text));
    handle->literal = address_from_literal(handle->host, &literal);
}

static void handle_keep(struct webhook_client *client, struct handle *handle) {
    if (!handle)
        return;
    curl_easy_setopt(handle->easy, CURLOPT_ERRORBUFFER, NULL);
    if (client->spare_count < SPARE_HANDLES_MAX)
        client->spare[client->spare_count++] = handle;
    else
        handle_free(handle);
}

static void webhook_free(struct webhook *w) {
    struct webhook_client *client = w->client;
    DL_DELETE(client->under_way, w);
    resolver_forget(&w->resolve);
    loop_timer_clear(client->loop, &w->timer);
    if (w->added)
        curl_multi_remove_handle(client->multi, w->handle->easy);
    sockets_leave(&w->exchange);
    handle_keep(client, w->handle);
    authorities_release(w->authorities);
    curl_slist_free_all(w->headers);
    curl_slist_free_all(w->pins);
    buf_fini(&w->body);
    free(w);
}

static void complete(struct webhook *w, const struct webhook_result *found) {
    const struct webhook_result result = {
        .status = found->status,
        .error = found->status ? NULL : found->error,
        .fault = found->fault,
        .stale = found->stale,
        .connected = w->opened && w->exchange.begun,
        .retry_after_ms = found->retry_after_ms,
        .duration_ms = clock_ms() - w->began_ms,
        .excerpt = w->excerpt_len ? w->excerpt : NULL,
        .body = {w->body.data, w->body.len},
    };
    w->done(w->arg, &result);
    webhook_free(w);
}

static void finish(struct webhook_client *client, CURL *easy, CURLcode code) {
    char *private = NULL;
    long status = 0;
    curl_off_t retry_after_s = 0;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    struct webhook *w = (struct webhook *)(void *)private;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    bool counts = w->exchange.answered && code != CURLE_OPERATION_TIMEDOUT;
    const struct webhook_result result = {
        .status = counts ? (int)status : 0,
        .error = w->failure   ? w->failure
                 : *w->reason ? w->reason
                 : code       ? curl_easy_strerror(code)
                              : "its headers were cut short",
        .fault = counts || w->failure == not_public ? WEBHOOK_NO_FAULT : find_fault(w, code),
        .stale = !counts && is_stale(w, code),
        .retry_after_ms = retry_after_s < INT_MAX ? (int64_t)retry_after_s * 1000 : INT_MAX,
    };
    curl_multi_remove_handle(
        client->multi, easy); /* a broken connection is closed before anyone counts it as ended */
    w->added = false;
    complete(w, &result);
}

static void collect(void *arg) {
    struct webhook_client *client = arg;
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left)))
        if (message->msg == CURLMSG_DONE)
            finish(client, message->easy_handle, message->data.result);
}

static void on_timeout(void *arg) {
    struct webhook_client *client = arg;
    int running;
    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(client);
}

static struct handle *handle_new(struct webhook_client *client) {
    const struct webhook_client_options *o = &client->options;
    struct handle *handle = mem_zero(sizeof *handle);
    CURL *easy = curl_easy_init();
    if (!easy) {
        free(handle);
        return NULL;
    }
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROXY,
                     ""); /* also against the environment's: only the address itself is checked */
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_CAPATH, SYSTEM_CERTIFICATES);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)(o->idle_timeout_ms / 1000));
    curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, (long)(o->lifetime_ms / 1000));
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "ess/" ESS_VERSION);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_begin);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, sockets_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, client->sockets);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    handle->easy = easy;
    return handle;
}

/* What is this request's. Its body goes out with its headers, in one write where it is below 64
 * KiB. */
static void configure(struct webhook *w) {
    CURL *easy = w->handle->easy;
    long spent_ms = (long)(clock_ms() - w->began_ms);
    w->authorities = authorities_take(w->client->authorities);
    curl_easy_setopt(easy, CURLOPT_CAINFO, authorities_path(w->authorities));
    curl_easy_setopt(easy, CURLOPT_RESOLVE, w->pins);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, (long)w->fresh);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, left_of(w->timeout_ms, spent_ms));
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     left_of(w->client->options.connect_timeout_ms, spent_ms));
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, w->headers);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)w->body.len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, w->body.data);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, w);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, w);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, w);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, w);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, w->reason);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, w);
}

static void on_failed(void *arg) {
    struct webhook *w = arg;
    const struct webhook_result result = {.error = w->failure, .fault = w->fault};
    complete(w, &result);
}

/* The caller of webhook_send is never called back from within. */
static void fail_soon(struct webhook *w, const char *failure) {
    w->failure = failure;
    loop_timer_set(w->client->loop, &w->timer, clock_ms());
}

static void fail_for_memory(struct webhook *w) {
    w->fault = WEBHOOK_MEMORY;
    fail_soon(w, "no memory is left");
}

static void launch(struct webhook *w) {
    configure(w);
    w->added = curl_multi_add_handle(w->client->multi, w->handle->easy) == CURLM_OK;
    if (!w->added)
        fail_for_memory(w);
}

/* --- names */

static void add_address(struct buf *list, const struct sockaddr *address) {
    char text[INET6_ADDRSTRLEN];
    bool v6 = address->sa_family == AF_INET6;
    const void *bytes =
        v6 ? (const void *)&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr
           : (const void *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;
    inet_ntop(address->sa_family, bytes, text, sizeof text);
    buf_printf(list, "%s%s%s%s", list->len ? "," : "", v6 ? "[" : "", text, v6 ? "]" : "");
}

/* Tells curl the addresses of the name, so that it asks nobody. curl may look it up without the dot
 * at its end. */
static void pin(struct webhook *w, const char *addresses) {
    const char *host = w->handle->host, *port = w->handle->port;
    struct buf line = {0};
    size_t len = strlen(host);
    buf_printf(&line, "+%s:%s:%s", host, port, addresses);
    w->pins = curl_slist_append(w->pins, buf_string(&line));
    if (len && host[len - 1] == '.') {
        buf_clear(&line);
        buf_printf(&line, "+%.*s:%s:%s", (int)len - 1, host, port, addresses);
        w->pins = curl_slist_append(w->pins, buf_string(&line));
    }
    buf_fini(&line);
}

/* A name that no name server answers for is the endpoint's matter, unless they answer nothing at
 * all, or did so a moment ago, when this name was asked for. */
static enum webhook_fault find_name_fault(const struct webhook *w, bool no_server) {
    struct webhook_client *client = w->client;
    enum webhook_fault fault = machine_fault();
    int64_t now_ms = clock_ms();
    if (fault || !no_server)
        return fault;
    if (!resolver_heard_since(client->resolver, w->began_ms))
        client->deaf_until_ms = now_ms + DEAF_MS;
    return now_ms < client->deaf_until_ms ? WEBHOOK_NAMES : WEBHOOK_NO_FAULT;
}

/* Of the name's addresses those that may be called are called. */
static void use_answer(struct webhook *w, const struct resolver_answer *answer) {
    const struct webhook_client_options *o = &w->client->options;
    struct buf addresses = {0};
    for (size_t i = 0; i < answer->count; i++) {
        const struct sockaddr *address = (const struct sockaddr *)&answer->addresses[i];
        if (address_allowed(address, o->allowed, o->allowed_count))
            add_address(&addresses, address);
    }
    if (addresses.len) {
        pin(w, buf_string(&addresses));
        launch(w);
    } else {
        w->fault = answer->count ? WEBHOOK_NO_FAULT : find_name_fault(w, answer->no_server);
        fail_soon(w, answer->count ? not_public : answer->error);
    }
    buf_fini(&addresses);
}

static void on_resolved(void *arg, const struct resolver_answer *answer) {
    struct webhook *w = arg;
    loop_timer_clear(w->client->loop, &w->timer);
    loop_timer_init(&w->timer, on_failed, w);
    w->failure = NULL;
    use_answer(w, answer);
}

static void on_name_late(void *arg) {
    struct webhook *w = arg;
    w->fault = find_name_fault(w, true);
    on_failed(w);
}

static void resolve(struct webhook *w, const char *url) {
    handle_set_url(w->handle, url);
    if (w->handle->literal) {
        launch(w);
        return;
    }
    w->resolve = (struct resolve){.done = on_resolved, .arg = w};
    const struct resolver_answer *answer = resolver_find(w->client->resolver, &w->resolve,
                                                         w->handle->host);
    if (answer) {
        use_answer(w, answer);
        return;
    }
    w->failure = "its name could not be resolved in time";
    loop_timer_init(&w->timer, on_name_late, w);
    loop_timer_set(w->client->loop, &w->timer, w->began_ms + w->client->options.connect_timeout_ms);
}

struct webhook *webhook_send(struct webhook_client *client, const struct webhook_request *request) {
    struct webhook *w = mem_zero(sizeof *w);
    *w = (struct webhook){.client = client,
                          .headers = request->headers,
                          .timeout_ms = request->timeout_ms,
                          .fresh = request->fresh,
                          .done = request->done,
                          .arg = request->arg,
                          .began_ms = clock_ms()};
    loop_timer_init(&w->timer, on_failed, w);
    w->body = *request->body;
    buf_init(request->body);
    w->handle = client->spare_count ? client->spare[--client->spare_count] : handle_new(client);
    DL_APPEND(client->under_way, w);
    if (w->handle)
        resolve(w, request->url);
    else
        fail_for_memory(w);
    return w;
}

void webhook_cancel(struct webhook *w) { webhook_free(w); }

/* A connection to an address that the name no longer has is not used again. */
static void on_addresses_changed(void *arg, const char *host,
                                 const struct resolver_answer *answer) {
    struct webhook_client *client = arg;
    const struct address_set set = {answer->addresses, answer->count, answer->ipv4_known,
                                    answer->ipv6_known};
    sockets_keep(client->sockets, host, &set);
}

struct webhook_client *webhook_client_new(struct loop *loop,
                                          const struct webhook_client_options *options,
                                          struct error *err) {
    struct authorities *authorities = authorities_new(loop, options->ca_file, err);
    if (!authorities)
        return NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        abort();
    struct webhook_client *client = mem_zero(sizeof *client);
    const struct resolver_options resolver = {
        .servers = options->name_servers, .changed = on_addresses_changed, .arg = client};
    *client = (struct webhook_client){
        .loop = loop, .options = *options, .authorities = authorities};
    client->resolver = resolver_new(loop, &resolver, err);
    if (!client->resolver) {
        authorities_free(authorities);
        free(client);
        return NULL;
    }
    client->multi = curl_multi_init();
    if (!client->multi)
        abort();
    loop_timer_init(&client->timer, on_timeout, client);
    client->sockets = sockets_new(loop, client->multi, collect, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)options->max_connections);
    return client;
}

void webhook_client_free(struct webhook_client *client) {
    if (!client)
        return;
    while (client->under_way)
        webhook_free(client->under_way);
    for (size_t i = 0; i < client->spare_count; i++)
        handle_free(client->spare[i]);
    curl_multi_cleanup(client->multi);
    sockets_free(client->sockets);
    resolver_free(client->resolver);
    authorities_free(client->authorities);
    loop_timer_clear(client->loop, &client->timer);
    free(client);
    curl_global_cleanup();
}
