/* A subscriber's `filter`: conditions on an event's content, in the syntax of Amazon EventBridge's
 * event patterns, judged as the open-source aws/event-ruler judges them.
 *
 *   {"data": {"state": ["MD", "VA"], "copay": [{"numeric": ["<", 30]}]}}
 *
 * All fields of an object must match; a list matches if one of its conditions does; of an array in
 * the event one element suffices, and fields of one object of the pattern must be found in one and
 * the same element. {"exists": false} holds where no scalar stands at that place, in any element,
 * or in that element which another field of the same object has matched. "$or" takes a list of at
 * least two objects.
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
    EVENT_FILTER_DEPTH_MAX = 8,       /* names below one another */
    EVENT_FILTER_CONDITIONS_MAX = 200 /* values that are compared with */
};

struct event_filter;

/* Reads the pattern: JSON, which need not have been scanned. NULL with the reason, which names the
 * place: "data.copay[1]: unknown operator 'numerik': known are …"; err->field is the place, "" for
 * the whole. */
struct event_filter *event_filter_new(struct span pattern, struct error *err);
void event_filter_free(struct event_filter *filter);

/* Whether an event as the log stores it ({"topic":…,"id":…,…,"data":…}) matches. What is no valid
 * JSON does or does not. */
bool event_filter_matches(struct event_filter *filter, struct span stored);

/* Why the filter matches no event at all, whatever its `data` is, in words for people; NULL when it
 * may match some. For a warning at registration: it finds contradictions about topic, id and key
 * only. */
const char *event_filter_hopeless(const struct event_filter *filter);

/* Whether an event of this topic may match, as far as the pattern's own member `topic` says. */
bool event_filter_may_match_topic(struct event_filter *filter, struct span topic);

#endif
