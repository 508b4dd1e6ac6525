/* Sizes as text: 256KiB, 8MiB, 1GiB, 65536. Pure, any thread. */
#ifndef ESS_BASE_SIZE_H
#define ESS_BASE_SIZE_H

#include <stddef.h>
#include <stdint.h>

enum { SIZE_TEXT_BYTES = 32 };

/* Reads a whole number with B, KiB, MiB, GiB or no unit. Returns 0 with the bytes, or -1. */
int size_parse(const char *text, int64_t *bytes);
/* Writes the size in the largest unit that has no remainder. */
void size_format(int64_t bytes, char out[SIZE_TEXT_BYTES]);

#endif
