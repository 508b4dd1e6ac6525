/* The forward proxy of egress.proxy: what libcurl needs to make a tunnel through it (CONNECT), what
 * a failure on that way means, and whether the proxy lives. For this folder only, because of
 * libcurl's types. Loop thread only; nothing blocks. */
#ifndef ESS_DISPATCHER_PROXY_H
#define ESS_DISPATCHER_PROXY_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/loop.h"
#include "dispatcher/channel/channel.h"
#include "dispatcher/channel/https.h"
#include "dispatcher/channel/sockets.h"

struct proxy;

/* NULL with the reason. The options' texts must stay. */
struct proxy *proxy_new(struct loop *loop, const struct https_proxy_options *options,
                        struct error *err);
/* The sockets of its own requests. */
void proxy_use(struct proxy *proxy, struct sockets *sockets);
/* Call while no request waits for an answer, and before the multi handle is cleaned up. */
void proxy_free(struct proxy *proxy);

/* The proxy's own host and port. */
const char *proxy_host(const struct proxy *proxy);
const char *proxy_port(const struct proxy *proxy);
/* Whether the host is called without the proxy; whether the address is. */
bool proxy_skips_host(const struct proxy *proxy, const char *host);
bool proxy_skips_address(const struct proxy *proxy, const struct sockaddr *address);

/* Sets a request's way: through the proxy, or with NULL past any, whatever the environment says.
 * `ca_file` (NULL: none) holds for the proxy's own certificate, besides the system's. */
void proxy_set(const struct proxy *proxy, CURL *easy, const char *ca_file);

/* Which of `count` addresses of a host is asked for: another one after a tunnel to one failed. */
size_t proxy_choose(const struct proxy *proxy, const char *host, size_t count);
void proxy_note_refused(struct proxy *proxy, const char *host);
/* The proxy let something through. */
void proxy_note_passed(struct proxy *proxy);

/* A tunnel that was not made. */
struct proxy_failure {
    enum fault_kind fault; /* FAULT_NONE: the endpoint's */
    bool alone;            /* the proxy lets others through: the fault is of this endpoint alone */
    const char *error;     /* for people: a static text, or in `text`; NULL: libcurl's will do */
    char text[96];
};
/* `status` is the proxy's answer; 0: there was none, and libcurl ended with `code`. */
void proxy_judge(const struct proxy *proxy, CURLcode code, int status,
                 struct proxy_failure *failure);

/* Somebody who wants to know whether the proxy answers anything; embedded, all zero at first. */
struct proxy_question {
    void (*done)(void *arg, bool lives);
    void *arg;
    bool asked;
    struct proxy_question *prev, *next;
};
/* Asks the proxy for nothing in particular, which every proxy answers at once. `done` is called
 * later, once. Questions at the same time share an answer. `pins` and `ca_file` need not stay.
 * False: nothing can be asked now. */
bool proxy_ask(struct proxy *proxy, struct proxy_question *question, CURLM *multi,
               const struct curl_slist *pins, const char *ca_file);
/* No effect if the question does not wait. */
void proxy_forget(struct proxy *proxy, struct proxy_question *question);
/* Takes note of a finished request of libcurl's. Returns whether it was the proxy's own. */
bool proxy_on_finished(struct proxy *proxy, CURL *easy, CURLcode code);

#endif
