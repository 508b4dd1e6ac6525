/* Writes the events that were given up to ess.dlq. An event is not settled before its dead letter
 * is in Kafka. Loop thread only. */
#ifndef ESS_DISPATCHER_DEAD_LETTERING_H
#define ESS_DISPATCHER_DEAD_LETTERING_H

#include "dispatcher/channel/webhook.h"
#include "dispatcher/lane/lane.h"

struct sender;

/* Writes an event (result->body, as it was sent, of the log's `cursor`) that the lane has in
 * FLIGHT_BURYING, again and again until Kafka has it; then calls sender_buried. */
void dead_lettering_begin(struct sender *sender, const struct flight *flight, int64_t cursor,
                          const struct webhook_result *result);
/* The sender stops. What is on its way may still be written. */
void dead_lettering_forget(struct sender *sender);

#endif
