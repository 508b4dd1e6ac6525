/* A subscriber's `filter`: conditions on an event's content, in the syntax of Amazon EventBridge's
 * event patterns, judged like the open-source aws/event-ruler.
 *
 *   {"data": {"state": ["MD", "VA"], "copay": [{"numeric": ["<", 30]}]}}
 *
 * All fields of an object must match. A list matches if one of its conditions does. For an array in
 * the event one element suffices, and the fields of one object in the pattern must match within the
 * same element. {"exists": false} holds where no scalar is present, in any element, or in the
 * element matched by another field of the same object. "$or" takes a list of at least two objects.
 *
 * One thread at a time: a filter keeps memory for strings with escapes. Judging an event allocates
 * nothing else. */
#ifndef ESS_FILTER_EVENT_FILTER_H
#define ESS_FILTER_EVENT_FILTER_H

#include <stdbool.h>

#include "common/base/error.h"
#include "common/base/span.h"

enum {
    EVENT_FILTER_BYTES_MAX = 16 * 1024,
    EVENT_FILTER_DEPTH_MAX = 8,       /* levels of names */
    EVENT_FILTER_CONDITIONS_MAX = 200 /* compared values */
};

struct event_filter;

/* Reads the pattern from JSON, scanned or not. Returns NULL with the reason, which names the place:
 * "data.copay[1]: unknown operator 'numerik': known are …". err->field is the place, or "" for the
 * whole pattern. The pattern is copied. */
struct event_filter *event_filter_new(struct span pattern, struct error *err);
void event_filter_free(struct event_filter *filter);

/* Whether a stored event ({"topic":…,"id":…,…,"data":…}) matches. For invalid JSON the result is
 * arbitrary. */
bool event_filter_matches(struct event_filter *filter, struct span stored);

/* Why the filter matches no event at all, for a warning at registration, or NULL. Finds only
 * contradictions about topic, id and key. */
const char *event_filter_hopeless(const struct event_filter *filter);

/* Whether an event of this topic may match, judged by the pattern's member `topic` alone. */
bool event_filter_may_match_topic(struct event_filter *filter, struct span topic);

#endif
