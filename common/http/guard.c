/* Refuses what nginx refuses and libmicrohttpd accepts; see guard.h. */
#include "common/http/guard.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const char *const names[GUARD_HEADERS] = {"Host", "Content-Length", "Transfer-Encoding",
                                                 "Content-Type", "Authorization"};
static const char *const twice[GUARD_HEADERS] = {
    "there must be one Host header", "there must be at most one Content-Length",
    "there must be at most one Transfer-Encoding", "there must be at most one Content-Type",
    "there must be at most one Authorization"};

static void guard_blame(struct guard *g, const char *fault) {
    if (!g->fault)
        g->fault = fault;
}

/* --- the request line */

/* The path of "http://host/path", as sent by proxies, or of a plain path. Returns NULL for other
 * forms. */
static const char *path_in(const char *uri) {
    size_t scheme = strncasecmp(uri, "http://", 7) == 0    ? 7
                    : strncasecmp(uri, "https://", 8) == 0 ? 8
                                                           : 0;
    if (!scheme)
        return *uri == '/' ? uri : NULL;
    size_t host = strcspn(uri + scheme, "/?");
    return host && !memchr(uri + scheme, '@', host) ? uri + scheme + host : NULL;
}

void guard_uri(struct guard *g, const char *uri) {
    const char *path = path_in(uri);
    g->uri = uri;
    g->uri_len = strlen(uri);
    if (!path)
        guard_blame(g, "the request's target must be a path");
    for (const char *c = uri; *c; c++) {
        if (*c < 0x21 || *c > 0x7e || *c == '#')
            guard_blame(g, "the request's target holds a character that must be percent-encoded");
        if (*c == '%' && !(isxdigit((unsigned char)c[1]) && isxdigit((unsigned char)c[2])))
            guard_blame(g, "the request's target holds a % that is not followed by two hex digits");
    }
    for (const char *c = path ? path : ""; *c && *c != '?'; c++)
        if (strncmp(c, "%00", 3) == 0 ||
            strncasecmp(c, "%2f", 3) == 0) /* a proxy may not see a slash */
            guard_blame(g, "the path holds an encoded NUL or slash");
}

static void look_at_line(struct guard *g, const char *method, const char *version) {
    bool old = strcmp(version, "HTTP/1.0") == 0;
    if (!*method || method[strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_-")])
        guard_blame(g, "a method must be in capitals");
    if (!old && strcmp(version, "HTTP/1.1") != 0)
        guard_blame(g, "only HTTP/1.1 and HTTP/1.0 are supported");
    if (g->counts[GUARD_HOST] == 0 && !old)
        guard_blame(g, twice[GUARD_HOST]);
    if (g->counts[GUARD_TRANSFER_ENCODING] && (!g->chunked || old))
        guard_blame(g, "the only supported transfer coding is chunked, in HTTP/1.1");
}

/* --- headers */

static bool token_character(unsigned char c) {
    return isalnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static void look_at_name(struct guard *g, const char *name, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (!token_character((unsigned char)name[i]))
            guard_blame(g, "a header's name holds a character that it must not");
    if (len == 0)
        guard_blame(g, "a header has no name");
}

static bool only_white_space(const char *text) { return !text[strspn(text, " \t")]; }

/* Cuts white space behind a value, which libmicrohttpd 0.9 keeps, in libmicrohttpd's memory. Only
 * after checking the value: a value that libmicrohttpd has not read as "chunked" must not become
 * one. */
static void cut_white_space(const char *value) {
    for (char *end = strchr(value, 0); end > value && (end[-1] == ' ' || end[-1] == '\t');)
        *--end = 0;
}

static void look_at_value(struct guard *g, enum guard_header header, const char *value) {
    static const char host[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%!$&'()*+;=:[]";
    switch (header) {
    case GUARD_HOST:
        if (!strspn(value, host) || !only_white_space(value + strspn(value, host)))
            guard_blame(g, "Host must be a name or an address, and maybe a port");
        break;
    case GUARD_CONTENT_LENGTH:
        if (!*value || value[strspn(value, "0123456789")])
            guard_blame(g, "Content-Length must be a number");
        g->has_body |= value[strspn(value, "0")] != 0;
        break;
    case GUARD_TRANSFER_ENCODING:
        g->chunked = strcasecmp(value, "chunked") == 0;
        g->has_body = true;
        break;
    default:
        break;
    }
}

/* Each line must begin where the previous line ended. */
static void look_at_place(struct guard *g, const char *name, size_t name_len, const char *value,
                          size_t value_len) {
    if (!g->next)
        return;
    if (name != g->next || value <= name + name_len)
        guard_blame(g, "a line is folded, holds a NUL, or does not end with CR LF");
    g->next = value + value_len + 2;
}

static enum MHD_Result look_at_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                      size_t name_len, const char *value, size_t value_len) {
    struct guard *g = cls;
    (void)kind;
    if (!value) {
        guard_blame(g, "a header has no value");
        return MHD_YES;
    }
    look_at_place(g, name, name_len, value, value_len);
    look_at_name(g, name, name_len);
    for (size_t i = 0; i < value_len; i++)
        if ((unsigned char)value[i] < 0x20 ? value[i] != '\t' : value[i] == 0x7f)
            guard_blame(g, "a header's value holds a control character");
    for (int header = 0; header < GUARD_HEADERS; header++) {
        if (strcasecmp(name, names[header]) != 0)
            continue;
        if (g->counts[header]++)
            guard_blame(g, twice[header]);
        look_at_value(g, (enum guard_header)header, value);
    }
    cut_white_space(value);
    return MHD_YES;
}

void guard_headers(struct guard *g, struct MHD_Connection *mhd, const char *method,
                   const char *version) {
    bool lenient = strncmp(MHD_get_version(), "0.", 2) == 0; /* later versions are strict */
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (lenient)
        g->next = version + strlen(version) + 2;
    if (lenient && (g->uri != method + strlen(method) + 1 || version != g->uri + g->uri_len + 1))
        guard_blame(g, "method, target and version must be separated by one space each");
    MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, look_at_header, g);
    /* libmicrohttpd puts NULs over the CR LF of the last header and of the empty line. */
    if (g->next &&
        (g->next + 2 != method + info->header_size || memcmp(g->next - 2, "\0\0\0", 4) != 0))
        guard_blame(g, "a line is folded, holds a NUL, or does not end with CR LF");
    if (g->counts[GUARD_CONTENT_LENGTH] && g->counts[GUARD_TRANSFER_ENCODING])
        guard_blame(g, "Content-Length and Transfer-Encoding exclude each other");
    look_at_line(g, method, version);
}
