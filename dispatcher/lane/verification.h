/* The handshake: an endpoint gets nothing else before it has answered one signed request with a
 * 2xx. Done once for each registration and URL; both make the handshake's id. Pure: the caller
 * passes the time. */
#ifndef ESS_DISPATCHER_VERIFICATION_H
#define ESS_DISPATCHER_VERIFICATION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/model/token.h"

struct verification {
    bool wanted;                          /* the spec asks for a handshake */
    char id[TOKEN_HANDSHAKE_BYTES];       /* of the registration and the URL in force */
    char answered[TOKEN_HANDSHAKE_BYTES]; /* id of the newest answered handshake; "": none */
    int64_t attempts;                     /* made with `id`, since the start or a resume */
    int64_t due_ms;                       /* no attempt before */
};

/* The registration and URL in force. A new id begins anew. */
void verification_set(struct verification *verification, bool wanted, const char *registration_id,
                      const char *url);
/* The endpoint has yet to answer. */
bool verification_is_pending(const struct verification *verification);
/* The endpoint has answered this handshake with a 2xx. */
void verification_answer(struct verification *verification, const char *id);
/* An attempt begins. Returns its number. */
int64_t verification_start(struct verification *verification);
/* The attempt was called off and does not count. */
void verification_abort(struct verification *verification);
/* The attempt failed; the next one may start at `due_ms`. */
void verification_fail(struct verification *verification, int64_t due_ms);
/* The next attempt may start at once, and counts as the first. */
void verification_hurry(struct verification *verification);

/* Appends the request's body. */
void verification_put_body(const struct verification *verification, const char *subscriber,
                           struct buf *out);

#endif
