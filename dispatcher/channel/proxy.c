/* The forward proxy; see proxy.h. */
#include "dispatcher/channel/proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/net/no_proxy.h"
#include "common/net/proxy_url.h"
#include "dispatcher/channel/handshake.h"

enum { PASSWORD_BYTES_MAX = 4096, TURNS_MAX = 4096, RECENT_MS = 10000, PROBE_MS = 2000 };

/* A host with an address to which no tunnel could be made. */
struct proxy_turn {
    UT_hash_handle hh;
    size_t turn;
    char host[];
};

struct proxy {
    /* of the question that is under way; first for sockets.h */
    struct exchange exchange;
    struct proxy_url url;
    struct https_proxy_options options;
    struct file_watch password_watch;
    struct proxy_turn *turns;
    int64_t passed_ms; /* 0: nothing yet */
    struct sockets *sockets;
    struct proxy_question *questions;
    CURLM *multi; /* NULL: no question is under way */
    CURL *probe;
    struct curl_slist *pins;
};

/* --- the password file */

static void proxy_take_password(struct proxy *p, struct span content) {
    const char *end = memchr(content.data, '\n', content.len);
    size_t len = end ? (size_t)(end - content.data) : content.len;
    if (len && content.data[len - 1] == '\r')
        len--;
    mem_wipe_string(p->url.password);
    p->url.password = mem_copy_string(content.data, len);
}

static void proxy_on_password(void *arg, struct span content, const struct error *unreadable) {
    struct proxy *p = arg;
    if (unreadable) {
        log_error("bad_proxy_password_file", LOG_S("file", p->options.password_file),
                  LOG_S("reason", unreadable->message));
        return;
    }
    proxy_take_password(p, content);
    log_info("proxy_password_read", LOG_S("file", p->options.password_file));
}

static int proxy_read_password(struct proxy *p, struct loop *loop, struct error *err) {
    struct buf text = {0};
    const char *file = p->options.password_file;
    int result = file_read(file, PASSWORD_BYTES_MAX, &text, err);
    const struct span content = {buf_string(&text), text.len};
    if (result == 0) {
        proxy_take_password(p, content);
        file_watch_init(&p->password_watch, loop, file, PASSWORD_BYTES_MAX, content,
                        proxy_on_password, p);
    }
    buf_wipe(&text);
    struct error reason = *err;
    return result
               ? error_set_field(err, "egress.proxy_password_file", "%s: %s", file, reason.message)
               : 0;
}

/* --- life */

struct proxy *proxy_new(struct loop *loop, const struct https_proxy_options *options,
                        struct error *err) {
    struct proxy *p = mem_zero(sizeof *p);
    p->options = *options;
    if (proxy_url_parse(options->url, &p->url, err)) {
        error_prefix(err, "egress.proxy: ");
    } else if (!*options->password_file || proxy_read_password(p, loop, err) == 0) {
        p->probe = curl_easy_init();
        if (!p->probe)
            abort();
        return p;
    }
    proxy_free(p);
    return NULL;
}

void proxy_use(struct proxy *p, struct sockets *sockets) { p->sockets = sockets; }

static void proxy_forget_turns(struct proxy *p) {
    struct proxy_turn *turn, *next;
    HASH_ITER(hh, p->turns, turn, next) {
        HASH_DEL(p->turns, turn);
        free(turn);
    }
}

static void proxy_end_probe(struct proxy *p) {
    if (p->multi)
        curl_multi_remove_handle(p->multi, p->probe);
    p->multi = NULL;
    sockets_leave(&p->exchange);
    curl_slist_free_all(p->pins);
    p->pins = NULL;
}

void proxy_free(struct proxy *p) {
    if (!p)
        return;
    proxy_end_probe(p);
    curl_easy_cleanup(p->probe);
    file_watch_fini(&p->password_watch);
    proxy_forget_turns(p);
    proxy_url_fini(&p->url);
    free(p);
}

/* --- who goes through it */

const char *proxy_host(const struct proxy *p) { return p->url.host; }
const char *proxy_port(const struct proxy *p) { return p->url.port; }

bool proxy_skips_host(const struct proxy *p, const char *host) {
    return no_proxy_has_host(p->options.skipped->items, p->options.skipped->count, host);
}

bool proxy_skips_address(const struct proxy *p, const struct sockaddr *address) {
    return no_proxy_has_address(p->options.skipped->items, p->options.skipped->count, address);
}

/* "" is no proxy, and no host without it: curl would take those of the environment for NULL. */
void proxy_set(const struct proxy *p, CURL *easy, const char *ca_file) {
    curl_easy_setopt(easy, CURLOPT_PROXY, p ? p->url.server : "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    curl_easy_setopt(easy, CURLOPT_PROXYUSERNAME, p ? p->url.user : NULL);
    curl_easy_setopt(easy, CURLOPT_PROXYPASSWORD, p ? p->url.password : NULL);
    if (!p)
        return;
    curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXYAUTH, (long)CURLAUTH_BASIC);
    curl_easy_setopt(easy, CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, SYSTEM_CERTIFICATES);
    curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, ca_file);
}

/* --- which address */

static struct proxy_turn *proxy_find_turn(const struct proxy *p, const char *host) {
    struct proxy_turn *turn;
    HASH_FIND_STR(p->turns, host, turn);
    return turn;
}

size_t proxy_choose(const struct proxy *p, const char *host, size_t count) {
    const struct proxy_turn *turn = proxy_find_turn(p, host);
    return turn ? turn->turn % count : 0;
}

void proxy_note_refused(struct proxy *p, const char *host) {
    struct proxy_turn *turn = proxy_find_turn(p, host);
    size_t len = strlen(host);
    if (!turn) {
        if (HASH_COUNT(p->turns) >= TURNS_MAX)
            proxy_forget_turns(p);
        turn = mem_zero(sizeof *turn + len + 1);
        memcpy(turn->host, host, len);
        HASH_ADD_STR(p->turns, host, turn);
    }
    turn->turn++;
}

/* --- what a failure means */

void proxy_note_passed(struct proxy *p) { p->passed_ms = clock_ms(); }

static bool proxy_passed_lately(const struct proxy *p) {
    return p->passed_ms && clock_ms() - p->passed_ms < RECENT_MS;
}

/* tinyproxy answers 401 to a wrong password, and 407 to none. */
static enum fault_kind proxy_fault_of(int status) {
    switch (status) {
    case 401:
    case 407:
        return FAULT_PROXY_LOGIN;
    case 502:
    case 503:
    case 504:
        return FAULT_PROXY_GATEWAY;
    default:
        return FAULT_NONE;
    }
}

static bool proxy_is_tls(CURLcode code) {
    return code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION ||
           code == CURLE_SSL_CIPHER || code == CURLE_SSL_ISSUER_ERROR;
}

void proxy_judge(const struct proxy *p, CURLcode code, int status, struct proxy_failure *failure) {
    *failure = (struct proxy_failure){0};
    if (status >= 300) {
        failure->fault = proxy_fault_of(status);
        failure->alone = proxy_passed_lately(p);
        snprintf(failure->text, sizeof failure->text, "the proxy answers %d to CONNECT%s", status,
                 failure->fault ? "" : ": it refuses the endpoint's address, or cannot reach it");
        failure->error = failure->text;
    } else if (proxy_is_tls(code)) {
        failure->fault = FAULT_PROXY_TLS;
    } else {
        failure->fault = FAULT_PROXY;
        failure->error = code == CURLE_COULDNT_CONNECT ? "the proxy cannot be reached"
                         : status ? "the proxy's answer to CONNECT is none that makes a tunnel"
                                  : "the proxy ends the connection without an answer";
        failure->alone = code != CURLE_COULDNT_CONNECT && proxy_passed_lately(p);
    }
}

/* --- does it live? */

static size_t proxy_on_data(char *data, size_t size, size_t count, void *arg) {
    (void)data, (void)arg;
    return size * count;
}

static curl_socket_t proxy_on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address) {
    struct proxy *p = arg;
    (void)purpose;
    return sockets_open(p->sockets, address, &address->addr, p->url.host, &p->exchange);
}

static void proxy_prepare_probe(struct proxy *p, const char *ca_file) {
    CURL *easy = p->probe;
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_URL, p->url.server);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)PROBE_MS);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    handshake_init(easy);
    curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
    curl_easy_setopt(easy, CURLOPT_RESOLVE, p->pins);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, proxy_on_data);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, proxy_on_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, p);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, sockets_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, p->sockets);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, &p->exchange);
    proxy_set(NULL, easy, NULL);
}

bool proxy_ask(struct proxy *p, struct proxy_question *question, CURLM *multi,
               const struct curl_slist *pins, const char *ca_file) {
    if (!p->multi) {
        for (; pins; pins = pins->next)
            p->pins = curl_slist_append(p->pins, pins->data);
        proxy_prepare_probe(p, ca_file);
        if (curl_multi_add_handle(multi, p->probe) != CURLM_OK)
            return false;
        p->multi = multi;
    }
    question->asked = true;
    DL_APPEND(p->questions, question);
    return true;
}

void proxy_forget(struct proxy *p, struct proxy_question *question) {
    if (question->asked)
        DL_DELETE(p->questions, question);
    question->asked = false;
}

bool proxy_on_finished(struct proxy *p, CURL *easy, CURLcode code) {
    long status = 0;
    if (!p || easy != p->probe)
        return false;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    proxy_end_probe(p);
    for (struct proxy_question *question; (question = p->questions);) {
        proxy_forget(p, question);
        question->done(question->arg, status > 0 || code == CURLE_GOT_NOTHING);
    }
    return true;
}
