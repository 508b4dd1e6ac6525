/* UTF-8 by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef ESS_BASE_UTF8_H
#define ESS_BASE_UTF8_H

#include <stddef.h>

/* Length in bytes (1 to 4) of the character at `text`, given `left` bytes; 0 for invalid UTF-8. */
static inline size_t utf8_length(const char *text, size_t left) {
    const unsigned char *p = (const unsigned char *)text;
    size_t length;
    if (left == 0)
        return 0;
    if (p[0] <= 0x7f)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        length = 2;
    else if ((p[0] & 0xf0) == 0xe0)
        length = 3;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4)
        length = 4;
    else
        return 0;
    unsigned char low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (left < length || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

/* How many of `len` bytes of UTF-8 fit into `max` bytes without cutting a character. */
static inline size_t utf8_fit(const char *text, size_t len, size_t max) {
    if (len <= max)
        return len;
    while (max && (text[max] & 0xc0) == 0x80)
        max--;
    return max;
}

#endif
