/* Personal data in text, by its form: social security numbers, e-mail addresses, phone numbers,
 * payment cards. Pure, any thread; the time is linear in the text, whatever it is.
 *
 *   ssn    123-45-6789: three, two and four digits with the same separator between: a hyphen, a
 * dot, a space email  local@domain.tld, with letters beyond ASCII too phone  of North America: 10
 * digits in groups (555-123-4567, (555) 123-4567, 1 555 123 4567); of anywhere: + and 7 to 15
 * digits card   13 to 19 digits that begin with 2 to 6, also in groups, whose Luhn sum is right
 *
 * Separators are also the no-break space and hyphen, dashes and the minus sign of Unicode; up to
 * three stand together, as in "123 - 45 - 6789". Digits without any are no ssn and no phone number:
 * too much else has 9 or 10 digits. */
#ifndef ESS_MODEL_DETECT_H
#define ESS_MODEL_DETECT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/span.h"

enum { DETECT_CARD_DIGITS_MIN = 13, DETECT_CARD_DIGITS_MAX = 19 };
enum detect_kind { DETECT_SSN, DETECT_EMAIL, DETECT_PHONE, DETECT_CARD, DETECT_KINDS };

/* "ssn", … Returns the kind or -1. */
int detect_kind_of(const char *name);

/* A search through one text. */
struct detect {
    struct span text;
    unsigned kinds; /* a bit for each kind */
    struct {
        size_t begin, end; /* the next of its kind; begin is text.len when there is none */
        bool known;
    } next[DETECT_KINDS];
};

void detect_init(struct detect *detect, struct span text, unsigned kinds);
/* The next match that begins at `from` or later; of several that begin at one place the longest. */
bool detect_next(struct detect *detect, size_t from, size_t *begin, size_t *end);

#endif
