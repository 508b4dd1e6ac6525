/* Base64 by OpenSSL, which by itself accepts white space and stray padding; see base64.h. */
#include "common/crypto/base64.h"

#include <limits.h>
#include <openssl/evp.h>

void base64_put(struct buf *out, const unsigned char *data, size_t len) {
    char *to = buf_reserve(out, 4 * ((len + 2) / 3) + 1);
    buf_commit(out, (size_t)EVP_EncodeBlock((unsigned char *)to, data, (int)len));
}

void base64url_put(struct buf *out, const unsigned char *data, size_t len) {
    const size_t begin = out->len;
    base64_put(out, data, len);
    while (out->len > begin && out->data[out->len - 1] == '=')
        out->data[--out->len] = 0;
    for (char *c = out->data + begin; c < out->data + out->len; c++)
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
}

static size_t base64_leading(struct span text, const char *alphabet) {
    size_t n = 0;
    while (n < text.len && text.data[n] && strchr(alphabet, text.data[n]))
        n++;
    return n;
}

long base64_decode(struct span text, unsigned char *out) {
    size_t plain = base64_leading(
               text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"),
           padding = text.len - plain;
    if (text.len == 0 || text.len > INT_MAX || text.len % 4 || padding > 2)
        return -1;
    if (base64_leading((struct span){text.data + plain, padding}, "=") != padding)
        return -1;
    return EVP_DecodeBlock(out, (const unsigned char *)text.data, (int)text.len) - (long)padding;
}
