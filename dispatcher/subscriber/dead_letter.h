/* Events that were given up, in ess.dlq. Until one is in Kafka it is not settled. */
#ifndef ESS_DISPATCHER_DEAD_LETTER_H
#define ESS_DISPATCHER_DEAD_LETTER_H

#include "dispatcher/channel/webhook.h"
#include "dispatcher/lane/lane.h"

struct sender;

/* Writes an event (result->body, as it was sent, of the log's `cursor`) that the lane has in
 * FLIGHT_BURYING, again and again until Kafka has it; then calls sender_buried. */
void dead_letter_write(struct sender *sender, const struct flight *flight, int64_t cursor,
                       const struct webhook_result *result);
/* The sender stops. What is on its way may still be written. */
void dead_letters_forget(struct sender *sender);

#endif
