/* Which events a reader of the log gets; see subscription.h. */
#include "common/model/subscription.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/filter/event_filter.h"
#include "common/model/pattern.h"

void subscription_add(struct subscription *s, const char *pattern) {
    s->patterns = mem_resize(s->patterns, (s->patterns_count + 1) * sizeof *s->patterns);
    s->patterns[s->patterns_count++] = mem_copy_string(pattern, strlen(pattern));
}

int subscription_set_filter(struct subscription *s, struct span json, struct error *err) {
    char place[sizeof err->field];
    if ((s->filter = event_filter_new(json, err)))
        return 0;
    memcpy(place, err->field, sizeof place);
    snprintf(err->field, sizeof err->field, "filter%s%.*s", *place ? "." : "",
             (int)(sizeof place - sizeof "filter."), place);
    return error_prefix(err, "filter%s", *place ? "." : ": ");
}

void subscription_fini(struct subscription *s) {
    event_filter_free(s->filter);
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
            return !s->filter || event_filter_may_match_topic(s->filter, topic);
    return false;
}

bool subscription_wants_content(const struct subscription *s, struct span stored) {
    return !s || !s->filter || !stored.len || event_filter_matches(s->filter, stored);
}

bool subscription_wants(const struct subscription *s, struct span topic, struct span stored) {
    return subscription_wants_topic(s, topic) && subscription_wants_content(s, stored);
}

const char *subscription_hopeless(const struct subscription *s) {
    const char *reason = s->filter ? event_filter_hopeless(s->filter) : NULL;
    if (reason || !s->filter)
        return reason;
    for (size_t i = 0; i < s->patterns_count; i++)
        if (strchr(s->patterns[i], '*') ||
            event_filter_may_match_topic(s->filter, span_of(s->patterns[i])))
            return NULL;
    return "no event matches it: its own conditions on topic exclude all of the topics";
}
