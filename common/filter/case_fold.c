/* Case-insensitive text; see case_fold.h. Two characters are equal when their upper-case or
 * lower-case forms are. */
#include "common/filter/case_fold.h"

#include <wctype.h>

#include "common/base/utf8.h"

locale_t case_fold_locale(void) { return newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0); }

/* Takes the first character off `text`. */
static wint_t case_fold_next(struct span *text) {
    const unsigned char *p = (const unsigned char *)text->data;
    size_t length = utf8_length(text->data, text->len);
    wint_t c = p[0];
    if (length == 2)
        c = (wint_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f);
    else if (length == 3)
        c = (wint_t)(p[0] & 0x0f) << 12 | (wint_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
    else if (length == 4)
        c = (wint_t)(p[0] & 0x07) << 18 | (wint_t)(p[1] & 0x3f) << 12 | (wint_t)(p[2] & 0x3f) << 6 |
            (p[3] & 0x3f);
    length = length ? length : 1;
    *text = (struct span){text->data + length, text->len - length};
    return c;
}

static wint_t case_fold_ascii(wint_t c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; }

static bool case_fold_same(wint_t a, wint_t b, locale_t locale) {
    if (a == b || (a < 0x80 && b < 0x80) || !locale)
        return case_fold_ascii(a) == case_fold_ascii(b);
    return towlower_l(a, locale) == towlower_l(b, locale) ||
           towupper_l(a, locale) == towupper_l(b, locale);
}

bool case_fold_begins(struct span text, struct span prefix, locale_t locale) {
    while (text.len && prefix.len)
        if (!case_fold_same(case_fold_next(&text), case_fold_next(&prefix), locale))
            return false;
    return prefix.len == 0;
}

static size_t case_fold_count(struct span text) {
    size_t count = 0;
    for (; text.len; count++)
        case_fold_next(&text);
    return count;
}

bool case_fold_equal(struct span a, struct span b, locale_t locale) {
    return case_fold_count(a) == case_fold_count(b) && case_fold_begins(a, b, locale);
}

bool case_fold_ends(struct span text, struct span suffix, locale_t locale) {
    size_t all = case_fold_count(text), wanted = case_fold_count(suffix);
    if (wanted > all)
        return false;
    for (size_t i = wanted; i < all; i++)
        case_fold_next(&text);
    return case_fold_begins(text, suffix, locale);
}
