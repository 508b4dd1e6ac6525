/* The field `tls` of a spec: a client certificate with its key, by which the endpoint knows ESS,
 * and a private CA, by which ESS knows the endpoint. Pure, any thread. */
#ifndef ESS_MODEL_TLS_IDENTITY_H
#define ESS_MODEL_TLS_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/error.h"

struct json_object;
struct spec_rules;

enum { TLS_IDENTITY_PEM_BYTES_MAX = 16 * 1024, TLS_IDENTITY_WARN_DAYS = 14 };

/* The texts are PEM, its own, and NULL when left out. */
struct tls_identity {
    char *certificate, *key; /* both or neither */
    char *ca;                /* CA certificates, one of which must have signed the endpoint's */
    /* names of files as the YAML file has them; their content was read */
    char *certificate_file, *key_file, *ca_file;
    int64_t not_after_ms; /* when the certificate expires, wall; 0: no certificate */
};

/* Reads the field's value, and the files that it names by rules->read_file. Returns NULL with the
 * reason, which blames "tls" or one of its members ("tls.key"). A record's certificates are not
 * checked again. */
struct tls_identity *tls_identity_new(struct json_object *value, const struct spec_rules *rules,
                                      struct error *err);
void tls_identity_free(struct tls_identity *identity); /* wipes the key; NULL is fine */
/* Whether a part of it was read from a file. */
bool tls_identity_has_files(const struct tls_identity *identity);

/* Appends it as an object, the members in a fixed order, files by their content. The key is written
 * whole when `secrets`, else by name. */
void tls_identity_to_json(const struct tls_identity *identity, bool secrets, struct buf *out);
/* Appends an object of the key alone. Returns whether there is one. */
bool tls_identity_put_secrets(const struct tls_identity *identity, struct buf *out);

/* Appends a warning if the certificate has expired, or will expire within TLS_IDENTITY_WARN_DAYS.
 * Otherwise appends nothing, and returns false. */
bool tls_identity_warning(const struct tls_identity *identity, int64_t wall_ms, struct buf *out);

#endif
