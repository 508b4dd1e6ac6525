/* What a subscriber does for its jobs; see jobs.h. */
#include "common/model/token.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/subscriber/commands.h"
#include "dispatcher/subscriber/redrive.h"
#include "dispatcher/subscriber/subscriber.h"

static void subscriber_on_letter_ready(void *arg) { sender_step(arg); }

static int subscriber_on_job_open(void *arg, struct sender *sender, const struct token_job *job,
                                  struct error *err) {
    struct subscriber *s = arg;
    struct redrive *redrive = NULL;
    const struct lane_policy policy = jobs_policy(&s->live.lane.policy, job);
    if (job->redrive && !(redrive = redrive_new(s->dispatcher, s->id, s->record.registration_id,
                                                job, subscriber_on_letter_ready, sender, err)))
        return -1;
    sender_init(sender, s, subscriber_as_sender_owner(), s, job->job, redrive);
    lane_init(&sender->lane, &policy, &s->throttle, &s->endpoint, job->position);
    return 0;
}

static void subscriber_on_job_ended(void *arg, const struct token_job *job, const char *outcome) {
    struct subscriber *s = arg;
    commands_note(&s->commands, job->job, job->redrive ? "redrive" : "replay", outcome, "",
                  job->delivered);
    subscriber_moved(s);
}

static const struct jobs_owner jobs_owner = {.open = subscriber_on_job_open,
                                             .ended = subscriber_on_job_ended};

void subscriber_init_jobs(struct subscriber *s) {
    jobs_init(&s->jobs, s->dispatcher->service.loop, s->id, &jobs_owner, s);
}
