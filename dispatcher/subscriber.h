/* One subscriber as the dispatcher has it: its records, and while it runs its lane and all that the lane needs. */
#ifndef ESS_DISPATCHER_SUBSCRIBER_H
#define ESS_DISPATCHER_SUBSCRIBER_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/feed/feed.h"
#include "common/model/match.h"
#include "common/model/subscriber.h"
#include "common/model/token.h"
#include "dispatcher/lane.h"
#include "dispatcher/ownership.h"

struct dispatcher;
struct signer;
struct webhook;
struct dead_letter;

struct subscriber {
    UT_hash_handle hh;
    struct dispatcher *dispatcher;
    char id[SPEC_ID_BYTES_MAX + 1];
    int32_t partition; /* of everything about it */
    struct subscriber *partition_prev, *partition_next;
    /* its records */
    bool has_record, has_keys;
    bool blocked; /* its token cannot be read: it waits */
    struct subscriber_record record;
    struct subscriber_keys keys;
    int64_t generation; /* offset of the spec record */
    char *token;        /* the one that counts, as JSON: read from the log, or left by its lane; NULL: none */
    size_t token_bytes;
    struct ownership_choice choice; /* of tokens, while the log is read */
    struct throttle throttle;       /* what its lane left of it, so that a new one cannot overdo it */
    bool has_throttle;
    /* while it runs */
    bool running;
    struct match_member member;
    struct lane lane;
    struct feed_reader reader;
    struct signer *signer;
    struct webhook *webhook; /* in flight */
    char event_id[EVENT_ID_BYTES_MAX + 1]; /* of the event in flight */
    int64_t event_appended_ms;
    bool event_compacted; /* of the event that the lane is at, as its first attempt said it */
    struct dead_letter *dead_letter; /* being written */
    struct loop_timer due;           /* the lane's next attempt */
    struct loop_timer token_due;     /* the token's next writing */
    enum token_state token_state;    /* as last written, and */
    int64_t token_position;
    struct log_limit failures;
    bool in_capacity_queue;
    struct subscriber *prev, *next; /* in the capacity queue */
};

struct subscriber *subscriber_new(struct dispatcher *d, const char *id, int32_t partition);
void subscriber_free(struct subscriber *s); /* stops it first, without a token */

/* Its spec and keys are there and fit each other, and it is not removed. */
bool subscriber_complete(const struct subscriber *s);

/* Its spec, read at offset `generation`, or its keys; taken over. A running lane goes on under the new one; another `born`
 * is another subscriber, which begins anew. Call subscriber_apply afterwards. */
void subscriber_set_record(struct subscriber *s, struct subscriber_record *record, int64_t generation);
void subscriber_set_keys(struct subscriber *s, struct subscriber_keys *keys);
/* Its spec is gone, or cannot be read. */
void subscriber_clear_record(struct subscriber *s);

/* The token that counts from now on, as JSON; copied. {NULL, 0}: none. */
void subscriber_keep_token(struct subscriber *s, struct span text);

/* Its partition is held: starts a lane that is complete, where the token or the record's start says; stops one that is not.
 * `level`: of the line that says that it was started. */
void subscriber_apply(struct subscriber *s, enum log_level level);

/* Stops it. With `keep`, its token is written and kept, so that it can go on. */
void subscriber_stop(struct subscriber *s, bool keep);

#endif
