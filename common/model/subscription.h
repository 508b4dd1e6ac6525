/* Which events of the log a reader wants: the topic must match one of the patterns, and the content
 * must match the filter, if there is a filter. Decides for subscribers and for readers by HTTP
 * alike. One owner; one thread at a time. */
#ifndef ESS_MODEL_SUBSCRIPTION_H
#define ESS_MODEL_SUBSCRIPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/base/span.h"

struct event_filter;

/* All zero matches nothing. A NULL pointer to a subscription stands for every event. */
struct subscription {
    char **patterns; /* owned */
    size_t patterns_count;
    struct event_filter *filter; /* owned; NULL: any content */
};

/* Adds a copy of a pattern checked by pattern_check. */
void subscription_add(struct subscription *subscription, const char *pattern);
/* Sets the filter from JSON, scanned or not. Returns 0, or -1 with the place in err->field:
 * "filter" and the path below. */
int subscription_set_filter(struct subscription *subscription, struct span json, struct error *err);
void subscription_fini(struct subscription *subscription);

/* Whether the topic may match. The answer holds for all events of a topic, so callers may remember
 * it. */
bool subscription_wants_topic(const struct subscription *subscription, struct span topic);
/* Whether an event of a matching topic is wanted. `stored` is event_store's bytes, or empty for an
 * event of a later version of ESS, whose topic alone can be read. */
bool subscription_wants_content(const struct subscription *subscription, struct span stored);
/* Whether an event is wanted, by topic and content. */
bool subscription_wants(const struct subscription *subscription, struct span topic,
                        struct span stored);

/* Why the subscription can match no event at all, as text for people; NULL if it may match some.
 * For a warning: finds only contradictions about topic, id and key. */
const char *subscription_hopeless(const struct subscription *subscription);

#endif
