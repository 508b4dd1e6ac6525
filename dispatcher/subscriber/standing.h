/* Where a subscriber stands beside its events: whether its endpoint has answered the handshake,
 * whether its time is over, and the heartbeats that an idle endpoint gets. The rules are in
 * dispatcher/lane (verification.h, expiry.h, heartbeat.h); here are their timers and messages. Loop
 * thread only. */
#ifndef ESS_DISPATCHER_STANDING_H
#define ESS_DISPATCHER_STANDING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/model/spec.h"
#include "common/model/token.h"
#include "dispatcher/lane/heartbeat.h"
#include "dispatcher/lane/verification.h"
#include "dispatcher/subscriber/message.h"

/* The owner of the standing; `arg` is from standing_init. */
struct standing_owner {
    /* The log's end, up to which an idle lane has everything; -1: not known, or the subscriber may
     * not be sent anything now. */
    int64_t (*log_end)(void *arg);
    uint64_t (*random)(void *arg);
    void (*disable)(void *arg, const char *reason);  /* the lane is to be disabled */
    void (*disabled)(void *arg, const char *reason); /* the lane was disabled by an answer */
    void (*resume)(void *arg);                       /* an expired subscriber was renewed */
    void (*changed)(void *arg); /* the token is to say something new; the lane may go on */
};

struct standing_options { /* everything here outlives the standing */
    struct loop *loop;
    const char *subscriber;      /* the subscriber's id */
    const char *registration_id; /* of the registration in force, which may change */
    const struct spec *spec;     /* the one in force, which may change */
    struct sender *sender;       /* of the live lane */
    const struct standing_owner *owner;
    void *arg;
};

struct standing { /* embedded */
    struct standing_options options;
    bool running;
    struct verification verification;
    struct heartbeat heartbeat;
    struct message handshaking, beating;
    char handshake_id[48], heartbeat_id[48]; /* webhook-id of the messages */
    struct loop_timer handshake_due, heartbeat_due, expiry_due;
    struct log_limit failures;
};

void standing_init(struct standing *standing, const struct standing_options *options);

/* Reads and writes the token's part. NULL: no token. */
void standing_from_token(struct standing *standing, const struct token *token);
void standing_to_token(const struct standing *standing, struct token *token);

/* The lane has begun, and may have to wait. */
void standing_begin(struct standing *standing);
/* The lane has stopped. */
void standing_end(struct standing *standing);
/* Closes what is under way. A handshake will be sent again, a heartbeat not. */
void standing_close(struct standing *standing);

/* The running lane has another spec. Call before the lane may send anything under it. */
void standing_renew(struct standing *standing);
/* The lane was resumed: a handshake is due at once, and an expired subscriber is disabled again. */
void standing_resume(struct standing *standing);
/* The lane was paused, or goes on after a pause. */
void standing_pause(struct standing *standing);
/* The endpoint has taken something. */
void standing_delivered(struct standing *standing);
/* A person waits: the handshake is due at once. */
void standing_hurry(struct standing *standing);

/* The lane awaits a handshake that has a timer, or was posted. */
bool standing_waits(const struct standing *standing);

#endif
