/* A PUT of a subscriber, whose body need not repeat the secrets: it keeps those that it leaves out,
 * and what GET shows may come back. Secrets are kept for one server only, since otherwise a change
 * of the URL would send them elsewhere. Pure. */
#ifndef ESS_INGEST_KEPT_SECRETS_H
#define ESS_INGEST_KEPT_SECRETS_H

#include <stdbool.h>

#include "common/json/body.h"
#include "common/model/spec.h"

struct kept_secrets {
    const struct spec *old; /* must stay */
    const char *field;      /* one that keeps secrets of the old spec; NULL: none does */
    bool oauth2;            /* the field oauth2 does */
};

/* Appends the body as the JSON of a whole spec, which is secret. Returns -1, blaming a field, where
 * there is nothing to keep. */
int kept_secrets_put_body(struct kept_secrets *kept, const struct spec *old,
                          const struct body *body, struct buf *out, struct error *err);
/* Puts a URL's query back where it came as shown, and checks that the spec made from the body keeps
 * no secret for another server. */
int kept_secrets_check(const struct kept_secrets *kept, struct spec *spec, struct error *err);

/* A URL as it is shown: without the values of its query. The text is the caller's. */
char *kept_secrets_shown_url(const char *url);

#endif
