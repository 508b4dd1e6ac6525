/* What holds a subscriber's events back although its lane would go on. */
#ifndef ESS_DISPATCHER_HOLD_H
#define ESS_DISPATCHER_HOLD_H

#include "common/model/token.h"

struct subscriber;

/* Writes into the token why the events are held back. Call after the lane has written its own
 * reason, which stays if nothing holds the events back. */
void hold_to_token(const struct subscriber *subscriber, struct token *token);

#endif
