/* Compares text case-insensitively, character by character, by Unicode's simple mappings. Invalid
 * UTF-8 is compared byte by byte. No allocation. Any thread. */
#ifndef ESS_FILTER_CASE_FOLD_H
#define ESS_FILTER_CASE_FOLD_H

#include <locale.h>
#include <stdbool.h>

#include "common/base/span.h"

/* The locale for the calls below: newlocale's C.UTF-8, or 0 to fold only ASCII. */
locale_t case_fold_locale(void);

bool case_fold_equal(struct span a, struct span b, locale_t locale);
bool case_fold_begins(struct span text, struct span prefix, locale_t locale);
bool case_fold_ends(struct span text, struct span suffix, locale_t locale);

#endif
