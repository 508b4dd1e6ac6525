/* Which events of the log a reader of it wants: those of a topic that one of its patterns matches.
 * The one place that decides it, for subscribers and for readers by HTTP. One owner, any thread. */
#ifndef ESS_MODEL_SUBSCRIPTION_H
#define ESS_MODEL_SUBSCRIPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/span.h"

/* All zero wants nothing. Where a pointer to one is taken, NULL wants every event. */
struct subscription {
    char **patterns; /* its own */
    size_t patterns_count;
};

/* The pattern must have passed pattern_check. It is copied. */
void subscription_add(struct subscription *subscription, const char *pattern);
void subscription_fini(struct subscription *subscription);

/* Whether events of this topic are wanted, as far as the topic tells: what may be remembered for
 * all events of one topic. */
bool subscription_wants_topic(const struct subscription *subscription, struct span topic);
/* The rest of the question, for an event whose topic is wanted. `stored` is event_store's bytes;
 * {NULL, 0} for an event of a later version of ESS, of which only the topic can be read. */
static inline bool subscription_wants_content(const struct subscription *subscription,
                                              struct span stored) {
    (void)subscription, (void)stored; /* the topic decides */
    return true;
}
/* The whole question. */
bool subscription_wants(const struct subscription *subscription, struct span topic,
                        struct span stored);

#endif
