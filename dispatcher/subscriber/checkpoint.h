/* A subscriber's checkpoint: the valid token of ess.tokens, and the writing of the next token. A
 * new token is written within a second of progress; at once when the lane's state changes, but at
 * most once a second; and now and then when only other subscribers' events were passed. If
 * progress could not be written for dispatcher.hold_after, the lane is held and starts nothing
 * before a token is written, since a crash would repeat all deliveries since the last token. Loop
 * thread only. */
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

/* Shared by all checkpoints of the process. */
struct checkpoints {
    struct loop *loop;
    struct producer *producer;
    struct partitions *partitions;
    const char *topic;
    int64_t hold_after_ms;
    uint64_t *random;                /* state of the generator: see random_next */
    int64_t pending;                 /* appends not yet reported by Kafka */
    struct log_limit limit;          /* of the lines about failures */
    char reason[TOKEN_REASON_BYTES]; /* of the newest failed token */
    struct checkpoint *running;
};

/* The owner of a checkpoint; `arg` is from checkpoint_init. */
struct checkpoint_owner {
    /* Fills an empty token with everything except epoch and number. */
    void (*fill)(void *arg, struct token *token);
    void (*released)(void *arg); /* the checkpoint is no longer held */
};

struct checkpoint { /* embedded */
    struct checkpoints *all;
    const char *subscriber; /* the subscriber's id */
    int32_t partition;
    const struct checkpoint_owner *owner;
    void *arg;
    struct token_append *appends; /* not yet reported */
    /* the valid token */
    char *text; /* JSON, read from the log or left by the lane; NULL: none */
    size_t bytes;
    struct token_choice choice; /* while the log is read */
    bool in_log;                /* read back from the log, and valid */
    bool erased;                /* a tombstone follows in the log */
    /* while the lane runs */
    bool running;
    /* the newest epoch that the lane began or wrote under: a valid token of a newer epoch is from
     * another owner */
    int64_t epoch;
    struct loop_timer due; /* the next writing */
    struct checkpoint_pace pace;
    enum token_state state; /* as last written, and */
    int64_t position;
    bool failing; /* the newest token was not written */
    struct checkpoint *prev, *next;
};

/* `subscriber` and `owner` outlive the checkpoint. */
void checkpoint_init(struct checkpoint *checkpoint, struct checkpoints *all, const char *subscriber,
                     int32_t partition, const struct checkpoint_owner *owner, void *arg);
void checkpoint_fini(struct checkpoint *checkpoint);

/* --- the valid token */

/* A token was read from the log. Returns whether the token is valid from now on. */
bool checkpoint_read(struct checkpoint *checkpoint, struct span text, const struct token *token);
/* A tombstone was read: the registration was deleted, possibly late, by an earlier owner of the
 * partition. */
void checkpoint_erased(struct checkpoint *checkpoint);
/* None counts. */
void checkpoint_drop(struct checkpoint *checkpoint);
/* The valid token as JSON; {NULL, 0}: none. Usable until the next token is valid. */
struct span checkpoint_text(const struct checkpoint *checkpoint);
/* Another owner has written a valid token since the lane began or last wrote. */
bool checkpoint_is_anothers(const struct checkpoint *checkpoint);

/* --- writing */

/* The lane begins in this state and position. `written`: the log has the same token already. */
void checkpoint_begin(struct checkpoint *checkpoint, enum token_state state, int64_t position,
                      bool written);
/* The lane has stopped. */
void checkpoint_end(struct checkpoint *checkpoint);
/* The lane or a job has moved, or the lane's state has changed. */
void checkpoint_moved(struct checkpoint *checkpoint, enum token_state state);
/* The token is to say something new, within a second. */
void checkpoint_soon(struct checkpoint *checkpoint);
/* The token has news that a caller waits for: write at once. */
void checkpoint_urgent(struct checkpoint *checkpoint);
/* The partition is given away: writes the token, unless the log has the same. */
void checkpoint_hand_over(struct checkpoint *checkpoint);
/* The log's newest token is void: writes the running lane's token, or the valid one, under the
 * present epoch. */
void checkpoint_rewrite(struct checkpoint *checkpoint);
/* Rewrites the token if a token read from the log was void. */
void checkpoint_rewrite_if_due(struct checkpoint *checkpoint);
/* The subscriber was deleted: erases the token from the log. */
void checkpoint_erase(struct checkpoint *checkpoint);
/* The lane is stopping: writes the token, and keeps a copy for the next lane. */
void checkpoint_keep(struct checkpoint *checkpoint);

/* Nothing may start: progress has been unwritten for too long. */
bool checkpoint_held(const struct checkpoint *checkpoint);
/* The number of held checkpoints, and the age of the oldest unwritten progress. */
int64_t checkpoints_held(const struct checkpoints *all);
int64_t checkpoints_unwritten_ms(const struct checkpoints *all);

#endif
