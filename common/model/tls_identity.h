/* Who a subscriber's deliveries come from, and whom they trust, in TLS: the field `tls` of a spec,
 * that is a client certificate with its key, and a private CA. Pure, any thread. */
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
    char *certificate, *key; /* both or none */
    char *ca;                /* the endpoint's certificate is to be signed by one of these */
    /* names of files as the YAML file has them; their content was read */
    char *certificate_file, *key_file, *ca_file;
    int64_t not_after_ms; /* the end of the certificate, wall; 0: there is none */
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

/* Appends why the certificate needs a new one: it has expired, or will within
 * TLS_IDENTITY_WARN_DAYS. Returns false, and appends nothing, while neither is so. */
bool tls_identity_warning(const struct tls_identity *identity, int64_t wall_ms, struct buf *out);

#endif
