/* Endpoints that are called without the proxy (egress.no_proxy): a CIDR or an address, or a domain,
 * which stands for itself and for the names below it. Pure, any thread. */
#ifndef ESS_NET_NO_PROXY_H
#define ESS_NET_NO_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "common/base/error.h"

/* Whether `item` is such a CIDR or domain. Returns 0, or -1 with the reason. */
int no_proxy_check(const char *item, struct error *err);

/* Whether one of the checked items is the host's domain. */
bool no_proxy_has_host(char *const *items, size_t count, const char *host);
/* Whether one of the checked items has the address. */
bool no_proxy_has_address(char *const *items, size_t count, const struct sockaddr *address);

#endif
