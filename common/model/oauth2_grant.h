/* The field `oauth2` of a spec: how to get an access token for deliveries, by the client
 * credentials grant (RFC 6749, 4.4). Pure, any thread. */
#ifndef ESS_MODEL_OAUTH2_GRANT_H
#define ESS_MODEL_OAUTH2_GRANT_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/error.h"

struct json_object;
struct spec_rules;

/* All texts are its own. */
struct oauth2_grant {
    char *token_url, *client_id, *client_secret;
    char *scope, *audience; /* NULL when left out */
};

/* Reads the field's value. Returns NULL with the reason, which blames "oauth2" or one of its
 * members ("oauth2.token_url"). */
struct oauth2_grant *oauth2_grant_new(struct json_object *value, const struct spec_rules *rules,
                                      struct error *err);
void oauth2_grant_free(struct oauth2_grant *grant); /* wipes the secret; NULL is fine */

/* Appends it as an object, the members in a fixed order. The secret is written whole when
 * `secrets`, else by name. */
void oauth2_grant_to_json(const struct oauth2_grant *grant, bool secrets, struct buf *out);
/* Appends an object of the secret alone. Returns true. */
bool oauth2_grant_put_secrets(const struct oauth2_grant *grant, struct buf *out);

/* Appends the body of a token request. */
void oauth2_grant_put_form(const struct oauth2_grant *grant, struct buf *out);
/* Appends the value of the request's Authorization header: HTTP Basic, with both parts
 * form-encoded first (RFC 6749, 2.3.1). It is secret. */
void oauth2_grant_put_authorization(const struct oauth2_grant *grant, struct buf *out);

#endif
