/* A subscriber's one-shot commands: kept as they are read, applied in the order of their offsets, and taken out of the log once
 * a token that says so was read back from it. So each survives a crash at any point and is applied once (a test delivery:
 * at least once). Loop thread only. */
#ifndef ESS_DISPATCHER_COMMANDS_H
#define ESS_DISPATCHER_COMMANDS_H

#include <stdint.h>

#include "common/base/span.h"

struct subscriber;
struct pending_command;

/* A command's record was read; `value` data NULL: it is gone from the log. */
void commands_read(struct subscriber *s, struct span key, struct span value, int64_t offset);
/* Applies what may be applied now. */
void commands_apply(struct subscriber *s);
/* A token that is not void was read back: commands up to `applied` may go. */
void commands_settled(struct subscriber *s, int64_t applied);
/* The subscriber stops: what is being applied is called off, and will be applied anew. */
void commands_stop(struct subscriber *s);
void commands_free(struct subscriber *s);

#endif
