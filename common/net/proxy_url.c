/* A forward proxy's URL; see proxy_url.h. Parsed by libcurl, which is then given the host and port
 * alone. */
#include "common/net/proxy_url.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/buf.h"
#include "common/base/number.h"

static const char proxy_url_form[] =
    "must be http://host:port or https://host:port, with a user and password before the host where "
    "the proxy asks for them, percent-encoded";

/* Copies a part of the URL. Returns NULL if the URL has no such part. Sets `bad` if the part cannot
 * be decoded. */
static char *proxy_url_part(CURLU *parts, CURLUPart what, unsigned flags, bool *bad) {
    char *part = NULL, *copy = NULL;
    CURLUcode code = curl_url_get(parts, what, &part, flags);
    *bad |= code == CURLUE_URLDECODE;
    if (code == CURLUE_OK)
        copy = mem_copy_string(part, strlen(part));
    if (part)
        memset(part, 0, strlen(part));
    curl_free(part);
    return copy;
}

/* A control character would end the header that carries the text. */
static bool proxy_url_fits_header(const char *text) {
    for (; text && *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

/* Takes the brackets off an IPv6 address. */
static void proxy_url_bare_host(char *host) {
    size_t len = strlen(host);
    if (len < 2 || *host != '[')
        return;
    memmove(host, host + 1, len - 2);
    host[len - 2] = 0;
}

static bool proxy_url_is_host(const char *host) {
    bool v6 = *host == '[';
    return *host && !host[strspn(host, v6 ? "[]:.0123456789abcdefABCDEF"
                                          : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                            "0123456789-_.")];
}

static int proxy_url_take(CURLU *parts, struct proxy_url *url, struct error *err) {
    bool bad = false;
    char *scheme = proxy_url_part(parts, CURLUPART_SCHEME, 0, &bad);
    char *path = proxy_url_part(parts, CURLUPART_PATH, 0, &bad);
    struct buf server = {0};
    url->host = proxy_url_part(parts, CURLUPART_HOST, 0, &bad);
    url->port = proxy_url_part(parts, CURLUPART_PORT, CURLU_DEFAULT_PORT, &bad);
    url->user = proxy_url_part(parts, CURLUPART_USER, CURLU_URLDECODE, &bad);
    url->password = proxy_url_part(parts, CURLUPART_PASSWORD, CURLU_URLDECODE, &bad);
    bool fits = !bad && scheme && path && strcmp(path, "/") == 0 && url->host && url->port &&
                number_parse(span_of(url->port)) > 0 && proxy_url_is_host(url->host) &&
                proxy_url_fits_header(url->user) && proxy_url_fits_header(url->password) &&
                !(url->user && strchr(url->user, ':'));
    if (fits) {
        buf_printf(&server, "%s://%s:%s", scheme, url->host, url->port);
        url->server = buf_detach(&server, NULL);
        proxy_url_bare_host(url->host);
    }
    free(scheme);
    free(path);
    return fits ? 0 : error_set(err, "%s", proxy_url_form);
}

int proxy_url_parse(const char *text, struct proxy_url *url, struct error *err) {
    if (strncasecmp(text, "http://", 7) != 0 && strncasecmp(text, "https://", 8) != 0)
        return error_set(err, "%s", proxy_url_form);
    if (strpbrk(text, "?# \\"))
        return error_set(err, "%s", proxy_url_form);
    CURLU *parts = curl_url();
    if (!parts)
        abort();
    int result = curl_url_set(parts, CURLUPART_URL, text, 0) ? error_set(err, "%s", proxy_url_form)
                                                             : proxy_url_take(parts, url, err);
    curl_url_cleanup(parts);
    if (result)
        proxy_url_fini(url);
    return result;
}

void proxy_url_fini(struct proxy_url *url) {
    free(url->server);
    free(url->host);
    free(url->port);
    mem_wipe_string(url->user);
    mem_wipe_string(url->password);
    *url = (struct proxy_url){0};
}
