/* Jobs; see jobs.h. Only the first of the list has a sender. */
#include "dispatcher/subscriber/jobs.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "dispatcher/lane/lane.h"
#include "dispatcher/subscriber/sender.h"

enum { AGAIN_MS = 1000, FAILURE_LOG_PERIOD_MS = 10000 };

static void jobs_read_lane(const struct lane *lane, struct token_job *job) {
    job->position = lane->position;
    job->last = lane->last;
    job->delivered = lane->delivered;
    job->settled_count = lane_settled(lane, &job->settled);
    lane_reason(lane, "resume retries at once", job->reason);
}

/* --- the running job */

/* Keeps what the job's sender has settled. */
static void jobs_close(struct jobs *jobs) {
    if (!jobs->sender)
        return;
    free(jobs->list[0].settled);
    jobs_read_lane(&jobs->sender->lane, &jobs->list[0]);
    sender_fini(jobs->sender);
    free(jobs->sender);
    jobs->sender = NULL;
}

struct lane_policy jobs_policy(const struct lane_policy *live, const struct token_job *job) {
    struct lane_policy policy = *live;
    if (job->redrive) { /* dead letters go one by one, in the order of being given up */
        policy.ordering = SPEC_STRICT;
        policy.max_in_flight = 1;
        policy.redrive = true;
    }
    return policy;
}

void jobs_renew_policy(struct jobs *jobs, const struct lane_policy *live) {
    if (!jobs->sender)
        return;
    struct lane_policy policy = jobs_policy(live, &jobs->list[0]);
    lane_set_policy(&jobs->sender->lane, &policy);
}

static void jobs_begin_lane(struct lane *lane, const struct token_job *job) {
    lane->until = job->to;
    lane->delivered = job->delivered;
    if (!job->redrive)
        lane->last = lane->newest = job->last;
    lane_set_settled(lane, job->settled, job->settled_count);
}

/* Skips what earlier redrives have delivered, known only now. */
static void jobs_pass_redriven(const struct jobs *jobs, struct token_job *job) {
    int64_t redriven = jobs->redriven < job->to ? jobs->redriven : job->to;
    if (!job->redrive || job->cursors_count || job->position >= redriven)
        return;
    if (job->position == job->from)
        job->from = redriven;
    job->position = job->last = redriven;
}

static void jobs_try_again(struct jobs *jobs, const struct token_job *job, const char *reason) {
    int64_t held_back, now_ms = clock_ms();
    loop_timer_set(jobs->loop, &jobs->due, now_ms + AGAIN_MS);
    if (log_limit_pass(&jobs->failures, now_ms, FAILURE_LOG_PERIOD_MS, &held_back))
        log_error("redrive", LOG_S("subscriber", jobs->subscriber), LOG_N("job", job->job),
                  LOG_S("reason", reason), LOG_N("held_back", held_back));
}

static void jobs_run_next(struct jobs *jobs) {
    struct error err;
    if (!jobs->running || jobs->sender || jobs->count == 0)
        return;
    struct token_job *job = &jobs->list[0];
    jobs_pass_redriven(jobs, job);
    struct sender *sender = mem_zero(sizeof *sender);
    if (jobs->owner->open(jobs->arg, sender, job, &err)) {
        free(sender);
        jobs_try_again(jobs, job, err.message);
        return;
    }
    jobs->sender = sender;
    jobs_begin_lane(&sender->lane, job);
    log_info("job_running", LOG_S("subscriber", jobs->subscriber), LOG_N("job", job->job),
             LOG_N("from", job->position), LOG_N("to", job->to));
    sender_step(sender);
}

/* --- redriven dead letters */

/* Drops the listed dead letters that a redrive of all has passed. */
static void jobs_forget_redriven(struct jobs *jobs) {
    int64_t kept = 0;
    for (int64_t i = 0; i < jobs->redriven_letters_count; i++)
        if (jobs->redriven_letters[i] > jobs->redriven)
            jobs->redriven_letters[kept++] = jobs->redriven_letters[i];
    jobs->redriven_letters_count = kept;
}

static void jobs_note_redriven(struct jobs *jobs, int64_t offset) {
    int64_t *letters = jobs->redriven_letters, at = jobs->redriven_letters_count;
    if (!letters)
        letters = jobs->redriven_letters = mem_zero(TOKEN_REDRIVEN_MAX * sizeof *letters);
    while (at && letters[at - 1] > offset)
        at--;
    if (offset <= jobs->redriven || (at && letters[at - 1] == offset))
        return;
    if (jobs->redriven_letters_count == TOKEN_REDRIVEN_MAX) {
        if (at == 0)
            return; /* older than all kept */
        memmove(letters, letters + 1, (size_t)(--at) * sizeof *letters);
    } else {
        memmove(letters + at + 1, letters + at,
                (size_t)(jobs->redriven_letters_count++ - at) * sizeof *letters);
    }
    letters[at] = offset;
}

int64_t jobs_redriven(struct jobs *jobs, int64_t end) {
    if (jobs->redriven > end)
        jobs->redriven = -1;
    return jobs->redriven;
}

/* --- the list */

bool jobs_full(const struct jobs *jobs) { return jobs->count == TOKEN_JOBS_MAX; }

int jobs_add(struct jobs *jobs, const struct token_job *job) {
    if (jobs_full(jobs))
        return -1;
    if (!jobs->list)
        jobs->list = mem_zero(TOKEN_JOBS_MAX * sizeof *jobs->list);
    jobs->list[jobs->count++] = *job;
    jobs_run_next(jobs);
    return 0;
}

static struct token_job jobs_remove_at(struct jobs *jobs, int64_t number) {
    struct token_job job = jobs->list[number];
    jobs->count--;
    memmove(jobs->list + number, jobs->list + number + 1,
            (size_t)(jobs->count - number) * sizeof *jobs->list);
    return job;
}

void jobs_end(struct jobs *jobs, int64_t number, const char *outcome) {
    int64_t i = 0;
    while (i < jobs->count && jobs->list[i].job != number)
        i++;
    if (i == jobs->count)
        return;
    if (i == 0)
        jobs_close(jobs);
    struct token_job job = jobs_remove_at(jobs, i);
    /* also if ended early: delivered dead letters are not redriven again */
    if (job.redrive && job.cursors_count == 0 && job.position > jobs->redriven)
        jobs->redriven = job.position;
    jobs_forget_redriven(jobs);
    jobs->owner->ended(jobs->arg, &job, outcome);
    token_job_fini(&job);
    jobs_run_next(jobs);
}

/* --- reports of the running job's sender */

void jobs_on_delivered(struct jobs *jobs, int64_t lane_cursor) {
    if (!jobs->list[0].redrive)
        return;
    jobs->redriven_count++;
    if (jobs->list[0].cursors_count)
        jobs_note_redriven(jobs, lane_cursor);
}

/* The sender is in the middle of a step: the loop ends the job. */
void jobs_on_done(struct jobs *jobs) { loop_timer_set(jobs->loop, &jobs->due, 0); }

static void jobs_on_due(void *arg) {
    struct jobs *jobs = arg;
    jobs_run_next(jobs);
    if (!jobs->sender || !lane_done(&jobs->sender->lane))
        return;
    int64_t job = jobs->list[0].job;
    log_info("job_done", LOG_S("subscriber", jobs->subscriber), LOG_N("job", job));
    jobs_end(jobs, job, "done");
}

bool jobs_stuck(const struct jobs *jobs) {
    return jobs->running && jobs->count && !jobs->sender && !jobs->due.slot;
}

/* --- life */

void jobs_init(struct jobs *jobs, struct loop *loop, const char *subscriber,
               const struct jobs_owner *owner, void *arg) {
    *jobs = (struct jobs){
        .loop = loop, .subscriber = subscriber, .owner = owner, .arg = arg, .redriven = -1};
    loop_timer_init(&jobs->due, jobs_on_due, jobs);
}

void jobs_begin(struct jobs *jobs) {
    jobs->running = true;
    jobs_run_next(jobs);
}

void jobs_stop(struct jobs *jobs) {
    jobs->running = false;
    jobs_close(jobs);
    loop_timer_clear(jobs->loop, &jobs->due);
}

void jobs_clear(struct jobs *jobs) {
    jobs_stop(jobs);
    while (jobs->count)
        token_job_fini(&jobs->list[--jobs->count]);
    free(jobs->list);
    free(jobs->redriven_letters);
    jobs->list = NULL;
    jobs->redriven_letters = NULL;
    jobs->redriven_letters_count = jobs->redriven_count = 0;
    jobs->redriven = -1;
}

/* --- from and to the token */

void jobs_from_token(struct jobs *jobs, struct token *token) {
    jobs_clear(jobs);
    if (!token)
        return;
    jobs->redriven = token->redriven;
    jobs->redriven_count = token->redriven_count;
    for (int64_t i = 0; i < token->redriven_letters_count; i++)
        jobs_note_redriven(jobs, token->redriven_letters[i]);
    if (!token->jobs_count)
        return;
    jobs->list = mem_resize(token->jobs, TOKEN_JOBS_MAX * sizeof *jobs->list);
    jobs->count = token->jobs_count;
    token->jobs = NULL;
    token->jobs_count = 0;
}

static void *jobs_copy(const void *list, int64_t count, size_t size) {
    return count ? memcpy(mem_alloc((size_t)count * size), list, (size_t)count * size) : NULL;
}

void jobs_to_token(const struct jobs *jobs, struct token *token) {
    token->redriven = jobs->redriven;
    token->redriven_count = jobs->redriven_count;
    token->redriven_letters = jobs_copy(jobs->redriven_letters, jobs->redriven_letters_count,
                                        sizeof *jobs->redriven_letters);
    token->redriven_letters_count = jobs->redriven_letters_count;
    if (jobs->count == 0)
        return;
    token->jobs = mem_zero((size_t)jobs->count * sizeof *token->jobs);
    for (; token->jobs_count < jobs->count; token->jobs_count++) {
        struct token_job *job = &token->jobs[token->jobs_count];
        *job = jobs->list[token->jobs_count];
        job->cursors = jobs_copy(job->cursors, job->cursors_count, sizeof *job->cursors);
        if (token->jobs_count == 0 && jobs->sender)
            jobs_read_lane(&jobs->sender->lane, job);
        else
            job->settled = jobs_copy(job->settled, job->settled_count, sizeof *job->settled);
    }
}
