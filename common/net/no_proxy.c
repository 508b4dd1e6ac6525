/* Endpoints without the proxy; see no_proxy.h. */
#include "common/net/no_proxy.h"

#include <string.h>
#include <strings.h>

#include "common/net/address.h"

/* What looks like an address is one: a name never ends in digits alone. */
static bool no_proxy_is_range(const char *item) {
    return strpbrk(item, "/:") || !item[strspn(item, "0123456789.")];
}

int no_proxy_check(const char *item, struct error *err) {
    struct cidr cidr;
    if (no_proxy_is_range(item))
        return cidr_parse(item, &cidr, err);
    const char *name = item + (*item == '.');
    if (!*name ||
        name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")])
        return error_set(err,
                         "'%s' is not a CIDR such as 10.1.0.0/16 or a domain such as example.com, "
                         "which stands for the names below it too",
                         item);
    return 0;
}

/* Without the dot at the end that makes a name absolute. */
static size_t no_proxy_length(const char *name) {
    size_t len = strlen(name);
    return len && name[len - 1] == '.' ? len - 1 : len;
}

static bool no_proxy_covers(const char *domain, const char *host) {
    domain += *domain == '.';
    size_t len = no_proxy_length(domain), whole = no_proxy_length(host);
    return len <= whole && strncasecmp(host + whole - len, domain, len) == 0 &&
           (len == whole || host[whole - len - 1] == '.');
}

bool no_proxy_has_host(char *const *items, size_t count, const char *host) {
    for (size_t i = 0; i < count; i++)
        if (!no_proxy_is_range(items[i]) && no_proxy_covers(items[i], host))
            return true;
    return false;
}

bool no_proxy_has_address(char *const *items, size_t count, const struct sockaddr *address) {
    struct cidr cidr;
    struct error err;
    for (size_t i = 0; i < count; i++)
        if (no_proxy_is_range(items[i]) && cidr_parse(items[i], &cidr, &err) == 0 &&
            cidr_has(&cidr, address))
            return true;
    return false;
}
