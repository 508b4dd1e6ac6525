/* Whether the log is the one that a subscriber's token was written in: asked before its lane
 * starts. A token of another feed, or from beyond the end, tells by itself; else the newest events
 * of the loaded tokens are read again and their ids compared, as few as will do. Loop thread;
 * nothing blocks. */
#ifndef ESS_DISPATCHER_LOG_CHECK_H
#define ESS_DISPATCHER_LOG_CHECK_H

#include <stdbool.h>

#include "common/base/log.h"

struct dispatcher;
struct log_check;
struct subscriber;
struct token;

enum log_verdict { LOG_UNKNOWN, LOG_ASKED, LOG_SAME, LOG_WENT_BACK };

/* One for each life of the feed, after it. */
struct log_check *log_check_new(struct dispatcher *d);
void log_check_free(struct log_check *check);

/* True: s->log_verdict is LOG_SAME or LOG_WENT_BACK. False: subscriber_apply is called with `level`
 * once it is. */
bool log_check_passed(struct log_check *check, struct subscriber *s, enum log_level level);
/* The subscriber is no more. */
void log_check_forget(struct log_check *check, struct subscriber *s);

/* What a token of a log that went back becomes: disabled, at the last cursor of this log that still
 * matches (0 in another feed), where a resume goes on. */
void log_check_amend(const struct log_check *check, struct token *token);

#endif
