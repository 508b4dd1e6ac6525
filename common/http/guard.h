/* The guard: a request that a proxy in front may read otherwise than libmicrohttpd is refused, with
 * all that comes behind it in its connection. libmicrohttpd 0.9 joins folded lines to a header's
 * name, takes LF for a line's end and cuts values at a NUL, all without a word: so the guard also
 * looks whether what it hands out lies in its buffer as whole lines do. */
#ifndef ESS_HTTP_GUARD_H
#define ESS_HTTP_GUARD_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

enum guard_header {
    GUARD_HOST,
    GUARD_CONTENT_LENGTH,
    GUARD_TRANSFER_ENCODING,
    GUARD_CONTENT_TYPE,
    GUARD_AUTHORIZATION,
    GUARD_HEADERS, /* of which there may be one of each */
};

struct guard {
    const char *fault; /* NULL: none so far */
    const char *uri;   /* where it lay, and how long it was, before libmicrohttpd took it apart */
    size_t uri_len;
    unsigned counts[GUARD_HEADERS];
    bool chunked, has_body;
    const char
        *next; /* where the next header's line must begin; NULL: the lines are not looked at */
};

/* The URI as it was sent. */
void guard_uri(struct guard *guard, const char *uri);
/* The headers are whole. Afterwards `fault` tells. */
void guard_headers(struct guard *guard, struct MHD_Connection *mhd, const char *method,
                   const char *version);

#endif
