/* A subscriber's URL: https only, without credentials or fragment, and without a literal address
 * that is not public. Names are resolved at delivery, not here. Pure, any thread. */
#ifndef ESS_NET_URL_H
#define ESS_NET_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/net/address.h"

/* Whether ESS may send to `url`, given the ranges of egress.allow. Returns 0, or -1 blaming
 * `field`, without quoting a possible password. */
int url_check(const char *field, const char *url, const struct cidr *allowed, size_t allowed_count,
              struct error *err);

/* Whether two checked URLs have the same host and port. */
bool url_same_server(const char *a, const char *b);

/* Appends the URL with each value of the query, a possible secret, as ***:
 * "https://a/b?key=***&***". */
void url_mask(const char *url, struct buf *out);

#endif
