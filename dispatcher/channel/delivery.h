/* The events of a delivery: one, or several as {"events":[…]}. Pure, any thread. */
#ifndef ESS_DISPATCHER_DELIVERY_H
#define ESS_DISPATCHER_DELIVERY_H

#include "dispatcher/channel/channel.h"

/* The caller appends the event, in ESS's own form, to delivery->body between these two calls. Only
 * a `batch` has several. */
void delivery_begin_event(struct delivery *delivery, int64_t cursor);
void delivery_end_event(struct delivery *delivery);
/* After the last event. */
void delivery_end(struct delivery *delivery);
/* Frees the body and the list of events. */
void delivery_fini(struct delivery *delivery);

size_t delivery_count(const struct delivery *delivery);
int64_t delivery_first_cursor(const struct delivery *delivery);
/* One of its events, in ESS's own form. */
struct span delivery_event_body(const struct delivery *delivery, size_t number);

#endif
