/* Base64 (RFC 4648, section 4), with padding. Any thread. */
#ifndef ESS_CRYPTO_BASE64_H
#define ESS_CRYPTO_BASE64_H

#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/span.h"

void base64_put(struct buf *out, const unsigned char *data, size_t len);
/* The alphabet for URLs, without padding (RFC 4648, section 5). */
void base64url_put(struct buf *out, const unsigned char *data, size_t len);

/* Decodes pure base64: the alphabet, padding at the end, no white space, not empty. `out` has room
 * for three bytes per four characters. Returns the number of bytes, or -1. */
long base64_decode(struct span text, unsigned char *out);

#endif
