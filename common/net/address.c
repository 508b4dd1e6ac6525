/* Addresses that ESS may call; see address.h. Compares all as IPv6, with IPv4 as ::ffff:a.b.c.d. */
#include "common/net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/base/number.h"

/* The IANA special-purpose registries (RFC 6890 and its updates), and multicast. For IPv6, special
 * ranges within 2000::/3, the only global unicast space assigned so far. */
#define IPV4(a, b, c, d, length) {.bytes = {[10] = 0xff, 0xff, a, b, c, d}, .bits = 96 + (length)}
static const struct cidr special[] = {
    IPV4(0, 0, 0, 0, 8),
    IPV4(10, 0, 0, 0, 8),
    IPV4(100, 64, 0, 0, 10),
    IPV4(127, 0, 0, 0, 8),
    IPV4(169, 254, 0, 0, 16),
    IPV4(172, 16, 0, 0, 12),
    IPV4(192, 0, 0, 0, 24),
    IPV4(192, 0, 2, 0, 24),
    IPV4(192, 31, 196, 0, 24),
    IPV4(192, 52, 193, 0, 24),
    IPV4(192, 88, 99, 0, 24),
    IPV4(192, 168, 0, 0, 16),
    IPV4(192, 175, 48, 0, 24),
    IPV4(198, 18, 0, 0, 15),
    IPV4(198, 51, 100, 0, 24),
    IPV4(203, 0, 113, 0, 24),
    IPV4(224, 0, 0, 0, 4),
    IPV4(240, 0, 0, 0, 4),
    {.bytes = {0x20, 0x01}, .bits = 23},                /* 2001::/23 */
    {.bytes = {0x20, 0x01, 0x0d, 0xb8}, .bits = 32},    /* 2001:db8::/32 */
    {.bytes = {0x26, 0x20, 0, 0x4f, 0x80}, .bits = 48}, /* 2620:4f:8000::/48 */
    {.bytes = {0x3f, 0xff}, .bits = 20},                /* 3fff::/20 */
};
#undef IPV4

static const unsigned char mapped_prefix[12] = {[10] = 0xff, 0xff},
                           nat64_prefix[12] = {0, 0x64, 0xff, 0x9b};

/* Where IPv6 addresses embed an IPv4 address. (A mapped address is that IPv4 address.) */
static const struct {
    const unsigned char *prefix;
    unsigned prefix_bytes, at;
    bool inverted;
} carriers[] = {
    {nat64_prefix, sizeof nat64_prefix, 12, false},
    {(const unsigned char[]){0x20, 0x02}, 2, 2, false},       /* 6to4 */
    {(const unsigned char[]){0x20, 0x01, 0, 0}, 4, 12, true}, /* Teredo: the client's, inverted */
    {(const unsigned char[]){0x20, 0x01, 0, 0}, 4, 4, false}, /* Teredo: the server's */
};

static void map_ipv4(const unsigned char ipv4[4], unsigned char out[16]) {
    memcpy(out, mapped_prefix, sizeof mapped_prefix);
    memcpy(out + 12, ipv4, 4);
}

static bool address_contains(const struct cidr *cidr, const unsigned char bytes[16]) {
    unsigned whole = cidr->bits / 8, rest = cidr->bits % 8;
    if (memcmp(cidr->bytes, bytes, whole) != 0)
        return false;
    return rest == 0 || ((cidr->bytes[whole] ^ bytes[whole]) >> (8 - rest)) == 0;
}

int cidr_parse(const char *text, struct cidr *cidr, struct error *err) {
    char address[INET6_ADDRSTRLEN];
    unsigned char ipv4[4];
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    unsigned widest = 128;
    if (len >= sizeof address)
        return error_set(err, "'%s' is not an address or CIDR such as 10.1.0.0/16", text);
    memcpy(address, text, len);
    address[len] = 0;
    if (inet_pton(AF_INET, address, ipv4) == 1) {
        map_ipv4(ipv4, cidr->bytes);
        widest = 32;
    } else if (inet_pton(AF_INET6, address, cidr->bytes) != 1) {
        return error_set(err, "'%s' is not an address or CIDR such as 10.1.0.0/16", text);
    }
    int64_t bits = slash ? number_parse(span_of(slash + 1)) : widest;
    if (bits < 0 || bits > widest)
        return error_set(err, "'%s': the part after the slash must be from 0 to %u", text, widest);
    cidr->bits = (unsigned)bits + 128 - widest;
    return 0;
}

bool cidr_contains(const struct cidr *range, const struct cidr *inner) {
    return address_contains(range, inner->bytes);
}

static bool in_list(const unsigned char bytes[16], const struct cidr *allowed, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (address_contains(&allowed[i], bytes))
            return true;
    return false;
}

/* Whether the address itself is not public, whatever address is embedded. */
static bool is_special(const unsigned char bytes[16]) {
    bool ipv4 = memcmp(bytes, mapped_prefix, sizeof mapped_prefix) == 0,
         nat64 = memcmp(bytes, nat64_prefix, sizeof nat64_prefix) == 0;
    if (!ipv4 && !nat64 && (bytes[0] & 0xe0) != 0x20)
        return true;
    return in_list(bytes, special, sizeof special / sizeof *special);
}

static bool carried_allowed(const unsigned char bytes[16], const struct cidr *allowed,
                            size_t count) {
    for (size_t i = 0; i < sizeof carriers / sizeof *carriers; i++) {
        unsigned char ipv4[4], mapped[16];
        if (memcmp(bytes, carriers[i].prefix, carriers[i].prefix_bytes) != 0)
            continue;
        for (unsigned j = 0; j < 4; j++)
            ipv4[j] = bytes[carriers[i].at + j] ^ (carriers[i].inverted ? 0xff : 0);
        map_ipv4(ipv4, mapped);
        if (is_special(mapped) && !in_list(mapped, allowed, count))
            return false;
    }
    return true;
}

/* Returns false for an address of another family. */
static bool address_bytes(const struct sockaddr *address, unsigned char bytes[16]) {
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        map_ipv4((const unsigned char *)&in.sin_addr, bytes);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof in6);
        memcpy(bytes, &in6.sin6_addr, 16);
    } else {
        return false;
    }
    return true;
}

bool cidr_has(const struct cidr *range, const struct sockaddr *address) {
    unsigned char bytes[16];
    return address_bytes(address, bytes) && address_contains(range, bytes);
}

bool address_allowed(const struct sockaddr *address, const struct cidr *allowed,
                     size_t allowed_count) {
    unsigned char bytes[16];
    return address_bytes(address, bytes) &&
           (in_list(bytes, allowed, allowed_count) || !is_special(bytes)) &&
           carried_allowed(bytes, allowed, allowed_count);
}

bool address_from_literal(const char *host, struct sockaddr_storage *out) {
    char inner[256]; /* longer than any host name */
    size_t len = strlen(host);
    memset(out, 0, sizeof *out);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof inner)
        return false;
    memcpy(inner, host, len);
    inner[len] = 0;
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr_in in = {.sin_family = AF_INET};
    inner[strcspn(inner, "%")] = 0; /* a zone is not part of the address */
    if (inet_pton(AF_INET6, inner, &in6.sin6_addr) == 1) {
        memcpy(out, &in6, sizeof in6);
        return true;
    }
    if (len > 1 && inner[len - 1] == '.') /* "127.0.0.1." */
        inner[len - 1] = 0;
    if (inet_aton(inner, &in.sin_addr) ==
        0) /* accepts octal, hexadecimal and short forms, like resolvers */
        return false;
    memcpy(out, &in, sizeof in);
    return true;
}
