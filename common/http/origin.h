/* Whether a request may come from a web page of somebody else in a browser on this machine or in
 * this network. Where nobody is asked for an access token, such a page could publish and read: by a
 * form, or by a name of its own that it lets point to this machine (DNS rebinding). Pure, any
 * thread. */
#ifndef ESS_HTTP_ORIGIN_H
#define ESS_HTTP_ORIGIN_H

#include <stddef.h>

#include "common/base/error.h"

/* The headers Host, Origin and Sec-Fetch-Site as they were sent; NULL: absent. `names` are host
 * names, without ports, by which this server is known, given in that option. Returns 0, or -1 with
 * the reason: Origin must be the server itself Sec-Fetch-Site  must not be cross-site Host must be
 * an address, localhost, a name without a dot (public DNS has none), or one of `names` */
int origin_check(const char *host, const char *origin, const char *fetch_site, char *const *names,
                 size_t names_count, const char *option, struct error *err);

#endif
