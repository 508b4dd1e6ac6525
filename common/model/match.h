/* Finds the subscriptions for a topic: a trie of pattern segments, so that the cost of an event
 * grows with the matching patterns, not with the registered ones. Pure, one thread. */
#ifndef ESS_MODEL_MATCH_H
#define ESS_MODEL_MATCH_H

#include <stdint.h>

#include "common/base/span.h"
#include "common/model/subscription.h"

struct match;

/* Embedded in the subscribing object, all zero at first. */
struct match_member {
    /* The last match_each call that visited this member: two matching patterns count once. */
    uint64_t seen;
};

struct match *match_new(void);
void match_free(struct match *match);

/* Adds a pattern checked by pattern_check. Adding a member's pattern again does nothing. */
void match_add(struct match *match, struct span pattern, struct match_member *member);
void match_remove(struct match *match, struct span pattern, struct match_member *member);

/* match_add for all patterns of a subscription. */
void match_add_all(struct match *match, const struct subscription *subscription,
                   struct match_member *member);
void match_remove_all(struct match *match, const struct subscription *subscription,
                      struct match_member *member);

/* Calls `each` once per member with a matching pattern. `each` must not add or remove members. */
void match_each(struct match *match, struct span topic,
                void (*each)(void *arg, struct match_member *member), void *arg);

#endif
