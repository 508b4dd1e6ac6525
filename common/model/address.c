/* Which addresses may be called; see address.h. All is compared as IPv6, IPv4 as ::ffff:a.b.c.d. */
#include "common/model/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The IANA special-purpose registries (RFC 6890 and its updates), and multicast. */
static const char *const not_public[] = {
    "0.0.0.0/8",      "10.0.0.0/8",      "100.64.0.0/10",   "127.0.0.0/8",    "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24",   "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
    "198.18.0.0/15",  "198.51.100.0/24", "203.0.113.0/24",  "224.0.0.0/4",    "240.0.0.0/4",
    "::/128",         "::1/128",         "64:ff9b:1::/48",  "100::/64",       "100:0:0:1::/64", "2001::/23",     "2001:db8::/32",
    "2620:4f:8000::/48", "3fff::/20",    "5f00::/16",       "fc00::/7",       "fe80::/10",      "fec0::/10",     "ff00::/8",
};
enum { NOT_PUBLIC = sizeof not_public / sizeof *not_public };

/* Where an IPv6 address carries an IPv4 one. */
static const struct {
    unsigned char prefix[12];
    unsigned prefix_bytes, at;
    bool inverted;
} carriers[] = {
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 12, 12, false}, /* mapped */
    {{0}, 12, 12, false},                                        /* compatible (also :: and ::1, which are refused before) */
    {{0, 0x64, 0xff, 0x9b}, 12, 12, false},                      /* NAT64, 64:ff9b::/96 */
    {{0x20, 0x02}, 2, 2, false},                                 /* 6to4 */
    {{0x20, 0x01, 0, 0}, 4, 12, true},                           /* Teredo: the client's, inverted */
    {{0x20, 0x01, 0, 0}, 4, 4, false},                           /* Teredo: the server's */
};

static void map_ipv4(const unsigned char ipv4[4], unsigned char out[16]) {
    memset(out, 0, 10);
    memset(out + 10, 0xff, 2);
    memcpy(out + 12, ipv4, 4);
}

static bool is_mapped(const unsigned char bytes[16]) { return memcmp(bytes, carriers[0].prefix, 12) == 0; }

static bool contains(const struct cidr *cidr, const unsigned char bytes[16]) {
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
    char *end = NULL;
    unsigned long bits = slash ? strtoul(slash + 1, &end, 10) : widest;
    if (slash && (slash[1] < '0' || slash[1] > '9' || *end || bits > widest))
        return error_set(err, "'%s': the part after the slash must be from 0 to %u", text, widest);
    cidr->bits = (unsigned)bits + 128 - widest;
    return 0;
}

static bool in_list(const unsigned char bytes[16], const struct cidr *allowed, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (contains(&allowed[i], bytes))
            return true;
    return false;
}

static bool is_special(const unsigned char bytes[16]) {
    static struct cidr parsed[NOT_PUBLIC];
    static bool ready;
    struct error err;
    if (!ready) {
        for (size_t i = 0; i < NOT_PUBLIC; i++)
            if (cidr_parse(not_public[i], &parsed[i], &err))
                abort();
        ready = true;
    }
    return in_list(bytes, parsed, NOT_PUBLIC);
}

static bool carried_allowed(const unsigned char bytes[16], const struct cidr *allowed, size_t count) {
    for (size_t i = 1; i < sizeof carriers / sizeof *carriers; i++) {
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

bool address_allowed(const struct sockaddr *address, const struct cidr *allowed, size_t allowed_count) {
    unsigned char bytes[16];
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
    bool listed = in_list(bytes, allowed, allowed_count);
    if (is_mapped(bytes))
        return listed || !is_special(bytes);
    static const unsigned char loopback[16] = {[15] = 1};
    if (memcmp(bytes, loopback, 16) == 0) /* not an IPv4-compatible address */
        return listed;
    return (listed || !is_special(bytes)) && carried_allowed(bytes, allowed, allowed_count);
}

bool address_from_literal(const char *host, struct sockaddr_storage *out) {
    char inner[64];
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
    inner[strcspn(inner, "%")] = 0; /* a zone does not change the address */
    if (inet_pton(AF_INET6, inner, &in6.sin6_addr) == 1) {
        memcpy(out, &in6, sizeof in6);
        return true;
    }
    if (len > 1 && inner[len - 1] == '.') /* "127.0.0.1." */
        inner[len - 1] = 0;
    if (inet_aton(inner, &in.sin_addr) == 0) /* takes octal, hexadecimal and short forms, as resolvers do */
        return false;
    memcpy(out, &in, sizeof in);
    return true;
}
