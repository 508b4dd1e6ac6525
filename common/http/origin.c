/* Detects requests of foreign web pages; see origin.h. */
#include "common/http/origin.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { HOST_BYTES = 256 };

/* Copies the host of "host:port" or "[address]:port", without a final dot. */
static void origin_host(const char *text, char host[HOST_BYTES]) {
    bool brackets = *text == '[';
    size_t len = brackets ? strcspn(text + 1, "]") : strcspn(text, ":");
    snprintf(host, HOST_BYTES, "%.*s", (int)(len < HOST_BYTES ? len : HOST_BYTES - 1),
             text + brackets);
    len = strlen(host);
    if (len && host[len - 1] == '.')
        host[len - 1] = 0;
}

static bool origin_is_address(const char *host) {
    unsigned char address[16];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static bool origin_is_localhost(const char *host) {
    static const char suffix[] = ".localhost";
    size_t len = strlen(host), end = sizeof suffix - 1;
    return len > end && strcasecmp(host + len - end, suffix) == 0;
}

static bool origin_host_known(const char *text, char *const *names, size_t names_count) {
    char host[HOST_BYTES];
    origin_host(text, host);
    for (size_t i = 0; i < names_count; i++)
        if (strcasecmp(host, names[i]) == 0)
            return true;
    return origin_is_address(host) || origin_is_localhost(host) || !strchr(host, '.');
}

static bool origin_is_own(const char *origin, const char *host) {
    const char *authority = strstr(origin, "://");
    return authority && host && strcasecmp(authority + 3, host) == 0;
}

int origin_check(const char *host, const char *origin, const char *fetch_site, char *const *names,
                 size_t names_count, const char *option, struct error *err) {
    if (fetch_site && strcasecmp(fetch_site, "cross-site") == 0)
        return error_set(err,
                         "without access tokens (auth.file) no other site's pages may call this");
    if (origin && !origin_is_own(origin, host))
        return error_set(
            err, "without access tokens (auth.file) no pages of another Origin may call this");
    if (host && !origin_host_known(host, names, names_count))
        return error_set(err,
                         "without access tokens (auth.file) Host must be an address, localhost or "
                         "a name in %s: a web page could reach this service by a name of its own",
                         option);
    return 0;
}
