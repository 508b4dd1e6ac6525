/* Topics (1 to 8 segments [A-Za-z0-9_-]{1,64} joined by ".", at most 100 characters) and patterns.
 * In a pattern a segment may be "*": exactly one segment; at the end, one or more; alone,
 * everything. Pure, any thread. */
#ifndef ESS_MODEL_PATTERN_H
#define ESS_MODEL_PATTERN_H

#include <stdbool.h>

#include "common/base/error.h"
#include "common/base/span.h"

enum { TOPIC_BYTES_MAX = 100, TOPIC_SEGMENTS_MAX = 8 };

/* Return 0, or -1 with the reason (no field set). */
int topic_check(struct span topic, struct error *err);
int pattern_check(struct span pattern, struct error *err);

/* Takes the first segment off `rest`. `*last` is set when no segment follows. */
struct span pattern_take_segment(struct span *rest, bool *last);
/* Whether the segment is "*". */
bool pattern_is_wildcard(struct span segment);

/* Expects a checked pattern and a checked topic. */
bool pattern_matches(struct span pattern, struct span topic);

/* Whether `outer` matches every topic that `inner` matches (for scopes). */
bool pattern_within(struct span inner, struct span outer);

#endif
