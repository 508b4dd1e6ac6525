/* Forms; see form.h. */
#include "common/net/form.h"

#include <stdbool.h>

static bool form_is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void form_put_encoded(struct buf *out, struct span text) {
    static const char digits[] = "0123456789ABCDEF";
    char *at = buf_reserve(out, text.len * 3), *begin = at;
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char c = (unsigned char)text.data[i];
        if (form_is_plain(text.data[i])) {
            *at++ = text.data[i];
            continue;
        }
        *at++ = '%';
        *at++ = digits[c >> 4];
        *at++ = digits[c & 15];
    }
    buf_commit(out, (size_t)(at - begin));
}

void form_put(struct buf *out, const char *name, struct span value) {
    if (out->len)
        buf_puts(out, "&");
    buf_puts(out, name);
    buf_puts(out, "=");
    form_put_encoded(out, value);
}
