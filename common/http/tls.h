/* The certificate of a TLS listener, reloaded when its files change. Loop thread only; at most one
 * per process, since libmicrohttpd asks for the certificate without a context. */
#ifndef ESS_HTTP_TLS_H
#define ESS_HTTP_TLS_H

#include "common/base/error.h"
#include "common/base/loop.h"

struct tls;

/* `certificate` (PEM, the server's own first, then its chain) and `key` (PEM) are file names that
 * the caller keeps alive. Calls `reloaded` when a changed pair is in force, or with the reason when
 * a changed pair is unusable (the last good pair stays). Returns NULL, with file and reason, when
 * the pair is unusable. */
struct tls *tls_new(struct loop *loop, const char *certificate, const char *key,
                    void (*reloaded)(void *arg, const struct error *err), void *arg,
                    struct error *err);
/* Call after freeing the server. NULL is allowed. */
void tls_free(struct tls *tls);

#endif
