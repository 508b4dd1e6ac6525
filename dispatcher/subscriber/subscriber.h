/* One subscriber in the dispatcher: the records, and while running, the lane with all helpers. */
#ifndef ESS_DISPATCHER_SUBSCRIBER_H
#define ESS_DISPATCHER_SUBSCRIBER_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/model/acknowledgement.h"
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
#include "dispatcher/subscriber/standing.h"

struct dispatcher;
struct test_delivery;

/* Records that cannot be read: spec, keys or desired state. */
enum { UNREADABLE_SPEC, UNREADABLE_KEYS, UNREADABLE_DESIRED_STATE, UNREADABLE_RECORDS };
struct unreadable {
    int64_t offset;
    char *reason;     /* NULL: readable, or already logged */
    struct buf value; /* of spec and keys: read again when the key file gets a new key */
};

struct subscriber {
    UT_hash_handle hh;
    struct dispatcher *dispatcher;
    char id[SPEC_ID_BYTES_MAX + 1];
    int32_t partition; /* of all the subscriber's records */
    struct subscriber *partition_prev, *partition_next;
    /* from the records */
    bool has_record, has_keys;
    bool deleted; /* the newest spec is a tombstone */
    bool listed;  /* a spec was read, and is no tombstone */
    struct unreadable unreadable[UNREADABLE_RECORDS];
    bool blocked; /* the token cannot be read: the subscriber waits */
    /* the desired state, which may be a pause, cannot be read: the subscriber waits */
    bool desired_blocked;
    struct subscriber_record record;
    struct subscriber_keys keys;
    struct subscriber_desired desired; /* registration_id "": none */
    struct acknowledgement acknowledged;
    struct commands commands;
    int64_t generation; /* offset of the newest spec, keys, wanted state or command in force */
    struct checkpoint checkpoint;
    struct log_proof log_proof; /* whether the token belongs to this log */
    enum log_level start_level; /* level of the line that logs the start */
    struct throttle throttle;   /* outlives the lanes, so that a new lane cannot exceed the rate */
    bool has_throttle;
    struct endpoint endpoint;
    /* while running */
    bool running;
    struct match_member member;
    /* the patterns are in the index that wakes lanes on appended events: from the end of the log
     * until an event finds the lane behind */
    bool in_match;
    struct subscriber *behind_next;
    struct slots_group slots; /* of all attempts at the endpoint */
    struct sender live;
    struct jobs jobs;
    struct standing standing; /* handshake, heartbeat, expiry */
    struct channels channels; /* the ways to the endpoint */
    int64_t last_success_ms;  /* as in the token */
    struct log_limit failures, compacted, certificate;
    struct lag_watch lag;
    struct test_delivery *test;
    int64_t tested; /* generation of the last test made */
};

struct subscriber *subscriber_new(struct dispatcher *d, const char *id, int32_t partition);
/* stops the subscriber first, without writing a token */
void subscriber_free(struct subscriber *s);

/* A new spec, keys or desired state, read at offset `generation`; taken over. A running lane
 * continues under the new record. Another registration id makes another subscriber, which starts
 * from the beginning of its record. Call subscriber_apply afterwards. */
void subscriber_set_record(struct subscriber *s, struct subscriber_record *record,
                           int64_t generation);
void subscriber_set_keys(struct subscriber *s, struct subscriber_keys *keys, int64_t generation);
void subscriber_set_desired(struct subscriber *s, const struct subscriber_desired *desired,
                            int64_t generation);
/* The spec is gone, or the spec or keys cannot be read. */
void subscriber_clear_record(struct subscriber *s);
void subscriber_clear_keys(struct subscriber *s);

/* A token of the subscriber was read from the log. */
void subscriber_read_token(struct subscriber *s, struct span text, const struct token *token);
/* The newest token cannot be read, and may say anything: the subscriber waits. */
void subscriber_block(struct subscriber *s);

/* The partition is held: starts a complete lane, at the token or at the record's start; stops an
 * incomplete lane. `level`: of the line that logs the start. */
void subscriber_apply(struct subscriber *s, enum log_level level);

/* Closes everything in flight; the lanes stay. */
void subscriber_close(struct subscriber *s);
/* Stops the subscriber. `keep`: writes and keeps the token, to continue later. */
void subscriber_stop(struct subscriber *s, bool keep);

/* The callbacks for the subscriber's senders; their owner_arg is the subscriber. */
const struct sender_owner *subscriber_as_sender_owner(void);
/* For subscriber.c: the parts that report to files of their own. */
void subscriber_init_standing(struct subscriber *s);
void subscriber_init_jobs(struct subscriber *s);
/* A disabled lane goes on, and every back-off ends. */
void subscriber_resume(struct subscriber *s);
/* Sends nothing more until a resume. */
void subscriber_disable(struct subscriber *s, const char *reason);
/* The lane has moved or changed state. */
void subscriber_moved(struct subscriber *s);
/* The lanes do what they can do now. */
void subscriber_step_all(struct subscriber *s);
/* An event for the subscriber arrived while the lane was behind: no waking until the lane is at
 * the end again. */
void subscriber_behind(struct subscriber *s);
/* Wall time when the live lane's oldest waiting event was appended; 0: none waits, or unknown. */
int64_t subscriber_oldest_ms(const struct subscriber *s);
/* Whether ownership and the operator allow the sender to start a webhook now. */
bool subscriber_may_send(const struct subscriber *s, const struct sender *sender);

#endif
