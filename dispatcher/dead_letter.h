/* Events that were given up, in ess.dlq. Until one is in Kafka its lane does not go on. */
#ifndef ESS_DISPATCHER_DEAD_LETTER_H
#define ESS_DISPATCHER_DEAD_LETTER_H

#include "dispatcher/webhook.h"

struct dead_letter;
struct subscriber;

/* Writes the lane's current event (result->body, as it was sent), again and again until Kafka has it; then tells the lane
 * and steps it. */
void dead_letter_write(struct subscriber *s, const struct webhook_result *result);
/* The subscriber stops. What is on its way may still be written. */
void dead_letter_forget(struct subscriber *s);

#endif
