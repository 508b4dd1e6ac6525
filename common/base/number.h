/* Whole numbers as text: the one reader of cursors, offsets, counts and lengths. */
#ifndef ESS_BASE_NUMBER_H
#define ESS_BASE_NUMBER_H

#include <stdint.h>

#include "common/base/span.h"

enum { NUMBER_DIGITS_MAX = 18 }; /* so many always fit into an int64_t */

/* A whole number of 1 to NUMBER_DIGITS_MAX decimal digits and nothing else; -1 for any other
 * text. Any thread. */
int64_t number_parse(struct span text);

#endif
