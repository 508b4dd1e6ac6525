/* Writes replay tokens into ess.tokens: within a second of progress, at once when the lane's state changes, and now and
 * then when only events of others were passed. */
#ifndef ESS_DISPATCHER_PROGRESS_H
#define ESS_DISPATCHER_PROGRESS_H

#include "common/model/token.h"

struct subscriber;

/* The lane or its jobs have moved, or its state has changed. */
void progress_made(struct subscriber *s);
/* The subscriber begins to run. `written`: the log has its token as it is. */
void progress_begin(struct subscriber *s, bool written);
/* Writes the token now; later where it may not be written now. */
void progress_write(struct subscriber *s);
/* Its partition is given away: writes the token, unless the log has it as it is. */
void progress_hand_over(struct subscriber *s);
/* The log's newest token is void: writes the running lane's, or the one that counts, under the epoch in force. */
void progress_rewrite(struct subscriber *s);
/* The subscriber was deleted: takes its token out of the log. */
void progress_erase(struct subscriber *s);
/* The lane is to stop: writes its token, and keeps it for its next one. */
void progress_keep(struct subscriber *s);
/* The token is to say something new, within a second. */
void progress_soon(struct subscriber *s);
/* The token as it would be written; token_fini it. */
void progress_token(const struct subscriber *s, struct token *token);

#endif
