/* A subscriber's jobs: replays of a range of cursors and redrives of dead letters, one after the
 * other in the order of their commands, beside the live lane, whose throttle they share. They stand
 * in the token until they end. Loop thread only. */
#ifndef ESS_DISPATCHER_JOB_H
#define ESS_DISPATCHER_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/model/token.h"

struct subscriber;

/* Adds one behind the others; its cursors are taken over. -1: there are TOKEN_JOBS_MAX already. */
int job_add(struct subscriber *s, const struct token_job *job);
/* Ends one, wherever it stands, with this outcome in the token. Does nothing when it is not there.
 */
void job_end(struct subscriber *s, int64_t job, const char *outcome);
/* Runs the first one, if the subscriber runs and it does not yet. */
void job_run_next(struct subscriber *s);
/* The one that runs has delivered an event, or the dead letter at this offset. */
void job_delivered(struct subscriber *s, int64_t flight);
/* The one that runs has done all of it. */
void job_ended(struct subscriber *s);
/* Stops the one that runs; they all stay as they are. */
void jobs_stop(struct subscriber *s);

/* From and to the token. */
void jobs_from_token(struct subscriber *s, struct token *token); /* takes the list over */
void jobs_to_token(const struct subscriber *s, struct token *token);
void jobs_free(struct subscriber *s);

/* The live lane's policy has changed: the running job's follows. */
void job_renew_policy(struct subscriber *s);

#endif
