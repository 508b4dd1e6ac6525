/* libcurl's easy handles, kept between requests: a handle has its buffers, the settings common to
 * all requests, and the URL last set, which often is the URL of the next request too. For this
 * folder only, because of libcurl's types. */
#ifndef ESS_DISPATCHER_HANDLE_H
#define ESS_DISPATCHER_HANDLE_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "dispatcher/channel/handshake.h"
#include "dispatcher/channel/https_post.h"

struct handle {
    CURL *easy;
    char *url, *host, *port;
    struct sockaddr_storage literal; /* the address that the host is; of family 0 if it is a name */
    bool signs;                      /* it holds credentials */
    bool proxied;                    /* it is set to go through the proxy */
    struct handshake handshake;
};

enum { HANDLES_MAX = 64 };

/* Handles without a request. All zero at first. */
struct handles {
    struct handle *spare[HANDLES_MAX];
    size_t count;
};

/* A spare handle, or one that `make` has given its settings; NULL: no memory. */
struct handle *handles_take(struct handles *handles, void (*make)(void *arg, CURL *easy),
                            void *arg);
/* Takes back a handle without a request; NULL is fine. */
void handles_keep(struct handles *handles, struct handle *handle);
void handles_fini(struct handles *handles);

/* A checked URL. */
void handle_set_url(struct handle *handle, const char *url);
/* libcurl signs the headers and the body when it sends them. NULL: unsigned, and no credentials of
 * an earlier request stay. */
void handle_sign(struct handle *handle, const struct https_sigv4 *sigv4);

#endif
