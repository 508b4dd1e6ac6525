/* One condition on a value: what stands in the lists of an event filter, as Amazon EventBridge's
 * event patterns have it. */
#ifndef ESS_FILTER_CONDITION_H
#define ESS_FILTER_CONDITION_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/base/span.h"

struct condition;

/* A scalar of an event: a string without its quotes and with its escapes resolved, or anything else
 * as it stands. */
struct condition_value {
    struct span text;
    bool is_string;
};

/* Reads one element of a list (valid JSON as it stands). `count` is raised by the number of values
 * that it compares with. Returns NULL with the reason. The caller frees it. */
struct condition *condition_new(struct span json, size_t *count, struct error *err);
void condition_free(struct condition *condition);

/* {"exists": false}: it holds where there is no value, and for no value that there is. */
bool condition_wants_absence(const struct condition *condition);

/* Only strings meet it. */
bool condition_wants_string(const struct condition *condition);

bool condition_holds(const struct condition *condition, const struct condition_value *value);

#endif
