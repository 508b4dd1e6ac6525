/* Writes the events that were given up to ess.dlq. An event is not settled before its dead letter
 * is in Kafka. Loop thread only. */
#ifndef ESS_DISPATCHER_DEAD_LETTERING_H
#define ESS_DISPATCHER_DEAD_LETTERING_H

#include "dispatcher/channel/channel.h"
#include "dispatcher/lane/lane.h"

struct sender;

/* Writes an event that the lane has in ENTRY_DEAD_LETTERING, as it is delivered, again and again
 * until Kafka has it; then calls sender_dead_lettered. `cursor` is the log's; `last` is what came
 * of the last attempt, NULL: not known. */
void dead_lettering_begin(struct sender *sender, const struct window_entry *entry, int64_t cursor,
                          struct span event, const struct outcome *last);
/* The sender stops. What is on its way may still be written. */
void dead_lettering_forget(struct sender *sender);

#endif
