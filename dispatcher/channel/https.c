/* HTTPS POSTs by libcurl; see https.h. After curl's multi_socket_action examples. */
#include "dispatcher/channel/https.h"

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
#include "dispatcher/channel/handshake.h"
#include "dispatcher/channel/https_post.h"
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

static const char died[] = "the connection was closed before an answer came";
static const char not_public[] = "the address is not public; egress.allow does not allow it";

/* An easy handle and the URL last set: often the URL of the next request too. */
struct handle {
    CURL *easy;
    char *url, *host, *port;
    bool literal; /* the host is an address */
    bool signs;   /* it holds credentials */
    struct handshake handshake;
};

struct https_post {
    struct exchange exchange; /* first, for sockets.h */
    struct https_client *client;
    struct handle *handle;
    struct curl_slist *headers, *pins;
    struct authorities_copy *authorities; /* held from the moment curl has the request */
    struct resolve resolve;
    struct loop_timer timer; /* limits name resolution; or reports a failure from the loop */
    const char *failure;     /* reason of a failure found before curl got the request; NULL: none */
    enum fault_kind fault;   /* fault of a failure found before curl got the request */
    bool fresh, opened;      /* a new connection is wanted; was begun */
    int64_t timeout_ms;
    bool added; /* curl has the request */
    struct span body;
    const struct https_sigv4 *sigv4;
    struct buf answer; /* at most answer_max of it */
    size_t answer_max;
    void (*done)(void *, const struct https_result *);
    void *arg;
    int64_t began_ms;
    char excerpt[EXCERPT_BYTES];
    size_t excerpt_len, answer_bytes, header_bytes;
    char reason[CURL_ERROR_SIZE];
    struct https_post *prev, *next;
};

struct https_client {
    struct loop *loop;
    struct https_client_options options;
    CURLM *multi;
    struct resolver *resolver;
    struct authorities *authorities;
    struct loop_timer timer;
    struct sockets *sockets;
    /* no name server answered; questions asked before may still fail until then */
    int64_t deaf_until_ms;
    /* keep their buffers, and the settings common to all requests */
    struct handle *spare[SPARE_HANDLES_MAX];
    size_t spare_count;
    struct https_post *under_way;
};

/* Never 0, which is "none" to curl. */
static long https_left_of(int64_t timeout_ms, long spent_ms) {
    return spent_ms < timeout_ms ? (long)timeout_ms - spent_ms : 1;
}

static int https_on_timer(CURLM *multi, long timeout_ms, void *arg) {
    struct https_client *client = arg;
    (void)multi;
    if (timeout_ms < 0)
        loop_timer_clear(client->loop, &client->timer);
    else
        loop_timer_set(client->loop, &client->timer, clock_ms() + timeout_ms);
    return 0;
}

/* Each request is begun once. curl would resend a request by itself if a cached connection turned
 * out dead: a second attempt, which only the lane may decide. */
static bool https_begun_before(struct https_post *post) {
    if (post->exchange.begun)
        post->failure = died;
    return post->exchange.begun;
}

static int https_on_begin(void *arg, char *address, char *local_address, int port, int local_port) {
    struct https_post *post = arg;
    (void)address, (void)local_address, (void)port, (void)local_port;
    if (https_begun_before(post))
        return CURL_PREREQFUNC_ABORT;
    post->exchange.begun = true;
    return CURL_PREREQFUNC_OK;
}

/* --- faults */

/* The fault behind a failed attempt. A failure after the request is on its way counts against the
 * endpoint or the network. */
static enum fault_kind https_find_fault(const struct https_post *post, CURLcode code) {
    long os_errno = 0;
    if (post->exchange.begun)
        return FAULT_NONE;
    enum fault_kind fault = post->fault ? post->fault : machine_fault();
    if (fault)
        return fault;
    if (code == CURLE_OUT_OF_MEMORY || code == CURLE_FAILED_INIT)
        return FAULT_MEMORY;
    if (code == CURLE_SSL_CACERT_BADFILE)
        return FAULT_CA;
    curl_easy_getinfo(post->handle->easy, CURLINFO_OS_ERRNO, &os_errno);
    if (code == CURLE_COULDNT_CONNECT && os_errno == ENETUNREACH && !machine_has_route())
        return FAULT_ROUTE;
    return code == CURLE_COULDNT_CONNECT ? machine_fault_of((int)os_errno) : FAULT_NONE;
}

/* A kept-alive connection ended before the first byte of an answer. The endpoint may have closed
 * the connection just before the request, so the request is tried again on a new connection (RFC
 * 9110 9.2.2). */
static bool https_is_stale(const struct https_post *post, CURLcode code) {
    bool ended = post->failure == died || code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR ||
                 code == CURLE_GOT_NOTHING;
    return ended && post->exchange.begun && !post->opened && post->header_bytes == 0 &&
           post->answer_bytes == 0;
}

/* The final check of where a connection may go: the address actually called, whatever the name
 * resolved to. */
static curl_socket_t https_on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address) {
    struct https_post *post = arg;
    (void)purpose;
    if (https_begun_before(post))
        return CURL_SOCKET_BAD;
    if (!address_allowed(&address->addr, post->client->options.allowed,
                         post->client->options.allowed_count)) {
        post->failure = not_public;
        return CURL_SOCKET_BAD;
    }
    int fd = sockets_open(post->client->sockets, address, post->handle->host, &post->exchange);
    if (fd < 0)
        post->fault = machine_fault_of(errno);
    post->opened |= fd >= 0;
    return fd;
}

static size_t https_on_write(char *data, size_t size, size_t count, void *arg) {
    struct https_post *post = arg;
    size_t len = size * count;
    for (size_t i = 0; i < len && post->excerpt_len < EXCERPT_BYTES - 1; i++)
        post->excerpt[post->excerpt_len++] = data[i] >= 0x20 && data[i] < 0x7f ? data[i] : ' ';
    size_t room = post->answer_max - post->answer.len;
    buf_append(&post->answer, data, len < room ? len : room);
    post->answer_bytes += len;
    return post->answer_bytes > ANSWER_BYTES_MAX ? 0 : len; /* the status counts; skip the rest */
}

/* A line of the answer's headers. An empty line ends the headers, including those of each 1xx
 * before. */
static size_t https_on_header(char *data, size_t size, size_t count, void *arg) {
    struct https_post *post = arg;
    long status = 0;
    size_t len = size * count;
    post->header_bytes += len;
    if (len && (*data == '\r' || *data == '\n')) {
        curl_easy_getinfo(post->handle->easy, CURLINFO_RESPONSE_CODE, &status);
        post->exchange.answered = status >= 200;
    }
    return post->header_bytes > HEADER_BYTES_MAX ? 0 : len;
}

static void https_handle_forget_url(struct handle *handle) {
    free(handle->url);
    curl_free(handle->host);
    curl_free(handle->port);
    handle->url = handle->host = handle->port = NULL;
}

static void https_handle_free(struct handle *handle) {
    curl_easy_cleanup(handle->easy);
    https_handle_forget_url(handle);
    free(handle);
}

static void https_handle_set_url(struct handle *handle, const char *text) {
    struct sockaddr_storage literal;
    if (handle->url && strcmp(handle->url, text) == 0)
        return;
    https_handle_forget_url(handle);
    CURLU *url = curl_url();
    if (!url || curl_url_set(url, CURLUPART_URL, text, 0) ||
        curl_url_get(url, CURLUPART_HOST, &handle->host, 0) ||
        curl_url_get(url, CURLUPART_PORT, &handle->port, CURLU_DEFAULT_PORT))
        abort(); /* the URL was checked at registration */
    curl_url_cleanup(url);
    curl_easy_setopt(handle->easy, CURLOPT_URL, text);
    handle->url = mem_copy_string(text, strlen(text));
    handle->literal = address_from_literal(handle->host, &literal);
}

/* libcurl signs the headers and the body when it sends them. NULL: unsigned, and no credentials of
 * an earlier request stay. */
static void https_handle_sign(struct handle *handle, const struct https_sigv4 *sigv4) {
    CURL *easy = handle->easy;
    curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, sigv4 ? sigv4->scope : NULL);
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, sigv4 ? CURLAUTH_AWS_SIGV4 : CURLAUTH_BASIC);
    curl_easy_setopt(easy, CURLOPT_USERNAME, sigv4 ? sigv4->access_key_id : NULL);
    curl_easy_setopt(easy, CURLOPT_PASSWORD, sigv4 ? sigv4->secret_access_key : NULL);
    handle->signs = sigv4;
}

static void https_handle_keep(struct https_client *client, struct handle *handle) {
    if (!handle)
        return;
    if (handle->signs)
        https_handle_sign(handle, NULL);
    handshake_set(&handle->handshake, handle->easy, NULL);
    curl_easy_setopt(handle->easy, CURLOPT_ERRORBUFFER, NULL);
    if (client->spare_count < SPARE_HANDLES_MAX)
        client->spare[client->spare_count++] = handle;
    else
        https_handle_free(handle);
}

static void https_free(struct https_post *post) {
    struct https_client *client = post->client;
    DL_DELETE(client->under_way, post);
    resolver_forget(&post->resolve);
    loop_timer_clear(client->loop, &post->timer);
    if (post->added)
        curl_multi_remove_handle(client->multi, post->handle->easy);
    sockets_leave(&post->exchange);
    https_handle_keep(client, post->handle);
    authorities_release(post->authorities);
    curl_slist_free_all(post->headers);
    curl_slist_free_all(post->pins);
    buf_fini(&post->answer);
    free(post);
}

static void https_complete(struct https_post *post, const struct https_result *found) {
    const struct https_result result = {
        .status = found->status,
        .error = found->status ? NULL : found->error,
        .fault = found->fault,
        .stale = found->stale,
        .connected = post->opened && post->exchange.begun,
        .retry_after_ms = found->retry_after_ms,
        .duration_ms = clock_ms() - post->began_ms,
        .excerpt = post->excerpt_len ? post->excerpt : NULL,
        .answer = {post->answer.data, post->answer.len},
    };
    post->done(post->arg, &result);
    https_free(post);
}

static void https_finish(struct https_client *client, CURL *easy, CURLcode code) {
    char *private = NULL;
    long status = 0;
    curl_off_t retry_after_s = 0;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    struct https_post *post = (struct https_post *)(void *)private;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    bool counts = post->exchange.answered && code != CURLE_OPERATION_TIMEDOUT;
    handshake_explain(&post->handle->handshake, clock_wall_ms(), post->reason, sizeof post->reason);
    const struct https_result result = {
        .status = counts ? (int)status : 0,
        .error = post->failure   ? post->failure
                 : *post->reason ? post->reason
                 : code          ? curl_easy_strerror(code)
                                 : "the answer's headers were cut short",
        .fault = counts || post->failure == not_public ? FAULT_NONE : https_find_fault(post, code),
        .stale = !counts && https_is_stale(post, code),
        .retry_after_ms = retry_after_s < INT_MAX ? (int64_t)retry_after_s * 1000 : INT_MAX,
    };
    curl_multi_remove_handle(
        client->multi, easy); /* close a broken connection before the attempt counts as ended */
    post->added = false;
    https_complete(post, &result);
}

static void https_collect(void *arg) {
    struct https_client *client = arg;
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left)))
        if (message->msg == CURLMSG_DONE)
            https_finish(client, message->easy_handle, message->data.result);
}

static void https_on_timeout(void *arg) {
    struct https_client *client = arg;
    int running;
    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    https_collect(client);
}

static struct handle *https_handle_new(struct https_client *client) {
    const struct https_client_options *o = &client->options;
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
    handshake_init(easy);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)(o->idle_timeout_ms / 1000));
    curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, (long)(o->lifetime_ms / 1000));
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "ess/" ESS_VERSION);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, https_on_begin);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, https_on_open);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, sockets_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, client->sockets);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, https_on_write);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, https_on_header);
    handle->easy = easy;
    return handle;
}

/* Sets what differs by request. Headers and a body below 64 KiB go out in one write. */
static void https_configure(struct https_post *post) {
    CURL *easy = post->handle->easy;
    long spent_ms = (long)(clock_ms() - post->began_ms);
    post->authorities = authorities_take(post->client->authorities);
    curl_easy_setopt(easy, CURLOPT_CAINFO, authorities_path(post->authorities));
    curl_easy_setopt(easy, CURLOPT_RESOLVE, post->pins);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, (long)post->fresh);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, https_left_of(post->timeout_ms, spent_ms));
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     https_left_of(post->client->options.connect_timeout_ms, spent_ms));
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, post->headers);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)post->body.len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, post->body.data);
    if (post->sigv4)
        https_handle_sign(post->handle, post->sigv4);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, post);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, post);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, post);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, post);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, post->reason);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, post);
}

static void https_on_failed(void *arg) {
    struct https_post *post = arg;
    const struct https_result result = {.error = post->failure, .fault = post->fault};
    https_complete(post, &result);
}

/* The caller of https_send is never called back from within. */
static void https_fail_soon(struct https_post *post, const char *failure) {
    post->failure = failure;
    loop_timer_set(post->client->loop, &post->timer, clock_ms());
}

static void https_fail_for_memory(struct https_post *post) {
    post->fault = FAULT_MEMORY;
    https_fail_soon(post, "no memory is left");
}

static void https_launch(struct https_post *post) {
    https_configure(post);
    post->added = curl_multi_add_handle(post->client->multi, post->handle->easy) == CURLM_OK;
    if (!post->added)
        https_fail_for_memory(post);
}

/* --- names */

static void https_add_address(struct buf *list, const struct sockaddr *address) {
    char text[INET6_ADDRSTRLEN];
    bool v6 = address->sa_family == AF_INET6;
    const void *bytes =
        v6 ? (const void *)&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr
           : (const void *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;
    inet_ntop(address->sa_family, bytes, text, sizeof text);
    buf_printf(list, "%s%s%s%s", list->len ? "," : "", v6 ? "[" : "", text, v6 ? "]" : "");
}

/* Gives curl the name's addresses, so that curl resolves nothing. curl may look the name up
 * without the final dot. */
static void https_pin(struct https_post *post, const char *addresses) {
    const char *host = post->handle->host, *port = post->handle->port;
    struct buf line = {0};
    size_t len = strlen(host);
    buf_printf(&line, "+%s:%s:%s", host, port, addresses);
    post->pins = curl_slist_append(post->pins, buf_string(&line));
    if (len && host[len - 1] == '.') {
        buf_clear(&line);
        buf_printf(&line, "+%.*s:%s:%s", (int)len - 1, host, port, addresses);
        post->pins = curl_slist_append(post->pins, buf_string(&line));
    }
    buf_fini(&line);
}

/* An unanswered name counts against the endpoint, unless the name servers answer nothing at all,
 * or answered nothing a moment ago when this name was asked for. */
static enum fault_kind https_find_name_fault(const struct https_post *post, bool no_server) {
    struct https_client *client = post->client;
    enum fault_kind fault = machine_fault();
    int64_t now_ms = clock_ms();
    if (fault || !no_server)
        return fault;
    if (!resolver_heard_since(client->resolver, post->began_ms))
        client->deaf_until_ms = now_ms + DEAF_MS;
    return now_ms < client->deaf_until_ms ? FAULT_NAMES : FAULT_NONE;
}

/* Calls those of the name's addresses that are allowed. */
static void https_use_answer(struct https_post *post, const struct resolver_answer *answer) {
    const struct https_client_options *o = &post->client->options;
    struct buf addresses = {0};
    for (size_t i = 0; i < answer->count; i++) {
        const struct sockaddr *address = (const struct sockaddr *)&answer->addresses[i];
        if (address_allowed(address, o->allowed, o->allowed_count))
            https_add_address(&addresses, address);
    }
    if (addresses.len) {
        https_pin(post, buf_string(&addresses));
        https_launch(post);
    } else {
        post->fault = answer->count ? FAULT_NONE : https_find_name_fault(post, answer->no_server);
        https_fail_soon(post, answer->count ? not_public : answer->error);
    }
    buf_fini(&addresses);
}

static void https_on_resolved(void *arg, const struct resolver_answer *answer) {
    struct https_post *post = arg;
    loop_timer_clear(post->client->loop, &post->timer);
    loop_timer_init(&post->timer, https_on_failed, post);
    post->failure = NULL;
    https_use_answer(post, answer);
}

static void https_on_name_late(void *arg) {
    struct https_post *post = arg;
    post->fault = https_find_name_fault(post, true);
    https_on_failed(post);
}

static void https_resolve(struct https_post *post, const char *url) {
    https_handle_set_url(post->handle, url);
    if (post->handle->literal) {
        https_launch(post);
        return;
    }
    post->resolve = (struct resolve){.done = https_on_resolved, .arg = post};
    const struct resolver_answer *answer = resolver_find(post->client->resolver, &post->resolve,
                                                         post->handle->host);
    if (answer) {
        https_use_answer(post, answer);
        return;
    }
    post->failure = "the host name could not be resolved in time";
    loop_timer_init(&post->timer, https_on_name_late, post);
    loop_timer_set(post->client->loop, &post->timer,
                   post->began_ms + post->client->options.connect_timeout_ms);
}

struct https_post *https_send(struct https_client *client, const struct https_request *request) {
    struct https_post *post = mem_zero(sizeof *post);
    *post = (struct https_post){.client = client,
                                .headers = request->headers,
                                .body = request->body,
                                .sigv4 = request->sigv4,
                                .answer_max = request->answer_max,
                                .timeout_ms = request->timeout_ms,
                                .fresh = request->fresh,
                                .done = request->done,
                                .arg = request->arg,
                                .began_ms = clock_ms()};
    loop_timer_init(&post->timer, https_on_failed, post);
    post->handle = client->spare_count ? client->spare[--client->spare_count]
                                       : https_handle_new(client);
    DL_APPEND(client->under_way, post);
    if (!post->handle) {
        https_fail_for_memory(post);
        return post;
    }
    handshake_set(&post->handle->handshake, post->handle->easy, request->tls);
    https_resolve(post, request->url);
    return post;
}

struct outcome https_outcome(const struct https_result *result, enum verdict verdict) {
    const enum verdict made = result->unsent ? VERDICT_UNSENT : verdict;
    return (struct outcome){.verdict = result->fault || result->stale ? VERDICT_CALLED_OFF : made,
                            .fault = result->fault,
                            .stale = result->stale,
                            .connected = result->connected,
                            .retry_after_ms = result->retry_after_ms,
                            .duration_ms = result->duration_ms,
                            .status = result->status,
                            .error = result->error,
                            .excerpt = result->excerpt};
}

void https_cancel(struct https_post *post) { https_free(post); }

/* Ends the reuse of connections to addresses that the name no longer has. */
static void https_on_addresses_changed(void *arg, const char *host,
                                       const struct resolver_answer *answer) {
    struct https_client *client = arg;
    const struct address_set set = {answer->addresses, answer->count, answer->ipv4_known,
                                    answer->ipv6_known};
    sockets_keep(client->sockets, host, &set);
}

struct https_client *https_client_new(struct loop *loop, const struct https_client_options *options,
                                      struct error *err) {
    struct authorities *authorities = authorities_new(loop, options->ca_file, err);
    if (!authorities)
        return NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        abort();
    struct https_client *client = mem_zero(sizeof *client);
    const struct resolver_options resolver = {
        .servers = options->name_servers, .changed = https_on_addresses_changed, .arg = client};
    *client = (struct https_client){.loop = loop, .options = *options, .authorities = authorities};
    client->resolver = resolver_new(loop, &resolver, err);
    if (!client->resolver) {
        authorities_free(authorities);
        free(client);
        return NULL;
    }
    client->multi = curl_multi_init();
    if (!client->multi)
        abort();
    loop_timer_init(&client->timer, https_on_timeout, client);
    client->sockets = sockets_new(loop, client->multi, https_collect, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, https_on_timer);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)options->max_connections);
    return client;
}

void https_client_free(struct https_client *client) {
    if (!client)
        return;
    while (client->under_way)
        https_free(client->under_way);
    for (size_t i = 0; i < client->spare_count; i++)
        https_handle_free(client->spare[i]);
    curl_multi_cleanup(client->multi);
    sockets_free(client->sockets);
    resolver_free(client->resolver);
    authorities_free(client->authorities);
    loop_timer_clear(client->loop, &client->timer);
    free(client);
    curl_global_cleanup();
}
