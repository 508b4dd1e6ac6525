/* Bytes as hex digits. Pure. */
#ifndef ESS_BASE_HEX_H
#define ESS_BASE_HEX_H

#include <stddef.h>

#include "common/base/span.h"

/* Writes 2 * count lower-case digits and a NUL. */
void hex_put(const unsigned char *bytes, size_t count, char *out);

/* The value of a digit, of either case; -1 for any other character. */
int hex_digit(char c);
/* Reads exactly 2 * count digits, of either case. Returns 0, or -1 for any other text. */
int hex_parse(struct span hex, unsigned char *bytes, size_t count);

#endif
