/* Writes replay tokens into ess.tokens: within a second of progress, at once when the lane's state changes, and now and
 * then when only events of others were passed. */
#ifndef ESS_DISPATCHER_PROGRESS_H
#define ESS_DISPATCHER_PROGRESS_H

#include "common/model/token.h"

struct subscriber;

/* The lane has moved, or its state has changed. */
void progress_made(struct subscriber *s);
/* The subscriber begins to run. */
void progress_begin(struct subscriber *s);
/* Writes the token now. */
void progress_write(struct subscriber *s);
/* The token as it would be written. */
void progress_token(const struct subscriber *s, struct token *token);

#endif
