/* X.509 certificates and private keys in PEM, by OpenSSL: checked before they are used. Pure, any
 * thread. */
#ifndef ESS_CRYPTO_CERTIFICATE_H
#define ESS_CRYPTO_CERTIFICATE_H

#include <stdint.h>

#include "common/base/error.h"

/* Whether the text is a certificate, with or without the certificates of its chain behind it, and
 * nothing else: no private key. Sets *not_after_ms, milliseconds since 1970, to the end of the
 * first one's validity. Returns 0, or -1 with the reason. */
int certificate_check(const char *pem, int64_t *not_after_ms, struct error *err);

/* Whether the text is one private key without a passphrase, and the key of the first certificate in
 * `certificate`, which has passed certificate_check. Returns 0, or -1 with the reason. */
int certificate_check_key(const char *certificate, const char *key, struct error *err);

#endif
