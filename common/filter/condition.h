/* One condition on a value: an item of a list in an event filter, as in Amazon EventBridge's event
 * patterns. */
#ifndef ESS_FILTER_CONDITION_H
#define ESS_FILTER_CONDITION_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/base/span.h"

struct condition;

/* A scalar of an event: an unescaped string without quotes, or the raw text of any other value. */
struct condition_value {
    struct span text;
    bool is_string;
};

/* Reads one element of a list (raw, valid JSON). Raises `count` by the number of compared values.
 * Returns NULL with the reason. The caller frees the condition; `json` must live
 * as long. */
struct condition *condition_new(struct span json, size_t *count, struct error *err);
void condition_free(struct condition *condition);

/* {"exists": false}: holds only where there is no value. */
bool condition_wants_absence(const struct condition *condition);

/* Whether only strings can match. */
bool condition_wants_string(const struct condition *condition);

bool condition_holds(const struct condition *condition, const struct condition_value *value);

#endif
