/* HTTPS POSTs by libcurl; see webhook.h. After curl's multi_socket_action examples. */
#include "dispatcher/webhook.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/version.h"

enum { EXCERPT_BYTES = 128, ANSWER_BYTES_MAX = 64 * 1024, HEADER_BYTES_MAX = 64 * 1024, SPARE_HANDLES_MAX = 64 };

#define SYSTEM_CERTIFICATES "/etc/ssl/certs"

struct webhook {
    struct webhook_client *client;
    CURL *easy;
    struct curl_slist *headers;
    struct buf body;
    size_t sent;
    void (*done)(void *, const struct webhook_result *);
    void *arg;
    int64_t began_ms;
    char excerpt[EXCERPT_BYTES];
    size_t excerpt_len, answer_bytes, header_bytes;
    bool refused; /* its address may not be called */
    char reason[CURL_ERROR_SIZE];
    struct webhook *prev, *next;
};

struct webhook_client {
    struct loop *loop;
    struct webhook_client_options options;
    CURLM *multi;
    struct loop_timer timer;
    CURL *spare[SPARE_HANDLES_MAX]; /* keep their buffers */
    size_t spare_count;
    struct webhook *under_way;
};

/* A socket of curl's on the loop. */
struct watched {
    struct webhook_client *client;
    struct loop_io io;
};

static void finish(struct webhook_client *client, CURL *easy, CURLcode code);

static void collect(struct webhook_client *client) {
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left)))
        if (message->msg == CURLMSG_DONE)
            finish(client, message->easy_handle, message->data.result);
}

static void on_socket_ready(void *arg, uint32_t events) {
    struct watched *watched = arg;
    struct webhook_client *client = watched->client;
    int running, flags = 0;
    flags |= events & EPOLLIN ? CURL_CSELECT_IN : 0;
    flags |= events & EPOLLOUT ? CURL_CSELECT_OUT : 0;
    flags |= events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0;
    curl_multi_socket_action(client->multi, watched->io.fd, flags, &running); /* may free `watched` */
    collect(client);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg) {
    struct webhook_client *client = arg;
    struct watched *watched = socket_arg;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watched)
            loop_io_clear(client->loop, &watched->io);
        free(watched);
        curl_multi_assign(client->multi, fd, NULL);
        return 0;
    }
    if (!watched) {
        watched = mem_zero(sizeof *watched);
        watched->client = client;
        curl_multi_assign(client->multi, fd, watched);
    }
    uint32_t events = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) | (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
    loop_io_set(client->loop, &watched->io, fd, events, on_socket_ready, watched);
    return 0;
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

static void on_timeout(void *arg) {
    struct webhook_client *client = arg;
    int running;
    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(client);
}

/* The last word on where a connection may go: whatever a name resolved to, this is the address that is called. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address) {
    struct webhook *w = arg;
    (void)purpose;
    if (!address_allowed(&address->addr, w->client->options.allowed, w->client->options.allowed_count)) {
        w->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t on_read(char *to, size_t size, size_t count, void *arg) {
    struct webhook *w = arg;
    size_t left = w->body.len - w->sent, n = size * count < left ? size * count : left;
    memcpy(to, w->body.data + w->sent, n);
    w->sent += n;
    return n;
}

/* curl asks to rewind when it wants to send again on a new connection: that is our decision. */
static int on_seek(void *arg, curl_off_t offset, int origin) {
    (void)arg, (void)offset, (void)origin;
    return CURL_SEEKFUNC_FAIL;
}

static size_t on_write(char *data, size_t size, size_t count, void *arg) {
    struct webhook *w = arg;
    size_t len = size * count;
    for (size_t i = 0; i < len && w->excerpt_len < EXCERPT_BYTES - 1; i++)
        w->excerpt[w->excerpt_len++] = data[i] >= 0x20 && data[i] < 0x7f ? data[i] : ' ';
    w->answer_bytes += len;
    return w->answer_bytes > ANSWER_BYTES_MAX ? 0 : len; /* the status is what counts; the rest is not read */
}

static size_t on_header(char *data, size_t size, size_t count, void *arg) {
    struct webhook *w = arg;
    (void)data;
    w->header_bytes += size * count;
    return w->header_bytes > HEADER_BYTES_MAX ? 0 : size * count;
}

static void webhook_free(struct webhook *w) {
    struct webhook_client *client = w->client;
    DL_DELETE(client->under_way, w);
    curl_multi_remove_handle(client->multi, w->easy);
    curl_easy_reset(w->easy);
    if (client->spare_count < SPARE_HANDLES_MAX)
        client->spare[client->spare_count++] = w->easy;
    else
        curl_easy_cleanup(w->easy);
    curl_slist_free_all(w->headers);
    buf_fini(&w->body);
    free(w);
}

static void finish(struct webhook_client *client, CURL *easy, CURLcode code) {
    char *private = NULL;
    long status = 0;
    curl_off_t retry_after_s = 0;
    (void)client;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    struct webhook *w = (struct webhook *)(void *)private;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    bool whole = code == CURLE_OK || (code == CURLE_WRITE_ERROR && w->answer_bytes > ANSWER_BYTES_MAX);
    const char *error = w->refused && !whole ? "the address is not public; egress.allow does not allow it"
                        : *w->reason         ? w->reason
                                             : curl_easy_strerror(code);
    struct webhook_result result = {
        .status = whole ? (int)status : 0,
        .error = whole ? NULL : error,
        .retry_after_ms = retry_after_s < INT_MAX ? (int64_t)retry_after_s * 1000 : INT_MAX,
        .duration_ms = clock_ms() - w->began_ms,
        .excerpt = w->excerpt_len ? w->excerpt : NULL,
        .body = {w->body.data, w->body.len},
    };
    curl_multi_remove_handle(client->multi, easy); /* a broken connection is closed before anyone counts it as ended */
    w->done(w->arg, &result);
    webhook_free(w);
}

static void configure(struct webhook *w, const struct webhook_request *request) {
    const struct webhook_client_options *o = &w->client->options;
    CURL *easy = w->easy;
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* also against the environment's: only the address itself is checked */
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_CAPATH, SYSTEM_CERTIFICATES);
    curl_easy_setopt(easy, CURLOPT_CAINFO, *o->ca_file ? o->ca_file : NULL);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "ess/" ESS_VERSION);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, w->headers);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)w->body.len);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, w);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, w);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, w);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, w);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, w->reason);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, w);
}

struct webhook *webhook_send(struct webhook_client *client, const struct webhook_request *request) {
    struct webhook *w = mem_zero(sizeof *w);
    *w = (struct webhook){.client = client, .headers = request->headers, .done = request->done, .arg = request->arg, .began_ms = clock_ms()};
    w->body = *request->body;
    buf_init(request->body);
    w->easy = client->spare_count ? client->spare[--client->spare_count] : curl_easy_init();
    if (!w->easy)
        abort();
    DL_APPEND(client->under_way, w);
    configure(w, request);
    if (curl_multi_add_handle(client->multi, w->easy) != CURLM_OK)
        abort(); /* only out of memory, or a handle that is in it already */
    return w;
}

void webhook_cancel(struct webhook *w) { webhook_free(w); }

struct webhook_client *webhook_client_new(struct loop *loop, const struct webhook_client_options *options, struct error *err) {
    if (*options->ca_file && access(options->ca_file, R_OK) != 0) {
        error_set_field(err, "egress.ca_file", "%s cannot be read", options->ca_file);
        return NULL;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        abort();
    struct webhook_client *client = mem_zero(sizeof *client);
    *client = (struct webhook_client){.loop = loop, .options = *options, .multi = curl_multi_init()};
    if (!client->multi)
        abort();
    loop_timer_init(&client->timer, on_timeout, client);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
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
        curl_easy_cleanup(client->spare[i]);
    curl_multi_cleanup(client->multi);
    loop_timer_clear(client->loop, &client->timer);
    free(client);
    curl_global_cleanup();
}
