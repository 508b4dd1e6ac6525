/* A subscriber's checkpoint: the token of ess.tokens that counts, and the writing of the next one:
 * within a second of progress, at once when the lane's state changes but no more than one a second,
 * and now and then when only events of others were passed. A lane whose progress could not be
 * written for dispatcher.hold_after is held: it starts nothing before a token is written, since a
 * crash would repeat all of it. Loop thread only. */
#ifndef ESS_DISPATCHER_CHECKPOINT_H
#define ESS_DISPATCHER_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/span.h"
#include "common/model/token.h"
#include "dispatcher/subscriber/checkpoint_pace.h"

struct checkpoint;
struct partitions;
struct producer;
struct token_append;

/* What all checkpoints of the process share. */
struct checkpoints {
    struct loop *loop;
    struct producer *producer;
    struct partitions *partitions;
    const char *topic;
    int64_t hold_after_ms;
    uint64_t *random;                /* state of the generator: see random_next */
    int64_t pending;                 /* appends that Kafka has not reported yet */
    struct log_limit limit;          /* of the lines about failures */
    char reason[TOKEN_REASON_BYTES]; /* why the newest token that failed did */
    struct checkpoint *running;
};

/* Whose checkpoint it is; `arg` is the one given to checkpoint_init. */
struct checkpoint_owner {
    /* Writes into a token that holds nothing all but its epoch and number. */
    void (*fill)(void *arg, struct token *token);
    void (*released)(void *arg); /* it is held no more */
};

struct checkpoint { /* embedded */
    struct checkpoints *all;
    const char *subscriber; /* its id */
    int32_t partition;
    const struct checkpoint_owner *owner;
    void *arg;
    struct token_append *appends; /* not yet reported */
    /* the token that counts */
    char *text; /* JSON: read from the log, or left by its lane; NULL: none */
    size_t bytes;
    struct token_choice choice; /* while the log is read */
    bool in_log;                /* it was read back, and counts */
    bool erased;                /* a tombstone stands behind it */
    /* while its lane runs */
    bool running;
    int64_t epoch; /* the newest one that the lane began or wrote under: a valid token of a newer
                      one is another owner's */
    struct loop_timer due; /* the next writing */
    struct checkpoint_pace pace;
    enum token_state state; /* as last written, and */
    int64_t position;
    bool failing; /* the newest token was not written */
    struct checkpoint *prev, *next;
};

/* `subscriber` and `owner` outlive it. */
void checkpoint_init(struct checkpoint *checkpoint, struct checkpoints *all, const char *subscriber,
                     int32_t partition, const struct checkpoint_owner *owner, void *arg);
void checkpoint_fini(struct checkpoint *checkpoint);

/* --- the token that counts */

/* A token was read from the log. Returns whether it is the one that counts from now on. */
bool checkpoint_read(struct checkpoint *checkpoint, struct span text, const struct token *token);
/* A tombstone was read: of a registration that was deleted, maybe by an earlier owner of the
 * partition and late. */
void checkpoint_erased(struct checkpoint *checkpoint);
/* None counts. */
void checkpoint_drop(struct checkpoint *checkpoint);
/* It, as JSON; {NULL, 0}: none. Valid until another counts. */
struct span checkpoint_text(const struct checkpoint *checkpoint);
/* Another owner has written a valid token since the lane began or last wrote. */
bool checkpoint_is_anothers(const struct checkpoint *checkpoint);

/* --- writing the next one */

/* The lane begins, in this state and position. `written`: the log has its token as it is. */
void checkpoint_begin(struct checkpoint *checkpoint, enum token_state state, int64_t position,
                      bool written);
/* It does not run any more. */
void checkpoint_end(struct checkpoint *checkpoint);
/* The lane or its jobs have moved, or its state has changed to this one. */
void checkpoint_moved(struct checkpoint *checkpoint, enum token_state state);
/* The token is to say something new, within a second. */
void checkpoint_soon(struct checkpoint *checkpoint);
/* The same, at once: something was done that its owner waits to hear of. */
void checkpoint_urgent(struct checkpoint *checkpoint);
/* Its partition is given away: writes the token, unless the log has it as it is. */
void checkpoint_hand_over(struct checkpoint *checkpoint);
/* The log's newest token is void: writes the running lane's, or the one that counts, under the
 * epoch in force. */
void checkpoint_rewrite(struct checkpoint *checkpoint);
/* The same, where a token that was read made it due. */
void checkpoint_rewrite_if_due(struct checkpoint *checkpoint);
/* The subscriber was deleted: takes its token out of the log. */
void checkpoint_erase(struct checkpoint *checkpoint);
/* The lane is to stop: writes its token, and keeps it for its next one. */
void checkpoint_keep(struct checkpoint *checkpoint);

/* It may start nothing: its progress is not in Kafka. */
bool checkpoint_held(const struct checkpoint *checkpoint);
/* How many are held, and the age of the oldest progress of all that is not in Kafka. */
int64_t checkpoints_held(const struct checkpoints *all);
int64_t checkpoints_unwritten_ms(const struct checkpoints *all);

#endif
