/* Moves lanes: finds a lane's next event, sends it, and tells the lane what came of it. */
#ifndef ESS_DISPATCHER_DELIVERY_H
#define ESS_DISPATCHER_DELIVERY_H

#include "common/feed/feed.h"

struct dispatcher;
struct subscriber;

/* Does for the subscriber whatever can be done now: starts an attempt, or arranges to be called when one may start. */
void delivery_step(struct subscriber *s);

/* An event was appended: wakes the lanes that wait for it. */
void delivery_appended(struct dispatcher *d, const struct feed_event *event);

/* Calls off what is in flight and in any queue for it. */
void delivery_cancel(struct subscriber *s);

#endif
