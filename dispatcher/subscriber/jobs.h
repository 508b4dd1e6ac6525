/* A subscriber's jobs: replays of a range of cursors and redrives of dead letters, one after the
 * other in the order of their commands, beside the live lane, whose throttle they share. They stand
 * in the token until they end. Loop thread only. */
#ifndef ESS_DISPATCHER_JOBS_H
#define ESS_DISPATCHER_JOBS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/loop.h"
#include "common/model/token.h"

struct lane_policy;
struct sender;

/* Whose jobs they are; `arg` is the one given to jobs_init. */
struct jobs_owner {
    /* Makes the job's sender in this memory, its lane at the job's position under the policy that
     * jobs_policy makes. -1: it cannot be made now. */
    int (*open)(void *arg, struct sender *sender, const struct token_job *job, struct error *err);
    /* A job has ended and is no longer in the list: the token is to say so. */
    void (*ended)(void *arg, const struct token_job *job, const char *outcome);
};

struct jobs { /* embedded */
    struct loop *loop;
    const char *subscriber; /* its id */
    const struct jobs_owner *owner;
    void *arg;
    bool running;
    struct token_job *list;
    int64_t count;
    struct sender *sender; /* of list[0]; NULL: none runs */
    struct loop_timer due; /* the job that ran is done, or the next one could not be begun */
    int64_t redriven, redriven_count, *redriven_letters,
        redriven_letters_count; /* as in the token */
};

/* `subscriber` and `owner` outlive them. */
void jobs_init(struct jobs *jobs, struct loop *loop, const char *subscriber,
               const struct jobs_owner *owner, void *arg);
/* The first one runs from now on, and each when the one before it has ended. */
void jobs_begin(struct jobs *jobs);
/* Stops the one that runs; the list stays, for the token. */
void jobs_stop(struct jobs *jobs);
/* Forgets them all. */
void jobs_clear(struct jobs *jobs);

/* From and to the token. NULL: there is none. The list is taken over. */
void jobs_from_token(struct jobs *jobs, struct token *token);
void jobs_to_token(const struct jobs *jobs, struct token *token);

/* There is no room for another. */
bool jobs_full(const struct jobs *jobs);
/* Adds one behind the others; its cursors are taken over. -1: there is no room. */
int jobs_add(struct jobs *jobs, const struct token_job *job);
/* Ends one, wherever it stands. Does nothing when it is not there. */
void jobs_end(struct jobs *jobs, int64_t job, const char *outcome);
/* The offset up to which a redrive of all need not read, given that the newest dead letter is at
 * `end`: -1 where the dead letters that were redriven are gone. */
int64_t jobs_redriven(struct jobs *jobs, int64_t end);

/* The sender of the one that runs reports: it has delivered an event, or the dead letter at this
 * offset; it has done all. */
void jobs_on_delivered(struct jobs *jobs, int64_t lane_cursor);
void jobs_on_done(struct jobs *jobs);

/* A job's policy, made from the live lane's; and the live lane's has changed. */
struct lane_policy jobs_policy(const struct lane_policy *live, const struct token_job *job);
void jobs_renew_policy(struct jobs *jobs, const struct lane_policy *live);

/* There are some, none runs, and no timer begins the first: a fault. */
bool jobs_stuck(const struct jobs *jobs);

#endif
