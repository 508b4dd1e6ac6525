/* All subscribers: read from ess.subscribers and ess.tokens, started, and kept as their records change. */
#ifndef ESS_DISPATCHER_SUBSCRIBERS_H
#define ESS_DISPATCHER_SUBSCRIBERS_H

#include <stdbool.h>

#include "common/base/error.h"

struct dispatcher;
struct subscriber;
struct subscribers;

/* Begins to read. NULL with the reason when librdkafka refuses. */
struct subscribers *subscribers_new(struct dispatcher *d, struct error *err);
/* Stops all; with `keep` their tokens are written. Frees everything. */
void subscribers_free(struct subscribers *all, bool keep);

bool subscribers_loaded(const struct subscribers *all);
struct subscriber *subscribers_find(struct subscribers *all, const char *id);
struct subscriber *subscribers_first(struct subscribers *all); /* then s->hh.next */

#endif
