/* Numbers of JSON compared as decimals, without loss: 0.1 is 1e-1 and 100 is 1.0E2, however many
 * digits there are. No allocation. Any thread. */
#ifndef ESS_JSON_DECIMAL_H
#define ESS_JSON_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/span.h"

/* The number 0.d1d2d3… times 10 to the power of `exponent`. */
struct decimal {
    const char *digits, *end; /* from the first digit that is not 0; a point may stand among them;
                                 both NULL for zero */
    int64_t exponent;         /* beyond 10^15 counts as 10^15 */
    bool negative;
};

/* Reads a number as JSON writes it; the text must stay as long as the decimal. False when `text` is
 * no number. */
bool decimal_parse(struct span text, struct decimal *decimal);

/* Below, at or above 0, as a is below b, equal to it, or above it. */
int decimal_compare(const struct decimal *a, const struct decimal *b);

#endif
