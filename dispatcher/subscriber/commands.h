/* A subscriber's one-shot commands: kept as they are read, applied in the order of their offsets,
 * and taken out of the log once a token that says so was read back from it. So each survives a
 * crash at any point and is applied once (a test delivery: at least once). One that must wait (a
 * test for its answer, a redrive for Kafka's) holds up no other: those behind it are applied, and
 * the token names it as pending. A command that only a later version can read waits in the same
 * way. What cannot be done is refused, and the token says that too. Loop thread only. */
#ifndef ESS_DISPATCHER_COMMANDS_H
#define ESS_DISPATCHER_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/span.h"

struct subscriber;
struct pending_command;
struct token;

/* A command's record was read; `value` data NULL: it is gone from the log. */
void commands_read(struct subscriber *s, struct span key, struct span value, int64_t offset);
/* Applies what may be applied now. */
void commands_apply(struct subscriber *s);
/* A token that is not void was read back: the commands that it has as applied may go. */
void commands_settled(struct subscriber *s, const struct token *token);
/* The subscriber was deleted: all may go. */
void commands_erase(struct subscriber *s);
/* From and to the token: which are pending, and what became of the last ones. The outcomes are
 * taken over. NULL: there is none. */
void commands_from_token(struct subscriber *s, struct token *token);
void commands_to_token(const struct subscriber *s, struct token *token);
/* Notes what became of a command, for the token. `delivered`: by its job, -1 when it was none. */
void commands_note(struct subscriber *s, int64_t generation, const char *command,
                   const char *outcome, const char *reason, int64_t delivered);
/* One waits, and nothing would try it again: neither a test's answer nor Kafka's nor a timer is
 * due. */
bool commands_stuck(const struct subscriber *s);
/* The subscriber stops: what is being applied is called off, and will be applied anew. */
void commands_stop(struct subscriber *s);
void commands_free(struct subscriber *s);

#endif
