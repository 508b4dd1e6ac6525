/* The certificate of a TLS listener, read again when its files change. Loop thread only; at most
 * one in a process, since libmicrohttpd asks for the certificate without saying who asks. */
#ifndef ESS_HTTP_TLS_H
#define ESS_HTTP_TLS_H

#include "common/base/error.h"
#include "common/base/loop.h"

struct tls;

/* `certificate` (PEM, the server's own first and then its chain) and `key` (PEM) are file names
 * that stay the caller's and must stay. `reloaded` is called when a changed pair is in force, or
 * with the reason when it cannot be used (the last good one stays). NULL, with file and reason,
 * when they cannot be used now. */
struct tls *tls_new(struct loop *loop, const char *certificate, const char *key,
                    void (*reloaded)(void *arg, const struct error *err), void *arg,
                    struct error *err);
/* After the server that uses it. NULL is allowed. */
void tls_free(struct tls *tls);

#endif
