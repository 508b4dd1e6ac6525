/* What holds a subscriber's events back although its lane would go on. */
#ifndef ESS_DISPATCHER_HOLD_H
#define ESS_DISPATCHER_HOLD_H

#include "common/model/token.h"

struct subscriber;

/* Fills in the token's reason, which the lane has filled in before; nothing where nothing holds. */
void hold_to_token(const struct subscriber *subscriber, struct token *token);

#endif
