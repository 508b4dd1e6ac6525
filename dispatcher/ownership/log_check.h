/* Whether the log is the one that a subscriber's token was written in: asked before its lane
 * starts. A token of another feed, or from beyond the end, tells by itself; else the newest events
 * of the loaded tokens are read again and their ids compared, as few as will do. Loop thread;
 * nothing blocks. */
#ifndef ESS_DISPATCHER_LOG_CHECK_H
#define ESS_DISPATCHER_LOG_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/span.h"
#include "dispatcher/ownership/log_bounds.h"

struct feed;
struct log_check;
struct loop;
struct offsets;
struct token;

enum log_verdict { LOG_UNKNOWN, LOG_ASKED, LOG_SAME, LOG_WENT_BACK };

/* What the log says of one subscriber's token; embedded. */
struct log_proof {
    enum log_verdict verdict; /* on the token that its lane is to begin with */
    struct log_check *check;
    int64_t position; /* of the token; LOG_ASKED, or relied on */
    struct log_place place;
    bool relied;
    void (*judged)(void *arg);  /* a verdict that was LOG_ASKED is known */
    void (*refuted)(void *arg); /* the lane that runs has begun with a token of another log */
    void *arg;
    struct log_proof *prev, *next;
};

struct log_check_options { /* all of it outlives the check */
    struct loop *loop;
    struct offsets *offsets; /* where the log ends is asked by them */
    const char *topic;       /* of the log */
    struct feed *feed;
    const char *feed_id;
};

/* One for each life of the feed. */
struct log_check *log_check_new(const struct log_check_options *options);
void log_check_free(struct log_check *check);

void log_proof_init(struct log_proof *proof, struct log_check *check, void (*judged)(void *arg),
                    void (*refuted)(void *arg), void *arg);
/* True: the verdict on the token (JSON; {NULL, 0}: none) of this registration is LOG_SAME or
 * LOG_WENT_BACK. False: it is LOG_ASKED, and `judged` is called once it is known. */
bool log_proof_ask(struct log_proof *proof, const char *registration_id, struct span text);
/* The verdict was taken: a lane runs that began with a token of this position; 0: with none, or one
 * of another log. Until log_proof_forget `refuted` may be called, once. */
void log_proof_rely(struct log_proof *proof, int64_t position);
/* The token is another, or the lane stops, or the subscriber is no more. */
void log_proof_forget(struct log_proof *proof);

/* What a token of a log that went back becomes: disabled, at the last cursor of this log that still
 * matches (0 in another feed), where a resume goes on. */
void log_check_amend(const struct log_check *check, struct token *token);

#endif
