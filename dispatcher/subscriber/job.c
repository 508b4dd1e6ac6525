/* Jobs; see job.h. Only the first of the list has a sender. */
#include "dispatcher/subscriber/job.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/subscriber/commands.h"
#include "dispatcher/subscriber/progress.h"
#include "dispatcher/subscriber/redrive.h"
#include "dispatcher/subscriber/sender.h"
#include "dispatcher/subscriber/subscriber.h"

enum { AGAIN_MS = 1000 };

static void lane_to_job(const struct lane *lane, struct token_job *job) {
    job->position = lane->position;
    job->last = lane->last;
    job->delivered = lane->delivered;
    job->settled_count = lane_settled(lane, &job->settled);
    lane_reason(lane, "resume tries it at once", job->reason);
}

/* What the sender has settled of its job. */
static void note_progress(struct subscriber *s) {
    if (!s->job_sender)
        return;
    free(s->jobs[0].settled);
    lane_to_job(&s->job_sender->lane, &s->jobs[0]);
}

void jobs_stop(struct subscriber *s) {
    if (!s->job_sender)
        return;
    note_progress(s);
    sender_fini(s->job_sender);
    free(s->job_sender);
    s->job_sender = NULL;
}

static void remove_at(struct subscriber *s, int64_t number) {
    token_job_fini(&s->jobs[number]);
    s->jobs_count--;
    memmove(s->jobs + number, s->jobs + number + 1,
            (size_t)(s->jobs_count - number) * sizeof *s->jobs);
}

void jobs_free(struct subscriber *s) {
    jobs_stop(s);
    while (s->jobs_count)
        remove_at(s, s->jobs_count - 1);
    free(s->jobs);
    s->jobs = NULL;
    free(s->redriven_letters);
    s->redriven_letters = NULL;
    s->redriven_letters_count = 0;
}

int job_add(struct subscriber *s, const struct token_job *job) {
    if (s->jobs_count == TOKEN_JOBS_MAX)
        return -1;
    if (!s->jobs)
        s->jobs = mem_zero(TOKEN_JOBS_MAX * sizeof *s->jobs);
    s->jobs[s->jobs_count++] = *job;
    job_run_next(s);
    return 0;
}

static struct lane_policy policy_of_job(const struct subscriber *s, const struct token_job *job) {
    struct lane_policy policy = s->live.lane.policy;
    if (job->redrive) { /* dead letters come one by one, in the order in which they were given up */
        policy.ordering = SPEC_STRICT;
        policy.max_in_flight = 1;
        policy.redrive = true;
    }
    return policy;
}

void job_renew_policy(struct subscriber *s) {
    if (!s->job_sender)
        return;
    struct lane_policy policy = policy_of_job(s, &s->jobs[0]);
    lane_set_policy(&s->job_sender->lane, &policy);
}

static void begin_lane(struct subscriber *s, const struct token_job *job) {
    struct lane *lane = &s->job_sender->lane;
    struct lane_policy policy = policy_of_job(s, job);
    lane_init(lane, &policy, &s->throttle, &s->endpoint, job->position);
    lane->until = job->to;
    lane->delivered = job->delivered;
    if (!job->redrive)
        lane->last = lane->newest = job->last;
    lane_set_settled(lane, job->settled, job->settled_count);
}

/* What the redrive before it has delivered is known only now. */
static void pass_redriven(const struct subscriber *s, struct token_job *job) {
    int64_t redriven = s->redriven < job->to ? s->redriven : job->to;
    if (!job->redrive || job->cursors_count || job->position >= redriven)
        return;
    if (job->position == job->from)
        job->from = redriven;
    job->position = job->last = redriven;
}

static void on_letter_ready(void *arg) {
    struct subscriber *s = arg;
    if (s->job_sender)
        sender_step(s->job_sender);
}

void job_run_next(struct subscriber *s) {
    struct redrive *redrive = NULL;
    struct error err;
    if (!s->running || s->job_sender || s->jobs_count == 0)
        return;
    struct token_job *job = &s->jobs[0];
    pass_redriven(s, job);
    if (job->redrive && !(redrive = redrive_new(s->dispatcher, s->id, s->record.registration_id,
                                                job, on_letter_ready, s, &err))) {
        log_error("redrive", LOG_S("subscriber", s->id), LOG_N("job", job->job),
                  LOG_S("reason", err.message));
        loop_timer_set(s->dispatcher->loop, &s->job_due, clock_ms() + AGAIN_MS);
        return;
    }
    s->job_sender = mem_zero(sizeof *s->job_sender);
    sender_init(s->job_sender, s, subscriber_as_sender_owner(), s, job->job, redrive);
    begin_lane(s, job);
    log_info("job_running", LOG_S("subscriber", s->id), LOG_N("job", job->job),
             LOG_N("from", job->position), LOG_N("to", job->to));
    sender_step(s->job_sender);
}

/* --- which dead letters were redriven */

/* Those that a redrive of all has passed need not stand in the list. */
static void forget_redriven(struct subscriber *s) {
    int64_t kept = 0;
    for (int64_t i = 0; i < s->redriven_letters_count; i++)
        if (s->redriven_letters[i] > s->redriven)
            s->redriven_letters[kept++] = s->redriven_letters[i];
    s->redriven_letters_count = kept;
}

static void note_redriven(struct subscriber *s, int64_t offset) {
    int64_t *letters = s->redriven_letters, at = s->redriven_letters_count;
    if (!letters)
        letters = s->redriven_letters = mem_zero(TOKEN_REDRIVEN_MAX * sizeof *letters);
    while (at && letters[at - 1] > offset)
        at--;
    if (offset <= s->redriven || (at && letters[at - 1] == offset))
        return;
    if (s->redriven_letters_count == TOKEN_REDRIVEN_MAX) {
        if (at == 0)
            return; /* older than all that are kept */
        memmove(letters, letters + 1, (size_t)(--at) * sizeof *letters);
    } else {
        memmove(letters + at + 1, letters + at,
                (size_t)(s->redriven_letters_count++ - at) * sizeof *letters);
    }
    letters[at] = offset;
}

void job_delivered(struct subscriber *s, int64_t flight) {
    s->live.lane.delivered++;
    if (!s->jobs[0].redrive)
        return;
    s->redriven_count++;
    if (s->jobs[0].cursors_count)
        note_redriven(s, flight);
}

void job_end(struct subscriber *s, int64_t job, const char *outcome) {
    int64_t i = 0;
    while (i < s->jobs_count && s->jobs[i].job != job)
        i++;
    if (i == s->jobs_count)
        return;
    if (i == 0)
        jobs_stop(s);
    if (s->jobs[i].redrive && s->jobs[i].cursors_count == 0 && s->jobs[i].position > s->redriven)
        s->redriven = s->jobs[i].position; /* also of one that was ended early: what it has
                                              delivered is not redriven again */
    forget_redriven(s);
    commands_note(s, job, s->jobs[i].redrive ? "redrive" : "replay", outcome, "",
                  s->jobs[i].delivered);
    remove_at(s, i);
    progress_made(s);
    job_run_next(s);
}

/* The sender is in the middle of a step: its end comes from the loop. */
void job_ended(struct subscriber *s) { loop_timer_set(s->dispatcher->loop, &s->job_due, 0); }

void jobs_from_token(struct subscriber *s, struct token *token) {
    jobs_free(s);
    s->redriven = token->redriven;
    s->redriven_count = token->redriven_count;
    for (int64_t i = 0; i < token->redriven_letters_count; i++)
        note_redriven(s, token->redriven_letters[i]);
    if (!token->jobs_count)
        return;
    s->jobs = mem_resize(token->jobs, TOKEN_JOBS_MAX * sizeof *s->jobs);
    s->jobs_count = token->jobs_count;
    token->jobs = NULL;
    token->jobs_count = 0;
}

static void *copy(const void *list, int64_t count, size_t size) {
    return count ? memcpy(mem_alloc((size_t)count * size), list, (size_t)count * size) : NULL;
}

void jobs_to_token(const struct subscriber *s, struct token *token) {
    token->redriven = s->redriven;
    token->redriven_count = s->redriven_count;
    token->redriven_letters = copy(s->redriven_letters, s->redriven_letters_count,
                                   sizeof *s->redriven_letters);
    token->redriven_letters_count = s->redriven_letters_count;
    if (s->jobs_count == 0)
        return;
    token->jobs = mem_zero((size_t)s->jobs_count * sizeof *token->jobs);
    for (; token->jobs_count < s->jobs_count; token->jobs_count++) {
        struct token_job *job = &token->jobs[token->jobs_count];
        *job = s->jobs[token->jobs_count];
        job->cursors = copy(job->cursors, job->cursors_count, sizeof *job->cursors);
        if (token->jobs_count == 0 && s->job_sender)
            lane_to_job(&s->job_sender->lane, job);
        else
            job->settled = copy(job->settled, job->settled_count, sizeof *job->settled);
    }
}
