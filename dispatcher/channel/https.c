/* HTTPS POSTs by libcurl; see https.h. After curl's multi_socket_action examples. */
#include "dispatcher/channel/https.h"

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
#include "dispatcher/channel/handle.h"
#include "dispatcher/channel/https_post.h"
#include "dispatcher/channel/machine.h"
#include "dispatcher/channel/proxy.h"
#include "dispatcher/channel/resolver.h"
#include "dispatcher/channel/route.h"
#include "dispatcher/channel/sockets.h"

enum {
    EXCERPT_BYTES = 128,
    ANSWER_BYTES_MAX = 64 * 1024,
    HEADER_BYTES_MAX = 64 * 1024,
    TUNNEL_BYTES_MAX = 16 * 1024
};

static const char died[] = "the connection was closed before an answer came";

struct https_post {
    struct exchange exchange; /* first, for sockets.h */
    struct https_client *client;
    struct handle *handle;
    struct curl_slist *headers;
    struct route route;
    struct authorities_copy *authorities; /* held from the moment curl has the request */
    struct proxy_question question;       /* does the proxy live? */
    struct https_result unsure;           /* waits for the answer */
    struct loop_timer timer;              /* reports a failure from the loop */
    const char *failure;   /* reason of a failure found before curl got the request; NULL: none */
    enum fault_kind fault; /* fault of a failure found before curl got the request */
    bool fresh, opened;    /* a new connection is wanted; was begun */
    bool tunnelled;        /* the proxy has made a tunnel on the new connection */
    size_t tunnel_bytes;   /* of the headers of its answer to CONNECT */
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
    struct proxy *proxy; /* NULL: none */
    struct routes routes;
    struct authorities *authorities;
    struct loop_timer timer;
    struct sockets *sockets;
    struct handles handles;
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
    if (code == CURLE_COULDNT_CONNECT && os_errno == ENETUNREACH && !post->route.proxied &&
        !machine_has_route())
        return FAULT_ROUTE;
    return code == CURLE_COULDNT_CONNECT ? machine_fault_of((int)os_errno) : FAULT_NONE;
}

/* A kept-alive connection ended before the first byte of an answer. The endpoint may have closed
 * the connection just before the request, so the request is tried again on a new connection (RFC
 * 9110 9.2.2). A new connection through a proxy may end with the proxy, so it is given the same
 * benefit, unless this was that new connection. */
static bool https_is_stale(const struct https_post *post, CURLcode code) {
    bool ended = post->failure == died || code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR ||
                 code == CURLE_GOT_NOTHING;
    bool spared = !post->opened || (post->route.proxied && !post->fresh);
    return ended && post->exchange.begun && spared && post->header_bytes == 0 &&
           post->answer_bytes == 0;
}

static curl_socket_t https_on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address) {
    struct https_post *post = arg;
    (void)purpose;
    if (https_begun_before(post))
        return CURL_SOCKET_BAD;
    if (!route_allows(&post->route, &address->addr)) {
        post->failure = route_not_public;
        return CURL_SOCKET_BAD;
    }
    const struct sockaddr *peer = post->route.proxied ? (const struct sockaddr *)&post->route.target
                                                      : &address->addr;
    int fd = sockets_open(post->client->sockets, address, peer, post->handle->host,
                          &post->exchange);
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

/* Only before a request on a new connection. After a refusal curl would read a body for as long as
 * the proxy sends one, and nothing else would run meanwhile. */
static size_t https_on_tunnel_header(struct https_post *post, bool ends, size_t len) {
    long status = 0;
    post->tunnel_bytes += len;
    if (!ends)
        return post->tunnel_bytes > TUNNEL_BYTES_MAX ? 0 : len;
    curl_easy_getinfo(post->handle->easy, CURLINFO_HTTP_CONNECTCODE, &status);
    post->tunnelled = status / 100 == 2;
    return post->tunnelled ? len : 0;
}

/* A line of the answer's headers. An empty line ends the headers, including those of each 1xx
 * before. */
static size_t https_on_header(char *data, size_t size, size_t count, void *arg) {
    struct https_post *post = arg;
    long status = 0;
    size_t len = size * count;
    bool ends = len && (*data == '\r' || *data == '\n');
    if (post->route.proxied && !post->exchange.begun)
        return https_on_tunnel_header(post, ends, len);
    post->header_bytes += len;
    if (ends) {
        curl_easy_getinfo(post->handle->easy, CURLINFO_RESPONSE_CODE, &status);
        post->exchange.answered = status >= 200;
    }
    return post->header_bytes > HEADER_BYTES_MAX ? 0 : len;
}

static void https_free(struct https_post *post) {
    struct https_client *client = post->client;
    DL_DELETE(client->under_way, post);
    proxy_forget(client->proxy, &post->question);
    loop_timer_clear(client->loop, &post->timer);
    if (post->added)
        curl_multi_remove_handle(client->multi, post->handle->easy);
    route_fini(&post->route);
    sockets_leave(&post->exchange);
    handles_keep(&client->handles, post->handle);
    authorities_release(post->authorities);
    curl_slist_free_all(post->headers);
    buf_wipe(&post->answer); /* may hold a token */
    free(post);
}

static void https_complete(struct https_post *post, const struct https_result *found) {
    const struct https_result result = {
        .status = found->status,
        .error = found->status ? NULL : found->error,
        .fault = found->fault,
        .alone = found->alone,
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

/* --- through the proxy */

/* The request never had a tunnel to the endpoint. */
static bool https_lacks_tunnel(const struct https_post *post) {
    return post->route.proxied && post->opened && !post->exchange.begun && !post->tunnelled;
}

static void https_judge_tunnel(struct https_post *post, CURLcode code, long connect_status,
                               struct https_result *result) {
    struct proxy_failure failure;
    proxy_judge(post->client->proxy, code, (int)connect_status, &failure);
    if (connect_status)
        proxy_note_refused(post->client->proxy, post->handle->host);
    result->fault = result->fault ? result->fault : failure.fault;
    result->alone = failure.alone;
    if (!failure.error)
        return;
    snprintf(post->reason, sizeof post->reason, "%s", failure.error);
    result->error = post->reason;
}

static void https_on_proxy_answered(void *arg, bool lives) {
    struct https_post *post = arg;
    struct https_result result = post->unsure;
    if (!lives) {
        result.fault = FAULT_PROXY;
        result.alone = false;
        result.error = "the proxy does not answer";
    } else if (!post->exchange.begun && result.fault == FAULT_PROXY) {
        proxy_note_refused(post->client->proxy, post->handle->host);
        result.fault = FAULT_PROXY_GATEWAY;
        result.alone = true;
        result.error = "the proxy made no tunnel to the endpoint in time";
    }
    https_complete(post, &result);
}

/* Where nothing was answered, a silent or dead proxy looks as the endpoint would. Returns whether
 * the proxy is asked. */
static bool https_asks_proxy(struct https_post *post, CURLcode code, long connect_status,
                             const struct https_result *result) {
    bool reached = post->opened || post->exchange.begun;
    bool known = result->status || result->stale || connect_status / 100 > 2 ||
                 (result->fault && code != CURLE_OPERATION_TIMEDOUT) ||
                 code == CURLE_PEER_FAILED_VERIFICATION;
    if (!post->route.proxied || !reached || known)
        return false;
    post->unsure = *result;
    post->question = (struct proxy_question){.done = https_on_proxy_answered, .arg = post};
    return proxy_ask(post->client->proxy, &post->question, post->client->multi, post->route.pins,
                     authorities_path(post->authorities));
}

/* --- the end */

static const char *https_find_reason(const struct https_post *post, CURLcode code) {
    if (post->failure)
        return post->failure;
    if (*post->reason)
        return post->reason;
    return code ? curl_easy_strerror(code) : "the answer's headers were cut short";
}

static struct https_result https_judge(struct https_post *post, CURLcode code,
                                       long connect_status) {
    CURL *easy = post->handle->easy;
    long status = 0;
    curl_off_t retry_after_s = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    bool counts = post->exchange.answered && code != CURLE_OPERATION_TIMEDOUT;
    bool lacks_tunnel = !counts && https_lacks_tunnel(post);
    if (!counts && !lacks_tunnel)
        handshake_explain(&post->handle->handshake, clock_wall_ms(), post->reason,
                          sizeof post->reason);
    struct https_result result = {
        .status = counts ? (int)status : 0,
        .error = https_find_reason(post, code),
        .fault = counts || post->failure == route_not_public ? FAULT_NONE
                                                             : https_find_fault(post, code),
        .stale = !counts && https_is_stale(post, code),
        .retry_after_ms = retry_after_s < INT_MAX ? (int64_t)retry_after_s * 1000 : INT_MAX,
    };
    if (post->tunnelled || (post->route.proxied && counts))
        proxy_note_passed(post->client->proxy);
    if (lacks_tunnel)
        https_judge_tunnel(post, code, connect_status, &result);
    return result;
}

static void https_finish(struct https_client *client, CURL *easy, CURLcode code) {
    char *private = NULL;
    long connect_status = 0;
    if (proxy_on_finished(client->proxy, easy, code))
        return;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &connect_status);
    struct https_post *post = (struct https_post *)(void *)private;
    const struct https_result result = https_judge(post, code, connect_status);
    curl_multi_remove_handle(
        client->multi, easy); /* close a broken connection before the attempt counts as ended */
    post->added = false;
    if (!https_asks_proxy(post, code, connect_status, &result))
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

/* Sets what all requests have in common. */
static void https_prepare(void *arg, CURL *easy) {
    struct https_client *client = arg;
    const struct https_client_options *o = &client->options;
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    handshake_init(easy);
    proxy_set(NULL, easy, NULL);
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
}

/* Most requests go past any proxy, which a new handle is prepared for. */
static void https_set_way(struct https_post *post) {
    struct handle *handle = post->handle;
    bool proxied = post->route.proxied;
    if (!proxied && !handle->proxied)
        return;
    curl_easy_setopt(handle->easy, CURLOPT_CONNECT_TO, post->route.connect_to);
    proxy_set(proxied ? post->client->proxy : NULL, handle->easy,
              authorities_path(post->authorities));
    handle->proxied = proxied;
}

/* Sets what differs by request. Headers and a body below 64 KiB go out in one write. */
static void https_configure(struct https_post *post) {
    CURL *easy = post->handle->easy;
    long spent_ms = (long)(clock_ms() - post->began_ms);
    post->authorities = authorities_take(post->client->authorities);
    curl_easy_setopt(easy, CURLOPT_CAINFO, authorities_path(post->authorities));
    curl_easy_setopt(easy, CURLOPT_RESOLVE, post->route.pins);
    https_set_way(post);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, (long)post->fresh);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, https_left_of(post->timeout_ms, spent_ms));
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     https_left_of(post->client->options.connect_timeout_ms, spent_ms));
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, post->headers);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)post->body.len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, post->body.data);
    if (post->sigv4)
        handle_sign(post->handle, post->sigv4);
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

static void https_on_route(void *arg) {
    struct https_post *post = arg;
    post->failure = post->route.failure;
    post->fault = post->route.fault;
    if (post->failure)
        https_on_failed(post);
    else
        https_launch(post);
}

static void https_begin(struct https_post *post, const char *url) {
    handle_set_url(post->handle, url);
    if (route_find(&post->route, &post->client->routes, post->handle, post->began_ms,
                   https_on_route, post))
        https_launch(post);
}

struct https_post *https_send(struct https_client *client, const struct https_request *request) {
    struct https_post *post = mem_alloc(sizeof *post);
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
    post->handle = handles_take(&client->handles, https_prepare, client);
    DL_APPEND(client->under_way, post);
    if (!post->handle) {
        https_fail_for_memory(post);
        return post;
    }
    handshake_set(&post->handle->handshake, post->handle->easy, request->tls);
    https_begin(post, request->url);
    return post;
}

struct outcome https_outcome(const struct https_result *result, enum verdict verdict) {
    const enum verdict made = result->unsent ? VERDICT_UNSENT : verdict;
    return (struct outcome){.verdict = result->fault || result->stale ? VERDICT_CALLED_OFF : made,
                            .fault = result->fault,
                            .alone = result->alone,
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
    bool by_proxy = options->proxy.url && *options->proxy.url;
    if (client->resolver && by_proxy)
        client->proxy = proxy_new(loop, &options->proxy, err);
    if (!client->resolver || !client->proxy != !by_proxy) {
        resolver_free(client->resolver);
        authorities_free(authorities);
        free(client);
        return NULL;
    }
    client->routes = (struct routes){.loop = loop,
                                     .resolver = client->resolver,
                                     .proxy = client->proxy,
                                     .allowed = options->allowed,
                                     .allowed_count = options->allowed_count,
                                     .timeout_ms = options->connect_timeout_ms};
    client->multi = curl_multi_init();
    if (!client->multi)
        abort();
    loop_timer_init(&client->timer, https_on_timeout, client);
    client->sockets = sockets_new(loop, client->multi, https_collect, client);
    if (client->proxy)
        proxy_use(client->proxy, client->sockets);
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
    handles_fini(&client->handles);
    proxy_free(client->proxy);
    curl_multi_cleanup(client->multi);
    sockets_free(client->sockets);
    resolver_free(client->resolver);
    authorities_free(client->authorities);
    loop_timer_clear(client->loop, &client->timer);
    free(client);
    curl_global_cleanup();
}
