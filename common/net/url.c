/* A subscriber's URL; see url.h. Parsed by libcurl, as at delivery, so that both understand the URL
 * in the same way: libcurl resolves %xx in a host, and turns 0x7f.1 into 127.0.0.1. */
#include "common/net/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/number.h"

static bool loopback_allowed(const struct cidr *allowed, size_t count) {
    const struct sockaddr_in v4 = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    return address_allowed((const struct sockaddr *)&v4, allowed, count) ||
           address_allowed((const struct sockaddr *)&v6, allowed, count);
}

static bool is_localhost(const char *host) {
    size_t len = strlen(host);
    if (len && host[len - 1] == '.')
        len--;
    return len >= 9 && strncasecmp(host + len - 9, "localhost", 9) == 0 &&
           (len == 9 || host[len - 10] == '.');
}

static int check_host(const char *field, const char *host, const struct cidr *allowed, size_t count,
                      struct error *err) {
    struct sockaddr_storage address;
    if (address_from_literal(host, &address)) {
        if (address_allowed((struct sockaddr *)&address, allowed, count))
            return 0;
        return error_set_field(
            err, field, "%s is not a public address, and egress.allow does not allow it", host);
    }
    if (host[strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")])
        return error_set_field(err, field,
                               "has a host with characters other than letters, digits, hyphens and "
                               "dots; write them as xn--…");
    if (is_localhost(host) && !loopback_allowed(allowed, count))
        return error_set_field(
            err, field, "%s is this machine itself, which egress.allow does not allow", host);
    return 0;
}

static int check_parts(const char *field, CURLU *parts, const struct cidr *allowed, size_t count,
                       struct error *err) {
    char *user = NULL, *password = NULL, *host = NULL, *port = NULL;
    int result = -1;
    curl_url_get(parts, CURLUPART_USER, &user, 0);
    curl_url_get(parts, CURLUPART_PASSWORD, &password, 0);
    curl_url_get(parts, CURLUPART_HOST, &host, 0);
    curl_url_get(parts, CURLUPART_PORT, &port, 0);
    if (user || password)
        error_set_field(err, field, "must not hold credentials; use headers");
    else if (!host || !*host)
        error_set_field(err, field, "has no host");
    else if (port && number_parse(span_of(port)) == 0)
        error_set_field(err, field, "must not have port 0");
    else
        result = check_host(field, host, allowed, count, err);
    curl_free(user);
    curl_free(password);
    curl_free(host);
    curl_free(port);
    return result;
}

int url_check(const char *field, const char *url, const struct cidr *allowed, size_t allowed_count,
              struct error *err) {
    for (const char *p = url; *p; p++)
        if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || *p == '\\')
            return error_set_field(err, field,
                                   "may hold only printable ASCII without spaces and backslashes; "
                                   "encode others with %%");
    if (strncasecmp(url, "https://", 8) != 0)
        return error_set_field(err, field, "must begin with https://; nothing is sent unencrypted");
    if (strchr(url, '#'))
        return error_set_field(err, field, "must not have a fragment (#…)");
    if (url[8] == '/') /* libcurl ignores an extra slash */
        return error_set_field(err, field, "has no host");
    CURLU *parts = curl_url();
    if (!parts)
        abort();
    CURLUcode code = curl_url_set(parts, CURLUPART_URL, url, 0);
    int result = code ? error_set_field(err, field,
                                        "is not a URL such as https://vendor.example/hook: %s",
                                        curl_url_strerror(code))
                      : check_parts(field, parts, allowed, allowed_count, err);
    curl_url_cleanup(parts);
    return result;
}

/* Returns "host:port" in lower case, to be freed by the caller. */
static char *server_of(const char *url) {
    char *host = NULL, *port = NULL;
    struct buf server = {0};
    CURLU *parts = curl_url();
    if (!parts || curl_url_set(parts, CURLUPART_URL, url, 0) ||
        curl_url_get(parts, CURLUPART_HOST, &host, 0) ||
        curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT))
        abort(); /* the URL was checked */
    buf_printf(&server, "%s:%s", host, port);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parts);
    return buf_detach(&server, NULL);
}

bool url_same_server(const char *a, const char *b) {
    char *one = server_of(a), *other = server_of(b);
    bool same = strcasecmp(one, other) == 0;
    free(one);
    free(other);
    return same;
}

void url_mask(const char *url, struct buf *out) {
    size_t before = strcspn(url, "?");
    const char *rest = url + before;
    buf_append(out, url, before);
    while (*rest) {
        size_t len = 1 + strcspn(rest + 1, "&"), name = strcspn(rest, "=");
        buf_append(out, rest, name < len ? name + 1 : 1);
        buf_puts(out, len > 1 ? "***" : "");
        rest += len;
    }
}
