/* Compares JSON numbers as decimals, without loss, for any number of digits: 0.1 equals 1e-1, 100
 * equals 1.0E2. No allocation. Any thread. */
#ifndef ESS_JSON_DECIMAL_H
#define ESS_JSON_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/span.h"

/* The number 0.d1d2d3… times 10 to the power of `exponent`. */
struct decimal {
    /* From the first digit that is not 0, perhaps with a point inside; both NULL for zero. */
    const char *digits, *end;
    int64_t exponent; /* its magnitude stops growing before 10^16 */
    bool negative;
};

/* Reads a number as JSON writes it. The text must outlive the decimal. Returns false if not a
 * number. */
bool decimal_parse(struct span text, struct decimal *decimal);

/* Returns a number below, equal to or above 0, for a < b, a = b or a > b. */
int decimal_compare(const struct decimal *a, const struct decimal *b);

#endif
