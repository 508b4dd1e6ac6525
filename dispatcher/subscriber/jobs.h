/* A subscriber's jobs: replays of a range of cursors and redrives of dead letters. Jobs run one
 * after the other in the order of their commands, beside the live lane, and share the live lane's
 * throttle. The token lists a job until the job ends. Loop thread only. */
#ifndef ESS_DISPATCHER_JOBS_H
#define ESS_DISPATCHER_JOBS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/model/token.h"

struct lane_policy;
struct sender;

/* The owner of the jobs; `arg` is from jobs_init. */
struct jobs_owner {
    /* Makes the job's sender in this memory, with a lane at the job's position under the policy
     * of jobs_policy. -1: impossible for now. */
    int (*open)(void *arg, struct sender *sender, const struct token_job *job, struct error *err);
    /* A job has ended and left the list: the token needs writing. */
    void (*ended)(void *arg, const struct token_job *job, const char *outcome);
};

struct jobs { /* embedded */
    struct loop *loop;
    const char *subscriber; /* the subscriber's id */
    const struct jobs_owner *owner;
    void *arg;
    bool running;
    struct token_job *list;
    int64_t count;
    struct sender *sender;     /* of list[0]; NULL: none runs */
    struct loop_timer due;     /* the running job is done, or the next job could not begin */
    struct log_limit failures; /* of the lines about a job that cannot begin */
    int64_t redriven, redriven_count, *redriven_letters,
        redriven_letters_count; /* as in the token */
};

/* `subscriber` and `owner` outlive the jobs. */
void jobs_init(struct jobs *jobs, struct loop *loop, const char *subscriber,
               const struct jobs_owner *owner, void *arg);
/* Runs the first job now, and each next job when the previous ends. */
void jobs_begin(struct jobs *jobs);
/* Stops the running job; the list stays, for the token. */
void jobs_stop(struct jobs *jobs);
/* Forgets all jobs. */
void jobs_clear(struct jobs *jobs);

/* Read and write the token's part. NULL: no token. The token's list is taken over. */
void jobs_from_token(struct jobs *jobs, struct token *token);
void jobs_to_token(const struct jobs *jobs, struct token *token);

/* There is no room for another. */
bool jobs_full(const struct jobs *jobs);
/* Appends a job and takes over its cursors. -1: no room. */
int jobs_add(struct jobs *jobs, const struct token_job *job);
/* Ends a job, running or not. No effect if the job is unknown. */
void jobs_end(struct jobs *jobs, int64_t job, const char *outcome);
/* The offset from which a redrive of all must read, if the newest dead letter is at `end`; -1:
 * the dead letters redriven before are gone. */
int64_t jobs_redriven(struct jobs *jobs, int64_t end);

/* Reports of the running job's sender: an event was delivered, or the dead letter at this offset;
 * the job is done. */
void jobs_on_delivered(struct jobs *jobs, int64_t lane_cursor);
void jobs_on_done(struct jobs *jobs);

/* A job's policy, derived from the live lane's; and the change after the live lane's policy has
 * changed. */
struct lane_policy jobs_policy(const struct lane_policy *live, const struct token_job *job);
void jobs_renew_policy(struct jobs *jobs, const struct lane_policy *live);

/* There are some, none runs, and no timer begins the first: a fault. */
bool jobs_stuck(const struct jobs *jobs);

#endif
