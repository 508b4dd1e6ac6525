/* Finds personal data in text by its form. Pure, any thread; linear time for any text.
 *
 *   ssn    123-45-6789: three, two and four digits with the same separator: a hyphen, a dot,
 *          a space
 *   email  local@domain.tld, with letters beyond ASCII too
 *   phone  North America: 10 digits in groups (555-123-4567, (555) 123-4567, 1 555 123 4567);
 *          anywhere: + and 7 to 15 digits
 *   card   13 to 19 digits, the first from 2 to 6, perhaps in groups, with a valid Luhn sum
 *
 * Unicode's no-break space, no-break hyphen, dashes and minus sign are separators too; up to three
 * may be adjacent, as in "123 - 45 - 6789". Digits without separators are no ssn and no phone
 * number: too much other data has 9 or 10 digits. */
#ifndef ESS_PII_DETECT_H
#define ESS_PII_DETECT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/span.h"

enum { DETECT_CARD_DIGITS_MIN = 13, DETECT_CARD_DIGITS_MAX = 19 };
enum detect_kind { DETECT_SSN, DETECT_EMAIL, DETECT_PHONE, DETECT_CARD, DETECT_KINDS };

/* Reads "ssn", …. Returns the kind or -1. */
int detect_kind_of(const char *name);

/* A search through a text. */
struct detect {
    struct span text;
    unsigned kinds; /* a bit for each kind */
    struct {
        size_t begin, end; /* next match of the kind; begin: text.len if none */
        bool known;
    } next[DETECT_KINDS];
};

void detect_init(struct detect *detect, struct span text, unsigned kinds);
/* Finds the next match from `from` on, the longest at its position. */
bool detect_next(struct detect *detect, size_t from, size_t *begin, size_t *end);

#endif
