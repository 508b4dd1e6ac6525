/* Whether the log is still the log behind a subscriber's token: asked before the lane starts. A
 * token of another feed, or from beyond the end, needs no read. For other tokens the check reads
 * the newest events of the loaded tokens again and compares ids, as few as possible. Loop thread;
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

/* The verdict on one subscriber's token; embedded. */
struct log_proof {
    enum log_verdict verdict; /* on the token that the lane starts from */
    struct log_check *check;
    int64_t position; /* of the token; LOG_ASKED, or relied on */
    struct log_place place;
    bool relied;
    void (*judged)(void *arg);  /* a verdict after LOG_ASKED is known */
    void (*refuted)(void *arg); /* the running lane started from a token of another log */
    void *arg;
    struct log_proof *prev, *next;
};

struct log_check_options { /* everything here outlives the check */
    struct loop *loop;
    struct offsets *offsets; /* asks where the log ends */
    const char *topic;       /* of the log */
    struct feed *feed;
    const char *feed_id;
};

/* One per life of the feed. */
struct log_check *log_check_new(const struct log_check_options *options);
void log_check_free(struct log_check *check);

void log_proof_init(struct log_proof *proof, struct log_check *check, void (*judged)(void *arg),
                    void (*refuted)(void *arg), void *arg);
/* True: the verdict on the registration's token (JSON; {NULL, 0}: none) is LOG_SAME or
 * LOG_WENT_BACK. False: LOG_ASKED, and `judged` is called once the verdict is known. */
bool log_proof_ask(struct log_proof *proof, const char *registration_id, struct span text);
/* A lane now runs on the verdict, started from a token of this position; 0: without a token, or
 * from a token of another log. Until log_proof_forget, `refuted` may be called once. */
void log_proof_rely(struct log_proof *proof, int64_t position);
/* Forgets the verdict: the token has changed, the lane stops, or the subscriber is gone. */
void log_proof_forget(struct log_proof *proof);

/* Amends a token of a log that went back: disabled at the last cursor that still matches (0 in
 * another feed), where a resume continues. */
void log_check_amend(const struct log_check *check, struct token *token);

#endif
