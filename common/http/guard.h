/* Refuses a request that a proxy in front may read differently than libmicrohttpd, and closes the
 * connection. libmicrohttpd 0.9 silently joins folded lines to a header's name, accepts LF as a
 * line end and cuts values at a NUL. So the guard also checks that headers lie in libmicrohttpd's
 * buffer as whole lines do. */
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
    GUARD_HEADERS, /* allowed once each */
};

struct guard {
    const char *fault; /* NULL: no fault so far */
    const char *uri;   /* position and length of the URI before parsing */
    size_t uri_len;
    unsigned counts[GUARD_HEADERS];
    bool chunked, has_body;
    const char *next; /* next header line; NULL: unchecked */
};

/* Checks the URI as sent. */
void guard_uri(struct guard *guard, const char *uri);
/* Checks the complete headers. `fault` holds the result. */
void guard_headers(struct guard *guard, struct MHD_Connection *mhd, const char *method,
                   const char *version);

#endif
