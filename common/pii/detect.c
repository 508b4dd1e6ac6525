/* Finds personal data by its form; see detect.h. Each kind has a matcher, which returns the end of
 * a match. */
#include "common/pii/detect.h"

#include <stdint.h>

#include "common/base/names.h"

enum { SEPARATORS_MAX = 3, PHONE_DIGITS_MIN = 7, PHONE_DIGITS_MAX = 15 };

int detect_kind_of(const char *name) {
    static const char *const names[DETECT_KINDS] = {"ssn", "email", "phone", "card"};
    return names_find(names, DETECT_KINDS, name);
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_letter(char c) { return is_ascii_letter(c) || (unsigned char)c >= 0x80; }

static bool digit_at(struct span t, size_t i) { return i < t.len && is_digit(t.data[i]); }
static bool digit_before(struct span t, size_t i) { return i > 0 && is_digit(t.data[i - 1]); }

/* The position behind `count` digits at i, or 0. */
static size_t detect_digits(struct span t, size_t i, size_t count) {
    for (size_t n = 0; n < count; n++)
        if (!digit_at(t, i + n))
            return 0;
    return i + count;
}

/* Length of a separator at i, or 0. */
static size_t detect_separator(struct span t, size_t i) {
    static const char *const wide[] = {"\xc2\xa0",     "\xe2\x80\x90", "\xe2\x80\x91",
                                       "\xe2\x80\x92", "\xe2\x80\x93", "\xe2\x80\x94",
                                       "\xe2\x80\x95", "\xe2\x80\xaf", "\xe2\x88\x92"};
    if (i < t.len && memchr("- .", t.data[i], 3))
        return 1;
    for (size_t n = 0; n < sizeof wide / sizeof *wide; n++) {
        size_t len = strlen(wide[n]);
        if (t.len - i >= len && memcmp(t.data + i, wide[n], len) == 0)
            return len;
    }
    return 0;
}

/* Length of all separators at i; 0 for none or too many. */
static size_t detect_separators(struct span t, size_t i) {
    size_t all = 0, len;
    for (int count = 0; (len = detect_separator(t, i + all)) > 0; count++) {
        if (count == SEPARATORS_MAX)
            return 0;
        all += len;
    }
    return all;
}

/* --- each kind: the end of a match that begins at i, or 0 */

static size_t match_ssn(struct span t, size_t i) {
    size_t area = digit_before(t, i) ? 0 : detect_digits(t, i, 3),
           between = area ? detect_separators(t, area) : 0;
    size_t group = between ? detect_digits(t, area + between, 2) : 0;
    if (!group || detect_separators(t, group) != between ||
        memcmp(t.data + area, t.data + group, between) != 0)
        return 0;
    size_t end = detect_digits(t, group + between, 4);
    return end && !digit_at(t, end) ? end : 0;
}

/* 3, 3 and 4 digits, the first group perhaps in parentheses. */
static size_t match_grouped_phone(struct span t, size_t i) {
    bool open = i < t.len && t.data[i] == '(';
    size_t area = detect_digits(t, i + open, 3);
    if (!area || (open && (area >= t.len || t.data[area] != ')')))
        return 0;
    size_t between = detect_separators(t, area + open);
    size_t exchange = open || between ? detect_digits(t, area + open + between, 3) : 0;
    between = exchange ? detect_separators(t, exchange) : 0;
    size_t end = between ? detect_digits(t, exchange + between, 4) : 0;
    return end && !digit_at(t, end) ? end : 0;
}

static size_t phone_separator(struct span t, size_t i) {
    return i < t.len && memchr("()/", t.data[i], 3) ? 1 : detect_separator(t, i);
}

/* + and 7 to 15 digits, with at most two separators between any. */
static size_t match_international_phone(struct span t, size_t i) {
    size_t count = 0, end = 0, at = i + 1;
    for (;;) {
        if (digit_at(t, at)) {
            end = ++at;
            if (++count > PHONE_DIGITS_MAX)
                return 0;
            continue;
        }
        size_t skipped = 0;
        for (size_t len; skipped < 3 && (len = phone_separator(t, at)) > 0; skipped++)
            at += len;
        if (skipped == 0 || skipped == 3 || !digit_at(t, at))
            return count >= PHONE_DIGITS_MIN ? end : 0;
    }
}

static size_t match_phone(struct span t, size_t i) {
    if (digit_before(t, i))
        return 0;
    if (t.data[i] == '+')
        return match_international_phone(t, i);
    size_t country = t.data[i] == '1' ? detect_separators(t, i + 1) : 0;
    size_t end = country ? match_grouped_phone(t, i + 1 + country) : 0;
    return end ? end : match_grouped_phone(t, i);
}

static bool detect_luhn(const char *number, size_t count) {
    unsigned sum = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned digit = (unsigned)(number[count - 1 - i] - '0') << (i % 2);
        sum += digit > 9 ? digit - 9 : digit;
    }
    return sum % 10 == 0;
}

/* The longest match. Adjacent letters make the digits part of something else, such as a hash in
 * hex. */
static size_t match_card(struct span t, size_t i) {
    char number[DETECT_CARD_DIGITS_MAX];
    size_t ends[DETECT_CARD_DIGITS_MAX], count = 0, at = i;
    if (t.data[i] < '2' || t.data[i] > '6' || digit_before(t, i) ||
        (i > 0 && is_ascii_letter(t.data[i - 1])))
        return 0;
    while (count < DETECT_CARD_DIGITS_MAX) {
        if (!digit_at(t, at))
            at += detect_separators(t, at);
        if (!digit_at(t, at))
            break;
        number[count] = t.data[at];
        ends[count++] = ++at;
    }
    for (; count >= DETECT_CARD_DIGITS_MIN; count--) {
        size_t end = ends[count - 1];
        bool alone = end == t.len || (!is_digit(t.data[end]) && !is_ascii_letter(t.data[end]));
        if (alone && detect_luhn(number, count))
            return end;
    }
    return 0;
}

static bool local_character(char c) {
    return c && (is_letter(c) || is_digit(c) || strchr("!#$%&'*+/=?^_`{|}~.-", c));
}
static bool domain_character(char c) { return is_letter(c) || is_digit(c) || c == '-' || c == '.'; }

/* The end of the domain after an @: labels joined by dots, the last of at least two letters. */
static size_t domain_end(struct span t, size_t at) {
    size_t end = at;
    while (end < t.len && domain_character(t.data[end]))
        end++;
    while (end > at && (t.data[end - 1] == '.' || t.data[end - 1] == '-'))
        end--;
    size_t label = end;
    while (label > at && t.data[label - 1] != '.')
        label--;
    return label > at + 1 && end - label >= 2 && is_letter(t.data[label]) && t.data[at] != '.' ? end
                                                                                               : 0;
}

/* --- the search */

static void next_email(struct span t, size_t from, size_t *begin, size_t *end) {
    for (size_t at = from; at < t.len; at++) {
        const char *found = memchr(t.data + at, '@', t.len - at);
        if (!found)
            break;
        at = (size_t)(found - t.data);
        *begin = at;
        while (*begin > from && local_character(t.data[*begin - 1]))
            (*begin)--;
        *end = *begin < at ? domain_end(t, at + 1) : 0;
        if (*end)
            return;
    }
    *begin = t.len;
}

static void next_of(struct span t, enum detect_kind kind, size_t from, size_t *begin, size_t *end) {
    if (kind == DETECT_EMAIL) {
        next_email(t, from, begin, end);
        return;
    }
    for (*begin = from; *begin < t.len; (*begin)++) {
        char c = t.data[*begin];
        if (!is_digit(c) && (kind != DETECT_PHONE || (c != '+' && c != '(')))
            continue;
        *end = kind == DETECT_SSN     ? match_ssn(t, *begin)
               : kind == DETECT_PHONE ? match_phone(t, *begin)
                                      : match_card(t, *begin);
        if (*end)
            return;
    }
}

void detect_init(struct detect *detect, struct span text, unsigned kinds) {
    *detect = (struct detect){.text = text, .kinds = kinds};
}

bool detect_next(struct detect *d, size_t from, size_t *begin, size_t *end) {
    *begin = d->text.len;
    for (int kind = 0; kind < DETECT_KINDS; kind++) {
        if (!(d->kinds & 1U << kind))
            continue;
        if (!d->next[kind].known || d->next[kind].begin < from)
            next_of(d->text, (enum detect_kind)kind, from, &d->next[kind].begin,
                    &d->next[kind].end);
        d->next[kind].known = true;
        bool better = d->next[kind].begin < *begin ||
                      (d->next[kind].begin == *begin && *begin < d->text.len &&
                       d->next[kind].end > *end);
        if (better) {
            *begin = d->next[kind].begin;
            *end = d->next[kind].end;
        }
    }
    return *begin < d->text.len;
}
