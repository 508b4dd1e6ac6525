/* What a token server answers (RFC 6749, 5.1 and 5.2). Pure. */
#ifndef ESS_DISPATCHER_OAUTH2_ANSWER_H
#define ESS_DISPATCHER_OAUTH2_ANSWER_H

#include <stdint.h>

#include "common/base/span.h"

enum {
    OAUTH2_ANSWER_BYTES_MAX = 16 * 1024,
    OAUTH2_TOKEN_BYTES_MAX = 8 * 1024, /* it goes into a header */
    OAUTH2_ERROR_BYTES = 96,
    OAUTH2_LIFETIME_S = 300, /* of a token whose answer has no expires_in */
    OAUTH2_LIFETIME_S_MAX = 24 * 60 * 60,
};

struct oauth2_answer {
    char token[OAUTH2_TOKEN_BYTES_MAX + 1]; /* secret: the caller wipes it */
    int64_t lifetime_s;                     /* at most OAUTH2_LIFETIME_S_MAX */
};

/* Reads an answer with its status, not 0. Returns 0, or -1 with the reason for people, which quotes
 * nothing of the answer but a code of RFC 6749: a server may repeat secrets. */
int oauth2_answer_read(struct oauth2_answer *out, int status, struct span text,
                       char error[OAUTH2_ERROR_BYTES]);

#endif
