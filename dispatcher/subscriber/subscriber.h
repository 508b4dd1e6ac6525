/* One subscriber as the dispatcher has it: its records, and while it runs its lane and all that the
 * lane needs. */
#ifndef ESS_DISPATCHER_SUBSCRIBER_H
#define ESS_DISPATCHER_SUBSCRIBER_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/model/match.h"
#include "common/model/subscriber.h"
#include "common/model/token.h"
#include "dispatcher/channel/channels.h"
#include "dispatcher/ownership/log_check.h"
#include "dispatcher/ownership/ownership.h"
#include "dispatcher/subscriber/checkpoint.h"
#include "dispatcher/subscriber/commands.h"
#include "dispatcher/subscriber/jobs.h"
#include "dispatcher/subscriber/lag_monitor.h"
#include "dispatcher/subscriber/sender.h"

struct dispatcher;
struct test_delivery;

/* Its spec, keys or wanted state, as far as they cannot be read. */
enum { UNREADABLE_SPEC, UNREADABLE_KEYS, UNREADABLE_DESIRED_STATE, UNREADABLE_RECORDS };
struct unreadable {
    int64_t offset;
    char *reason;     /* NULL: they can, or it was said */
    struct buf value; /* of spec and keys: read again when a key has come into the key file */
};

struct subscriber {
    UT_hash_handle hh;
    struct dispatcher *dispatcher;
    char id[SPEC_ID_BYTES_MAX + 1];
    int32_t partition; /* of everything about it */
    struct subscriber *partition_prev, *partition_next;
    /* its records */
    bool has_record, has_keys;
    bool deleted; /* its newest spec is a tombstone */
    bool listed;  /* a spec was read, and is no tombstone */
    struct unreadable unreadable[UNREADABLE_RECORDS];
    bool blocked;         /* its token cannot be read: it waits */
    bool desired_blocked; /* likewise its wanted state, which may say that it is paused */
    struct subscriber_record record;
    struct subscriber_keys keys;
    struct subscriber_desired desired; /* registration_id "": none */
    struct commands commands;
    int64_t generation; /* offset of the newest spec, keys, wanted state or command in force */
    struct checkpoint checkpoint;
    struct log_proof log_proof; /* whether its token is of this log */
    enum log_level start_level; /* of the line that says that it was started */
    struct throttle throttle;   /* outlives its lanes, so that a new one cannot overdo it */
    bool has_throttle;
    struct endpoint endpoint;
    /* while it runs */
    bool running;
    struct match_member member;
    bool in_match; /* its patterns are in the index of those that an appended event wakes: from when
                    * its lane came to the end until an event met it behind */
    struct subscriber *behind_next;
    struct slots_group slots; /* of its attempts, whoever makes them */
    struct sender live;
    struct jobs jobs;
    struct channels channels; /* to its endpoint */
    int64_t last_success_ms;  /* as in the token */
    struct log_limit failures, compacted;
    struct lag_watch lag;
    struct test_delivery *test;
    int64_t tested; /* the test that was made last */
};

struct subscriber *subscriber_new(struct dispatcher *d, const char *id, int32_t partition);
void subscriber_free(struct subscriber *s); /* stops it first, without a token */

/* Its spec, keys or wanted state, read at offset `generation`; taken over. A running lane goes on
 * under the new one; another registration id is another subscriber, which begins anew. Call
 * subscriber_apply afterwards. */
void subscriber_set_record(struct subscriber *s, struct subscriber_record *record,
                           int64_t generation);
void subscriber_set_keys(struct subscriber *s, struct subscriber_keys *keys, int64_t generation);
void subscriber_set_desired(struct subscriber *s, const struct subscriber_desired *desired,
                            int64_t generation);
/* Its spec is gone, or it or the keys cannot be read. */
void subscriber_clear_record(struct subscriber *s);
void subscriber_clear_keys(struct subscriber *s);

/* A token of this subscriber was read from the log. */
void subscriber_read_token(struct subscriber *s, struct span text, const struct token *token);
/* The newest token cannot be read, and may say anything: the subscriber waits. */
void subscriber_block(struct subscriber *s);

/* Its partition is held: starts a lane that is complete, where the token or the record's start
 * says; stops one that is not. `level`: of the line that says that it was started. */
void subscriber_apply(struct subscriber *s, enum log_level level);

/* Closes what is in flight; its lanes stay. */
void subscriber_close(struct subscriber *s);
/* Stops it. With `keep`, its token is written and kept, so that it can go on. */
void subscriber_stop(struct subscriber *s, bool keep);

/* What its senders ask of it and report to it; their owner_arg is the subscriber. */
const struct sender_owner *subscriber_as_sender_owner(void);
/* An attempt has ended, and was not called off. */
void subscriber_answered(struct subscriber *s, const struct outcome *outcome);
/* An event that it wants met it behind: it needs no waking until it is at the end again. */
void subscriber_behind(struct subscriber *s);
/* When the oldest event that waits for its live lane was appended, of the wall; 0: none waits, or
 * it is not known. */
int64_t subscriber_oldest_ms(const struct subscriber *s);
/* One of its senders may start a webhook now, as far as ownership and its operator are concerned.
 */
bool subscriber_may_send(const struct subscriber *s, const struct sender *sender);

#endif
