/* Detects requests sent by a foreign web page in a browser on this machine or network. Where no
 * access token is needed, such a page could publish and read: by a form, or by a name that resolves
 * to this machine (DNS rebinding). Pure, any thread. */
#ifndef ESS_HTTP_ORIGIN_H
#define ESS_HTTP_ORIGIN_H

#include <stddef.h>

#include "common/base/error.h"

/* Checks the headers Host, Origin and Sec-Fetch-Site as sent; NULL: absent. `names` are the
 * server's host names without ports, set by `option`. Returns 0, or -1 with the reason:
 *   Origin          must be the server itself
 *   Sec-Fetch-Site  must not be cross-site
 *   Host            must be an address, localhost, a name without a dot (public DNS has none), or
 *                   one of `names` */
int origin_check(const char *host, const char *origin, const char *fetch_site, char *const *names,
                 size_t names_count, const char *option, struct error *err);

#endif
