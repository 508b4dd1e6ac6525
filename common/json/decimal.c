/* Decimal numbers; see decimal.h. */
#include "common/json/decimal.h"

#define EXPONENT_MAX INT64_C(1000000000000000)

static bool decimal_is_digit(const char *at, const char *end) {
    return at < end && *at >= '0' && *at <= '9';
}

/* Skips digits. Returns NULL if none. */
static const char *decimal_over_digits(const char *at, const char *end) {
    if (!decimal_is_digit(at, end))
        return NULL;
    while (decimal_is_digit(at, end))
        at++;
    return at;
}

/* Reads the exponent after e or E. `*at` moves behind the digits, or becomes NULL without
 * digits. */
static int64_t decimal_exponent(const char **at, const char *end) {
    bool negative = *at < end && **at == '-';
    int64_t value = 0;
    if (*at < end && (**at == '-' || **at == '+'))
        ++*at;
    const char *begin = *at;
    *at = decimal_over_digits(begin, end);
    for (const char *digit = begin; *at && digit < *at; digit++)
        if (value < EXPONENT_MAX)
            value = value * 10 + (*digit - '0');
    return negative ? -value : value;
}

/* Finds the first significant digit between `at` and the mantissa's end. `point` is the position of
 * the point, or the end. */
static void decimal_take_mantissa(struct decimal *d, const char *at, const char *point,
                                  const char *end) {
    while (at < end && (*at == '0' || *at == '.'))
        at++;
    if (at == end)
        return;
    d->digits = at;
    d->end = end;
    d->exponent += at < point ? point - at : point + 1 - at;
}

bool decimal_parse(struct span text, struct decimal *decimal) {
    const char *at = text.data, *end = text.data + text.len, *begin, *point;
    *decimal = (struct decimal){.negative = at < end && *at == '-'};
    begin = at + decimal->negative;
    if (!(point = at = decimal_over_digits(begin, end)))
        return false;
    if (at < end && *at == '.' && !(at = decimal_over_digits(at + 1, end)))
        return false;
    const char *mantissa_end = at;
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        decimal->exponent = decimal_exponent(&at, end);
    }
    decimal_take_mantissa(decimal, begin, point, mantissa_end);
    if (!decimal->digits)
        decimal->negative = false, decimal->exponent = 0;
    return at == end;
}

/* The next digit of a mantissa; '0' behind the end. */
static char decimal_next(const char **at, const char *end) {
    if (*at < end && **at == '.')
        ++*at;
    return *at < end ? *(*at)++ : '0';
}

static int decimal_compare_magnitude(const struct decimal *a, const struct decimal *b) {
    const char *x = a->digits, *y = b->digits;
    if (!x || !y)
        return (x != NULL) - (y != NULL);
    if (a->exponent != b->exponent)
        return a->exponent < b->exponent ? -1 : 1;
    while (x < a->end || y < b->end) {
        char p = decimal_next(&x, a->end), q = decimal_next(&y, b->end);
        if (p != q)
            return p < q ? -1 : 1;
    }
    return 0;
}

int decimal_compare(const struct decimal *a, const struct decimal *b) {
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    return a->negative ? decimal_compare_magnitude(b, a) : decimal_compare_magnitude(a, b);
}
