/* A PUT of a subscriber need not repeat the secrets: secrets that its body leaves out are kept, and
 * the body may be what GET shows. Secrets are kept for one server only, since otherwise a change of
 * the URL would send them elsewhere. Pure. */
#ifndef ESS_INGEST_KEPT_SECRETS_H
#define ESS_INGEST_KEPT_SECRETS_H

#include <stdbool.h>

#include "common/json/body.h"
#include "common/model/spec.h"

struct kept_secrets {
    const struct spec *old; /* must stay */
    const char *field;      /* a field that keeps secrets of the old spec; NULL: no field does */
    bool oauth2;            /* whether the field oauth2 keeps its secret */
};

/* Appends the body as the JSON of a whole spec, which is secret. Returns 0, or -1 blaming a field
 * that has nothing to keep. */
int kept_secrets_put_body(struct kept_secrets *kept, const struct spec *old,
                          const struct body *body, struct buf *out, struct error *err);
/* Restores the URLs that the body has as GET shows them. Then checks that the spec made from the
 * body keeps no secret for another server. */
int kept_secrets_check(const struct kept_secrets *kept, struct spec *spec, struct error *err);

/* A URL as it is shown: without the values of its query. The text is the caller's. */
char *kept_secrets_shown_url(const char *url);

#endif
