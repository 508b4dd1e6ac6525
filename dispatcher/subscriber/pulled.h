/* A pulled subscriber: without an endpoint, so that nothing is sent. The consumer fetches the
 * events from ess-ingest, and ess-ingest appends what the consumer acknowledges
 * (acknowledgement.h). Here the lane follows, so that checkpoint, lag and warnings are those of any
 * subscriber. Loop thread only. */
#ifndef ESS_DISPATCHER_PULLED_H
#define ESS_DISPATCHER_PULLED_H

#include <stdbool.h>
#include <stdint.h>

struct acknowledgement;
struct subscriber;

/* The lane stands where the token does: moves it to what was acknowledged since. Returns whether it
 * moved. Also for a subscriber that was pulled before it had a url. */
bool pulled_begin(struct subscriber *s);
/* An acknowledgement was read. */
void pulled_acknowledge(struct subscriber *s, const struct acknowledgement *read);
/* Topics or filter may have changed: the event that the lane holds may not be the next one. */
void pulled_look_again(struct subscriber *s);
/* True for a pulled subscriber: notes that the test of this generation is refused. */
bool pulled_refuses_test(struct subscriber *s, int64_t generation);

#endif
