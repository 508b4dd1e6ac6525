/* Writes dead letters to ess.dlq. An event is settled only when Kafka has the dead letter. Loop
 * thread only. */
#ifndef ESS_DISPATCHER_DEAD_LETTERING_H
#define ESS_DISPATCHER_DEAD_LETTERING_H

#include "dispatcher/channel/channel.h"
#include "dispatcher/lane/lane.h"

struct sender;

/* Writes the dead letter of an event in ENTRY_DEAD_LETTERING, with the event as delivered.
 * Retries until Kafka has the dead letter, then calls sender_dead_lettered. `cursor` is the
 * event's in the log; `last` is the outcome of the last attempt; NULL: unknown. */
void dead_lettering_begin(struct sender *sender, const struct window_entry *entry, int64_t cursor,
                          struct span event, const struct outcome *last);
/* The sender stops. Dead letters already sent to Kafka may still be written. */
void dead_lettering_forget(struct sender *sender);

#endif
