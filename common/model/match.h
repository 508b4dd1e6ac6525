/* From a topic to those who want it: a trie of pattern segments, so that an event costs what it
 * matches, not what is registered. Pure, one thread. */
#ifndef ESS_MODEL_MATCH_H
#define ESS_MODEL_MATCH_H

#include <stdint.h>

#include "common/base/span.h"
#include "common/model/subscription.h"

struct match;

/* Embedded in whoever subscribes (all zero at first). */
struct match_member {
    uint64_t seen; /* the last match_each that called it, so that two patterns of one member count
                      once */
};

struct match *match_new(void);
void match_free(struct match *match);

/* The pattern must have passed pattern_check. The same pattern of the same member is added once. */
void match_add(struct match *match, struct span pattern, struct match_member *member);
void match_remove(struct match *match, struct span pattern, struct match_member *member);

/* The same for all patterns of a subscription. */
void match_add_all(struct match *match, const struct subscription *subscription,
                   struct match_member *member);
void match_remove_all(struct match *match, const struct subscription *subscription,
                      struct match_member *member);

/* Calls `each` once for every member with a pattern that matches. `each` must not add or remove. */
void match_each(struct match *match, struct span topic,
                void (*each)(void *arg, struct match_member *member), void *arg);

#endif
