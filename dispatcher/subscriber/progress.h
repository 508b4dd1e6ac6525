/* Writes replay tokens into ess.tokens: within a second of progress, at once when the lane's state
 * changes but no more than one a second, and now and then when only events of others were passed. A
 * lane whose progress could not be written for dispatcher.hold_after is held: it starts nothing
 * before a token is written, since a crash would repeat all of it. */
#ifndef ESS_DISPATCHER_PROGRESS_H
#define ESS_DISPATCHER_PROGRESS_H

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/model/token.h"
#include "dispatcher/subscriber/token_pace.h"

struct dispatcher;
struct subscriber;

/* Of one subscriber; embedded. */
struct progress {
    struct loop_timer due; /* the token's next writing */
    struct token_pace pace;
    enum token_state state; /* as last written, and */
    int64_t position;
    bool failing; /* the newest token was not written */
};

/* Of all: why the newest token that failed did. */
struct progress_faults {
    struct log_limit limit;
    char reason[TOKEN_REASON_BYTES];
};

/* The lane or its jobs have moved, or its state has changed. */
void progress_made(struct subscriber *s);
/* The subscriber begins to run. `written`: the log has its token as it is. */
void progress_begin(struct subscriber *s, bool written);
/* It does not run any more. */
void progress_end(struct subscriber *s);
/* Something was done that its owner waits to hear of: as progress_made with another state. */
void progress_urgent(struct subscriber *s);
/* Writes the token now; later where it may not be written now. */
void progress_write(struct subscriber *s);
/* Its partition is given away: writes the token, unless the log has it as it is. */
void progress_hand_over(struct subscriber *s);
/* The log's newest token is void: writes the running lane's, or the one that counts, under the
 * epoch in force. */
void progress_rewrite(struct subscriber *s);
/* The subscriber was deleted: takes its token out of the log. */
void progress_erase(struct subscriber *s);
/* The lane is to stop: writes its token, and keeps it for its next one. */
void progress_keep(struct subscriber *s);
/* The token is to say something new, within a second. */
void progress_soon(struct subscriber *s);
/* It may start nothing: its progress is not in Kafka. Its senders are woken when that ends. */
bool progress_held(const struct subscriber *s);
/* How many are held, and the age of the oldest progress of all that is not in Kafka. */
int64_t progress_held_count(const struct dispatcher *d);
int64_t progress_unwritten_ms(const struct dispatcher *d);
/* The token as it would be written; token_fini it. */
void progress_token(const struct subscriber *s, struct token *token);

#endif
