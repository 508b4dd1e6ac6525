/* What a reader of the log wants; see subscription.h. */
#include "common/model/subscription.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/model/pattern.h"

void subscription_add(struct subscription *s, const char *pattern) {
    s->patterns = mem_resize(s->patterns, (s->patterns_count + 1) * sizeof *s->patterns);
    s->patterns[s->patterns_count++] = mem_copy_string(pattern, strlen(pattern));
}

void subscription_fini(struct subscription *s) {
    for (size_t i = 0; i < s->patterns_count; i++)
        free(s->patterns[i]);
    free(s->patterns);
    *s = (struct subscription){0};
}

bool subscription_wants_topic(const struct subscription *s, struct span topic) {
    if (!s)
        return true;
    for (size_t i = 0; i < s->patterns_count; i++)
        if (pattern_matches(span_of(s->patterns[i]), topic))
            return true;
    return false;
}

bool subscription_wants(const struct subscription *s, struct span topic, struct span stored) {
    return subscription_wants_topic(s, topic) && subscription_wants_content(s, stored);
}
