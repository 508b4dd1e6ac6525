/* The one parser of whole numbers: cursors, offsets, counts and lengths. */
#ifndef ESS_BASE_NUMBER_H
#define ESS_BASE_NUMBER_H

#include <stdint.h>

#include "common/base/span.h"

enum { NUMBER_DIGITS_MAX = 18 }; /* as many as always fit into an int64_t */

/* Reads 1 to NUMBER_DIGITS_MAX decimal digits. Returns -1 for any other text. Any thread. */
int64_t number_parse(struct span text);

#endif
