/* Network addresses that ESS may call: public ones, and the operator's CIDRs.
 *
 * Not public: loopback, private, link-local, shared (RFC 6598), documentation, benchmarking,
 * multicast, reserved, unspecified; of IPv6, everything outside of 2000::/3 and the NAT64 prefix
 * 64:ff9b::/96; and IPv6 addresses with such an IPv4 address embedded (mapped, NAT64, 6to4,
 * Teredo). After the IANA special-purpose registries (RFC 6890). Pure, any thread. */
#ifndef ESS_NET_ADDRESS_H
#define ESS_NET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "common/base/error.h"

struct cidr {
    unsigned char bytes[16]; /* IPv4 as IPv4-mapped IPv6 */
    unsigned bits;           /* of 128 */
};

/* Reads "10.1.0.0/16", "fd00::/8", or one address. Returns 0 or -1. */
int cidr_parse(const char *text, struct cidr *cidr, struct error *err);

/* Whether the first address of `inner` is within `range`. */
bool cidr_contains(const struct cidr *range, const struct cidr *inner);

/* Whether `address` (AF_INET or AF_INET6) is within `range`. */
bool cidr_has(const struct cidr *range, const struct sockaddr *address);

/* Whether `address` (AF_INET or AF_INET6) is in an allowed range, or public. An IPv6 address with
 * an IPv4 address embedded is allowed only if both are. */
bool address_allowed(const struct sockaddr *address, const struct cidr *allowed,
                     size_t allowed_count);

/* Whether `host` is a literal address in any spelling accepted by resolvers (brackets, octal, hex,
 * decimal); stores the address, of family 0 for a name. "localhost" too is a name. */
bool address_from_literal(const char *host, struct sockaddr_storage *out);

#endif
