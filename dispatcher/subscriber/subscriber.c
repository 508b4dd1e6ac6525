/* One subscriber; see subscriber.h. */
#include "dispatcher/subscriber/subscriber.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/ownership/partitions.h"
#include "dispatcher/subscriber/commands.h"
#include "dispatcher/subscriber/job.h"
#include "dispatcher/subscriber/progress.h"

enum { SILENCE_MS = 1000 }; /* a connection that is refused at once holds no place for long */

static void step_all(struct subscriber *s) {
    sender_step(&s->live);
    if (s->job_sender)
        sender_step(s->job_sender);
}

/* The place of an attempt was given back: any of its senders may have waited for that attempt's
 * slot of the throttle. */
static void on_attempt_ended(void *arg) {
    struct subscriber *s = arg;
    if (!s->running)
        return;
    sender_wake(&s->live);
    if (s->job_sender)
        sender_wake(s->job_sender);
}

void subscriber_answered(struct subscriber *s, const struct outcome *outcome) {
    bool silent = outcome->verdict == VERDICT_UNANSWERED && outcome->duration_ms >= SILENCE_MS;
    capacity_set_silent(&s->dispatcher->capacity, &s->places, silent);
    if (outcome->verdict == VERDICT_DELIVERED)
        s->last_success_ms = clock_wall_ms();
}

int64_t subscriber_oldest_ms(const struct subscriber *s) {
    int64_t oldest_ms = lane_oldest_ms(&s->live.lane);
    return oldest_ms || lane_idle(&s->live.lane) ? oldest_ms : s->oldest_ms;
}

static void on_commands_due(void *arg) {
    struct subscriber *s = arg;
    if (s->listed)
        commands_apply(s);
    else
        commands_erase(s);
}

/* The job that ran has done all of it, or the next one could not be begun. */
static void on_job_due(void *arg) {
    struct subscriber *s = arg;
    job_run_next(s);
    if (!s->job_sender || !lane_done(&s->job_sender->lane))
        return;
    log_info("job_done", LOG_S("subscriber", s->id), LOG_N("job", s->jobs[0].job));
    job_end(s, s->jobs[0].job, "done");
}

static void subscriber_on_judged(void *arg) {
    struct subscriber *s = arg;
    subscriber_apply(s, s->start_level);
}

static void subscriber_on_refuted(void *arg) {
    struct subscriber *s = arg;
    subscriber_stop(s, true);
    s->log_proof.verdict = LOG_WENT_BACK;
    subscriber_apply(s, LOG_LEVEL_INFO);
}

struct subscriber *subscriber_new(struct dispatcher *d, const char *id, int32_t partition) {
    struct subscriber *s = mem_zero(sizeof *s);
    s->dispatcher = d;
    s->partition = partition;
    s->places = (struct capacity_group){.ended = on_attempt_ended, .arg = s};
    s->tested = s->looking_up = s->letters_end_of = s->generation = s->applied = s->redriven = -1;
    snprintf(s->id, sizeof s->id, "%s", id);
    log_proof_init(&s->log_proof, d->log_check, subscriber_on_judged, subscriber_on_refuted, s);
    webhook_init(&s->webhook, d->https, s->id, &s->record.spec, d->settings.delivery.timeout_ms);
    s->channel = &s->webhook.channel;
    loop_timer_init(&s->job_due, on_job_due, s);
    loop_timer_init(&s->commands_due, on_commands_due, s);
    return s;
}

void subscriber_free(struct subscriber *s) {
    subscriber_stop(s, false);
    loop_timer_clear(s->dispatcher->loop, &s->commands_due);
    log_proof_forget(&s->log_proof);
    if (s->has_record)
        spec_fini(&s->record.spec);
    subscriber_keys_fini(&s->keys);
    if (s->has_throttle)
        throttle_fini(&s->throttle);
    commands_free(s);
    free(s->outcomes);
    for (int i = 0; i < UNREADABLE_RECORDS; i++) {
        free(s->unreadable[i].reason);
        buf_fini(&s->unreadable[i].value);
    }
    free(s->token);
    free(s);
}

void subscriber_keep_token(struct subscriber *s, struct span text) {
    log_proof_forget(&s->log_proof);
    free(s->token);
    s->in_log = s->erased = false;
    s->token = text.data ? mem_copy_string(text.data, text.len) : NULL;
    s->token_bytes = text.len;
}

bool subscriber_complete(const struct subscriber *s) {
    return s->has_record && s->has_keys && !s->blocked && !s->desired_blocked &&
           !s->record.removed && strcmp(s->record.registration_id, s->keys.registration_id) == 0;
}

static int64_t or_default(int64_t own, int64_t otherwise) { return own >= 0 ? own : otherwise; }

static struct lane_policy policy_of(const struct subscriber *s) {
    const struct spec *spec = &s->record.spec;
    const struct settings *defaults = &s->dispatcher->settings;
    struct lane_policy policy = {
        .ordering = spec->ordering,
        .max_in_flight = spec->max_in_flight,
        .max_attempts = or_default(spec->max_attempts, defaults->delivery.max_attempts),
        .backoff_min_ms = or_default(spec->backoff_min_ms, defaults->delivery.backoff_min_ms),
        .backoff_max_ms = or_default(spec->backoff_max_ms, defaults->delivery.backoff_max_ms),
        .disable_after_ms = or_default(spec->disable_after_ms, defaults->delivery.disable_after_ms),
        .dead_letters_all = spec->dead_letters_all,
    };
    if (policy.backoff_max_ms < policy.backoff_min_ms) /* one is its own, the other the default */
        policy.backoff_max_ms = policy.backoff_min_ms;
    return policy;
}

/* Where its lane and jobs begin. Returns whether the token in the log says all that would be
 * written. */
static bool take_token(struct subscriber *s) {
    struct lane_policy policy = policy_of(s);
    struct lane *lane = &s->live.lane;
    struct token token;
    struct error err;
    bool newer;
    s->endpoint = (struct endpoint){0};
    s->applied = s->redriven = -1;
    s->redriven_count = s->last_success_ms = 0;
    commands_from_token(s, NULL);
    bool other_log = s->log_proof.verdict == LOG_WENT_BACK;
    log_proof_rely(&s->log_proof, 0);
    if (!s->token ||
        token_from_json(&token, (struct span){s->token, s->token_bytes}, &newer, &err)) {
        lane_init(lane, &policy, &s->throttle, &s->endpoint, s->record.start);
        return false;
    }
    bool own = strcmp(token.registration_id, s->record.registration_id) == 0,
         went_back = own && other_log;
    bool written = own && !went_back && token.generation == s->generation;
    if (went_back) {
        log_check_amend(s->dispatcher->log_check, &token);
        log_warn("subscriber_disabled", LOG_S("subscriber", s->id), LOG_S("reason", token.reason));
    }
    if (own) {
        log_proof_rely(&s->log_proof, went_back ? 0 : token.position);
        lane_init_from_token(lane, &policy, &s->throttle, &s->endpoint, &token);
        s->applied = token.applied;
        s->last_success_ms = token.last_success_ms;
        s->generation = s->applied > s->generation ? s->applied : s->generation;
        jobs_from_token(s, &token);
        commands_from_token(s, &token);
    } else {
        lane_init(lane, &policy, &s->throttle, &s->endpoint, s->record.start);
    }
    token_fini(&token);
    return written;
}

/* What was sent before counts, and what another may have sent. */
static void take_window(struct subscriber *s) {
    if (!s->has_throttle)
        throttle_init(&s->throttle, s->record.spec.throttle);
    else
        throttle_set_rate(&s->throttle, s->record.spec.throttle);
    s->has_throttle = true;
    throttle_fill(&s->throttle, partitions_window_ms(s->dispatcher->partitions, s->partition));
}

/* An endpoint that hung under its last owner is taken for one that hangs, so that a new owner does
 * not learn it by all its places. */
static void take_silence(struct subscriber *s) {
    const struct lane *lane = &s->live.lane;
    const struct token_attempt *last = lane->failed_count ? &lane->failed[lane->failed_count - 1]
                                                          : NULL;
    bool silent = s->endpoint.failing_since_ms && last && last->status == 0 &&
                  last->duration_ms >= SILENCE_MS;
    capacity_set_silent(&s->dispatcher->capacity, &s->places, silent);
}

static int renew_signing(struct subscriber *s) {
    struct error err;
    if (webhook_set_keys(&s->webhook, &s->keys, &err) == 0)
        return 0;
    log_error("bad_secret", LOG_S("subscriber", s->id), LOG_S("reason", err.message));
    return -1;
}

static bool wants_pause(const struct subscriber *s) {
    return s->desired.paused && strcmp(s->desired.registration_id, s->record.registration_id) == 0;
}

/* Its live lane stands at the end of the log: the next event for it wakes it. */
static void subscriber_at_end(struct subscriber *s) {
    if (s->in_match)
        return;
    s->in_match = true;
    match_add_all(s->dispatcher->match, &s->record.spec.subscription, &s->member);
}

void subscriber_behind(struct subscriber *s) {
    if (!s->in_match)
        return;
    s->in_match = false;
    match_remove_all(s->dispatcher->match, &s->record.spec.subscription, &s->member);
}

bool subscriber_may_send(const struct subscriber *s, const struct sender *sender) {
    if (!s->running || s->dispatcher->starting_over ||
        !partitions_may_start(s->dispatcher->partitions, s->partition))
        return false;
    if (progress_held(s))
        return false;
    return sender == &s->live || (!s->live.lane.paused && !s->live.lane.disabled);
}

/* Nothing more is sent, until it is resumed. */
static void subscriber_disable(struct subscriber *s, const char *reason) {
    if (!s->live.lane.disabled)
        lane_disable(&s->live.lane, reason);
    log_warn("subscriber_disabled", LOG_S("subscriber", s->id), LOG_S("reason", reason));
}

/* --- what its senders ask and report */

static bool subscriber_on_may_send(void *arg, const struct sender *sender) {
    return subscriber_may_send(arg, sender);
}
static void subscriber_on_answered(void *arg, const struct outcome *outcome) {
    subscriber_answered(arg, outcome);
}
static void subscriber_on_disabled(void *arg, const char *reason) {
    subscriber_disable(arg, reason);
}
static void subscriber_on_moved(void *arg) { progress_made(arg); }
static void subscriber_on_soon(void *arg) { progress_soon(arg); }
static void subscriber_on_at_end(void *arg) { subscriber_at_end(arg); }
static void subscriber_on_delivered(void *arg, int64_t flight) { job_delivered(arg, flight); }
static void subscriber_on_done(void *arg) { job_ended(arg); }

static const struct sender_owner sender_owner = {.may_send = subscriber_on_may_send,
                                                 .answered = subscriber_on_answered,
                                                 .disabled = subscriber_on_disabled,
                                                 .moved = subscriber_on_moved,
                                                 .soon = subscriber_on_soon,
                                                 .at_end = subscriber_on_at_end,
                                                 .delivered = subscriber_on_delivered,
                                                 .done = subscriber_on_done};

const struct sender_owner *subscriber_as_sender_owner(void) { return &sender_owner; }

/* --- starting and stopping */

static void start(struct subscriber *s) {
    if (renew_signing(s))
        return;
    take_window(s);
    sender_init(&s->live, s, &sender_owner, s, -1, NULL);
    bool written = take_token(s);
    take_silence(s);
    lane_pause(&s->live.lane, wants_pause(s));
    s->running = true;
    s->epoch = partitions_epoch(s->dispatcher->partitions, s->partition);
    progress_begin(s, written && s->in_log);
    log_at(s->start_level, "subscriber_started", LOG_S("subscriber", s->id),
           LOG_N("generation", s->generation), LOG_N("position", s->live.lane.position));
    if (s->in_log)
        commands_settled(s, &(struct token){.applied = s->applied});
    commands_apply(s);
    job_run_next(s);
    sender_step(&s->live);
}

void subscriber_close(struct subscriber *s) {
    commands_stop(s);
    sender_cancel(&s->live);
    if (s->job_sender)
        sender_cancel(s->job_sender);
}

void subscriber_stop(struct subscriber *s, bool keep) {
    if (!s->running)
        return;
    commands_stop(s);
    sender_cancel(&s->live);
    jobs_stop(s);
    if (keep)
        progress_keep(s);
    progress_end(s);
    log_proof_forget(&s->log_proof);
    loop_timer_clear(s->dispatcher->loop, &s->job_due);
    loop_timer_clear(s->dispatcher->loop, &s->commands_due);
    subscriber_behind(s);
    sender_fini(&s->live);
    jobs_free(s);
    webhook_fini(&s->webhook);
    s->running = false;
}

/* Its record or keys are not there any more. */
static void halt(struct subscriber *s) {
    if (s->running)
        log_info("subscriber_stopped", LOG_S("subscriber", s->id),
                 LOG_N("generation", s->generation));
    subscriber_stop(s, true);
}

void subscriber_clear_record(struct subscriber *s) {
    halt(s);
    if (s->has_record)
        spec_fini(&s->record.spec);
    s->has_record = false;
}

void subscriber_clear_keys(struct subscriber *s) {
    halt(s);
    subscriber_keys_fini(&s->keys);
    s->has_keys = false;
}

static void renew_policy(struct subscriber *s) {
    struct lane_policy policy = policy_of(s);
    lane_set_policy(&s->live.lane, &policy);
    job_renew_policy(s);
    throttle_set_rate(&s->throttle, s->record.spec.throttle);
}

/* An attempt that is under way at the old one may still settle its event; its failure says nothing.
 */
static void take_new_url(struct subscriber *s) {
    endpoint_move(&s->endpoint);
    capacity_set_silent(&s->dispatcher->capacity, &s->places, false);
    subscriber_resume(s);
}

/* The new spec takes hold of a running lane. What is in flight ends under the old one. */
static void replace_record(struct subscriber *s, struct subscriber_record *record) {
    bool new_url = strcmp(s->record.spec.url, record->spec.url) != 0;
    subscriber_behind(s);
    if (s->live.lane.at_end)
        lane_wake(&s->live.lane,
                  feed_end(s->dispatcher->feed)); /* what it wanted up to here was the old spec's */
    spec_fini(&s->record.spec);
    s->record = *record;
    sender_topics_changed(&s->live);
    if (s->job_sender)
        sender_topics_changed(s->job_sender);
    renew_policy(s);
    if (new_url)
        take_new_url(s);
    log_info("subscriber_changed", LOG_S("subscriber", s->id), LOG_N("generation", s->generation));
    progress_made(s);
    step_all(s);
}

static void take_generation(struct subscriber *s, int64_t generation) {
    if (generation <= s->generation)
        return;
    s->generation = generation;
    if (s->running)
        progress_soon(s);
}

void subscriber_set_record(struct subscriber *s, struct subscriber_record *record,
                           int64_t generation) {
    take_generation(s, generation);
    if (s->has_record && strcmp(s->record.registration_id, record->registration_id) != 0)
        subscriber_stop(s, false); /* the token that is kept may be of either */
    if (s->running && !record->removed) {
        replace_record(s, record);
        return;
    }
    subscriber_clear_record(s);
    s->record = *record;
    s->has_record = true;
}

void subscriber_set_keys(struct subscriber *s, struct subscriber_keys *keys, int64_t generation) {
    if (s->has_record && s->has_keys &&
        strcmp(s->keys.registration_id, s->record.registration_id) == 0 &&
        strcmp(keys->registration_id, s->record.registration_id) != 0) {
        subscriber_keys_fini(keys); /* of another registration: void */
        return;
    }
    subscriber_keys_fini(&s->keys);
    s->keys = *keys;
    s->has_keys = true;
    if (s->running && strcmp(s->record.registration_id, s->keys.registration_id) == 0 &&
        renew_signing(s))
        halt(s);
    take_generation(s, generation);
}

void subscriber_set_desired(struct subscriber *s, const struct subscriber_desired *desired,
                            int64_t generation) {
    s->desired = *desired;
    take_generation(s, generation);
    if (!s->running)
        return;
    lane_pause(&s->live.lane, wants_pause(s));
    progress_made(s);
    step_all(s);
}

void subscriber_resume(struct subscriber *s) {
    lane_resume(&s->live.lane);
    if (s->job_sender)
        lane_resume(&s->job_sender->lane);
    step_all(s);
}

/* False: it is applied again once it is. */
static bool subscriber_log_is_known(struct subscriber *s, enum log_level level) {
    if (s->log_proof.verdict != LOG_ASKED)
        s->start_level = level;
    return log_proof_ask(&s->log_proof, s->record.registration_id,
                         (struct span){s->token, s->token_bytes});
}

void subscriber_apply(struct subscriber *s, enum log_level level) {
    if (!s->dispatcher->feed || s->dispatcher->stopping)
        return;
    if (!subscriber_complete(s))
        halt(s);
    else if (!s->running && subscriber_log_is_known(s, level))
        start(s);
}
