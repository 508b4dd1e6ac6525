/* One subscriber; see subscriber.h. */
#include "dispatcher/subscriber/subscriber.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/ownership/partitions.h"
#include "dispatcher/subscriber/commands.h"
#include "dispatcher/subscriber/dead_lettering.h"
#include "dispatcher/subscriber/hold.h"
#include "dispatcher/subscriber/jobs.h"
#include "dispatcher/subscriber/policy.h"
#include "dispatcher/subscriber/pulled.h"
#include "dispatcher/subscriber/test_delivery.h"

enum { SILENCE_MS = 1000 }; /* a connection refused at once holds no slot for long */

void subscriber_step_all(struct subscriber *s) {
    sender_step(&s->live);
    if (s->jobs.sender)
        sender_step(s->jobs.sender);
}

void subscriber_resume(struct subscriber *s) {
    lane_resume(&s->live.lane);
    if (s->jobs.sender)
        lane_resume(&s->jobs.sender->lane);
    standing_resume(&s->standing);
    subscriber_step_all(s);
}

static void subscriber_wake_all(struct subscriber *s) {
    sender_wake(&s->live);
    if (s->jobs.sender)
        sender_wake(s->jobs.sender);
}

/* An attempt's slot is free: any sender of the subscriber may have waited for the attempt's slot
 * in the throttle. */
static void subscriber_on_attempt_ended(void *arg) {
    struct subscriber *s = arg;
    if (s->running)
        subscriber_wake_all(s);
}

int64_t subscriber_oldest_ms(const struct subscriber *s) {
    int64_t oldest_ms = lane_oldest_ms(&s->live.lane);
    return oldest_ms || lane_idle(&s->live.lane) ? oldest_ms : s->lag.oldest_ms;
}

void subscriber_moved(struct subscriber *s) {
    checkpoint_moved(&s->checkpoint, lane_state(&s->live.lane));
}

/* --- the token */

static void subscriber_on_soon(void *arg) {
    struct subscriber *s = arg;
    checkpoint_soon(&s->checkpoint);
}

static void subscriber_on_fill(void *arg, struct token *token) {
    const struct subscriber *s = arg;
    const struct dispatcher *d = s->dispatcher;
    token->generation = s->generation;
    token->last_success_ms = s->last_success_ms;
    token->oldest_ms = subscriber_oldest_ms(s);
    lane_to_token(&s->live.lane, clock_ms(), clock_wall_ms(), token);
    standing_to_token(&s->standing, token);
    if (token->waiting && feed_end(d->service.feed) > token->position)
        token->position = feed_end(d->service.feed); /* a wanted event would have woken the lane */
    if (token->waiting && feed_trouble(d->service.feed))
        token->waiting = false; /* unread events in the log may be for the subscriber */
    hold_to_token(s, token);
    jobs_to_token(&s->jobs, token);
    commands_to_token(&s->commands, token);
    memcpy(token->registration_id, s->record.registration_id, sizeof token->registration_id);
    memcpy(token->feed, d->service.genesis.feed, sizeof token->feed);
}

static void subscriber_on_released(void *arg) { subscriber_wake_all(arg); }

static const struct checkpoint_owner checkpoint_owner = {.fill = subscriber_on_fill,
                                                         .released = subscriber_on_released};

/* --- callbacks of the log proof */

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

/* --- callbacks of commands */

static bool subscriber_on_may_write(void *arg) {
    const struct subscriber *s = arg;
    return partitions_may_write(s->dispatcher->partitions, s->partition);
}

static bool subscriber_is_listed(void *arg) {
    const struct subscriber *s = arg;
    return s->listed;
}

static void subscriber_on_unreadable(void *arg, int64_t offset, const char *reason) {
    const struct subscriber *s = arg;
    service_bad_record(&s->dispatcher->service, s->dispatcher->service.subscribers_topic,
                       s->partition, offset, s->id, reason);
}

static void subscriber_on_rewind(void *arg, int64_t cursor) {
    struct subscriber *s = arg;
    sender_cancel(&s->live);
    dead_lettering_forget(&s->live);
    lane_rewind(&s->live.lane, cursor);
    subscriber_resume(s);
    log_info("rewound", LOG_S("subscriber", s->id), LOG_N("cursor", cursor));
}

static void subscriber_on_resume(void *arg) { subscriber_resume(arg); }

static bool subscriber_on_skip(void *arg) {
    struct subscriber *s = arg;
    return lane_skip(&s->live.lane) > 0;
}

static bool subscriber_on_test(void *arg, const struct command *command, int64_t generation) {
    return pulled_refuses_test(arg, generation) || test_delivery(arg, command, generation);
}

static bool subscriber_tests(void *arg) {
    const struct subscriber *s = arg;
    return s->test != NULL;
}

static void subscriber_on_applied(void *arg, int64_t offset) {
    struct subscriber *s = arg;
    if (offset > s->generation)
        s->generation = offset;
}

static void subscriber_on_commands_changed(void *arg) {
    struct subscriber *s = arg;
    checkpoint_urgent(&s->checkpoint);
    sender_step(&s->live);
}

static void subscriber_on_noted(void *arg) { subscriber_moved(arg); }

static const struct commands_owner commands_owner = {.may_write = subscriber_on_may_write,
                                                     .is_listed = subscriber_is_listed,
                                                     .unreadable = subscriber_on_unreadable,
                                                     .rewind = subscriber_on_rewind,
                                                     .resume = subscriber_on_resume,
                                                     .skip = subscriber_on_skip,
                                                     .test = subscriber_on_test,
                                                     .tests = subscriber_tests,
                                                     .applied = subscriber_on_applied,
                                                     .changed = subscriber_on_commands_changed,
                                                     .noted = subscriber_on_noted};

/* --- life */

struct subscriber *subscriber_new(struct dispatcher *d, const char *id, int32_t partition) {
    struct subscriber *s = mem_zero(sizeof *s);
    s->dispatcher = d;
    s->partition = partition;
    s->slots = (struct slots_group){.ended = subscriber_on_attempt_ended, .arg = s};
    s->tested = s->generation = -1;
    snprintf(s->id, sizeof s->id, "%s", id);
    log_proof_init(&s->log_proof, d->log_check, subscriber_on_judged, subscriber_on_refuted, s);
    channels_init(&s->channels, d->service.loop, d->https, &d->service.signing_keys, s->id,
                  &s->record.spec, d->service.genesis.feed,
                  d->service.settings.delivery.timeout_ms);
    subscriber_init_jobs(s);
    subscriber_init_standing(s);
    const struct commands_options commands = {.loop = d->service.loop,
                                              .producer = d->service.producer,
                                              .offsets = d->service.offsets,
                                              .topic = d->service.subscribers_topic,
                                              .dlq_topic = d->dlq_topic,
                                              .subscriber = s->id,
                                              .registration_id = s->record.registration_id,
                                              .partition = partition,
                                              .jobs = &s->jobs,
                                              .removal_warning = &d->removal_warning,
                                              .owner = &commands_owner,
                                              .arg = s};
    commands_init(&s->commands, &commands);
    lag_watch_init(&s->lag, s->id, &s->live.lane, &s->endpoint, subscriber_on_soon, s);
    checkpoint_init(&s->checkpoint, &d->checkpoints, s->id, partition, &checkpoint_owner, s);
    return s;
}

void subscriber_free(struct subscriber *s) {
    subscriber_stop(s, false);
    log_proof_forget(&s->log_proof);
    if (s->has_record)
        spec_fini(&s->record.spec);
    subscriber_keys_fini(&s->keys);
    if (s->has_throttle)
        throttle_fini(&s->throttle);
    commands_fini(&s->commands);
    for (int i = 0; i < UNREADABLE_RECORDS; i++) {
        free(s->unreadable[i].reason);
        buf_fini(&s->unreadable[i].value);
    }
    checkpoint_fini(&s->checkpoint);
    free(s);
}

void subscriber_read_token(struct subscriber *s, struct span text, const struct token *token) {
    s->blocked = false;
    if (!checkpoint_read(&s->checkpoint, text, token))
        return;
    if (!s->running)
        log_proof_forget(&s->log_proof);
    /* the token is in the log: only now may the commands that it names as applied leave the log */
    if (s->checkpoint.in_log && s->running &&
        token->epoch == partitions_epoch(s->dispatcher->partitions, s->partition) &&
        strcmp(token->registration_id, s->record.registration_id) == 0)
        commands_settled(&s->commands, token);
}

void subscriber_block(struct subscriber *s) {
    subscriber_stop(s, false);
    checkpoint_drop(&s->checkpoint);
    log_proof_forget(&s->log_proof);
    s->blocked = true;
}

/* Spec and keys are known and fit each other, and the subscriber is not removed. */
static bool subscriber_complete(const struct subscriber *s) {
    return s->has_record && s->has_keys && !s->blocked && !s->desired_blocked &&
           !s->record.removed && strcmp(s->record.registration_id, s->keys.registration_id) == 0;
}

/* Sets where lane and jobs begin. Returns whether the token in the log is up to date. */
static bool subscriber_take_token(struct subscriber *s) {
    struct lane_policy policy = policy_of(&s->record.spec, &s->dispatcher->service.settings);
    struct lane *lane = &s->live.lane;
    struct token token;
    struct error err;
    bool newer;
    s->endpoint = (struct endpoint){0};
    s->last_success_ms = 0;
    jobs_from_token(&s->jobs, NULL);
    commands_from_token(&s->commands, NULL);
    standing_from_token(&s->standing, NULL);
    bool other_log = s->log_proof.verdict == LOG_WENT_BACK;
    log_proof_rely(&s->log_proof, 0);
    struct span text = checkpoint_text(&s->checkpoint);
    if (!text.data || token_from_json(&token, text, &newer, &err)) {
        lane_init(lane, &policy, &s->throttle, &s->endpoint, s->record.start);
        return false;
    }
    bool own = strcmp(token.registration_id, s->record.registration_id) == 0,
         went_back = own && other_log;
    /* a reason may be the last owner's alone */
    bool written = own && !went_back && token.generation == s->generation && !*token.reason;
    if (went_back) {
        log_check_amend(s->dispatcher->log_check, &token);
        log_warn("subscriber_disabled", LOG_S("subscriber", s->id), LOG_S("reason", token.reason));
    }
    if (own) {
        log_proof_rely(&s->log_proof, went_back ? 0 : token.position);
        lane_init_from_token(lane, &policy, &s->throttle, &s->endpoint, &token);
        s->last_success_ms = token.last_success_ms;
        s->generation = token.applied > s->generation ? token.applied : s->generation;
        jobs_from_token(&s->jobs, &token);
        commands_from_token(&s->commands, &token);
        standing_from_token(&s->standing, &token);
    } else {
        lane_init(lane, &policy, &s->throttle, &s->endpoint, s->record.start);
    }
    token_fini(&token);
    return written;
}

/* Counts what this process has sent before, and what another owner may have sent. */
static void subscriber_take_window(struct subscriber *s) {
    if (!s->has_throttle)
        throttle_init(&s->throttle, s->record.spec.throttle);
    else
        throttle_set_rate(&s->throttle, s->record.spec.throttle);
    s->has_throttle = true;
    throttle_fill(&s->throttle, partitions_window_ms(s->dispatcher->partitions, s->partition));
}

/* An endpoint that hung under the last owner counts as hanging, so that the new owner does not
 * lose all slots finding out. */
static void subscriber_take_silence(struct subscriber *s) {
    const struct lane *lane = &s->live.lane;
    const struct token_attempt *last = lane->failed_count ? &lane->failed[lane->failed_count - 1]
                                                          : NULL;
    bool silent = s->endpoint.failing_since_ms && last && last->status == 0 &&
                  last->duration_ms >= SILENCE_MS;
    slots_set_silent(&s->dispatcher->slots, &s->slots, silent);
}

static int subscriber_renew_signing(struct subscriber *s) {
    struct error err;
    if (channels_set_keys(&s->channels, &s->keys, &err) == 0)
        return 0;
    log_error("bad_secret", LOG_S("subscriber", s->id), LOG_S("reason", err.message));
    return -1;
}

static bool subscriber_wants_pause(const struct subscriber *s) {
    return s->desired.paused && strcmp(s->desired.registration_id, s->record.registration_id) == 0;
}

/* The live lane is at the end of the log: the next event for the subscriber wakes the lane. */
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
    if (!s->running || s->dispatcher->service.starting_over ||
        !partitions_may_start(s->dispatcher->partitions, s->partition))
        return false;
    if (checkpoint_held(&s->checkpoint) || channels_lack(&s->channels))
        return false;
    const struct lane *live = &s->live.lane;
    return sender == &s->live ||
           (!live->paused && !live->disabled && !live->pending && !live->policy.pulled);
}

void subscriber_disable(struct subscriber *s, const char *reason) {
    if (!s->live.lane.disabled)
        lane_disable(&s->live.lane, reason);
    log_warn("subscriber_disabled", LOG_S("subscriber", s->id), LOG_S("reason", reason));
}

/* --- callbacks of senders */

static bool subscriber_on_may_send(void *arg, const struct sender *sender) {
    return subscriber_may_send(arg, sender);
}
static void subscriber_on_answered(void *arg, const struct outcome *outcome) {
    struct subscriber *s = arg;
    bool silent = (outcome->verdict == VERDICT_UNANSWERED || outcome->verdict == VERDICT_UNSENT) &&
                  outcome->duration_ms >= SILENCE_MS;
    slots_set_silent(&s->dispatcher->slots, &s->slots, silent);
    if (outcome->verdict != VERDICT_DELIVERED)
        return;
    s->last_success_ms = clock_wall_ms();
    standing_delivered(&s->standing);
}
static void subscriber_on_disabled(void *arg, const char *reason) {
    subscriber_disable(arg, reason);
}
static void subscriber_on_moved(void *arg) { subscriber_moved(arg); }
static void subscriber_on_at_end(void *arg) { subscriber_at_end(arg); }
static void subscriber_on_delivered(void *arg, int64_t lane_cursor) {
    struct subscriber *s = arg;
    s->live.lane.delivered++;
    jobs_on_delivered(&s->jobs, lane_cursor);
}
static void subscriber_on_done(void *arg) {
    struct subscriber *s = arg;
    jobs_on_done(&s->jobs);
}

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

static void subscriber_start(struct subscriber *s) {
    if (subscriber_renew_signing(s))
        return;
    subscriber_take_window(s);
    sender_init(&s->live, s, &sender_owner, s, -1, NULL);
    bool written = subscriber_take_token(s);
    written &= !pulled_begin(s);
    subscriber_take_silence(s);
    lane_pause(&s->live.lane, subscriber_wants_pause(s));
    s->running = true;
    lag_watch_begin(&s->lag, s->dispatcher->lag_monitor);
    checkpoint_begin(&s->checkpoint, lane_state(&s->live.lane), s->live.lane.position,
                     written && !channels_lack(&s->channels));
    channels_warn_of_lack(&s->channels);
    standing_begin(&s->standing);
    log_at(s->start_level, "subscriber_started", LOG_S("subscriber", s->id),
           LOG_N("generation", s->generation), LOG_N("position", s->live.lane.position));
    if (s->checkpoint.in_log)
        commands_settled(&s->commands, &(struct token){.applied = s->commands.applied});
    commands_begin(&s->commands);
    commands_apply(&s->commands);
    jobs_begin(&s->jobs);
    sender_step(&s->live);
}

void subscriber_close(struct subscriber *s) {
    test_delivery_cancel(s);
    standing_close(&s->standing);
    commands_cancel(&s->commands);
    sender_cancel(&s->live);
    if (s->jobs.sender)
        sender_cancel(s->jobs.sender);
}

void subscriber_stop(struct subscriber *s, bool keep) {
    if (!s->running)
        return;
    test_delivery_cancel(s);
    standing_end(&s->standing);
    commands_stop(&s->commands);
    sender_cancel(&s->live);
    jobs_stop(&s->jobs);
    if (keep)
        checkpoint_keep(&s->checkpoint);
    checkpoint_end(&s->checkpoint);
    lag_watch_end(&s->lag);
    log_proof_forget(&s->log_proof);
    subscriber_behind(s);
    sender_fini(&s->live);
    jobs_clear(&s->jobs);
    channels_fini(&s->channels);
    s->running = false;
}

/* The record or keys are gone. */
static void subscriber_halt(struct subscriber *s) {
    if (s->running)
        log_info("subscriber_stopped", LOG_S("subscriber", s->id),
                 LOG_N("generation", s->generation));
    subscriber_stop(s, true);
}

void subscriber_clear_record(struct subscriber *s) {
    subscriber_halt(s);
    if (s->has_record)
        spec_fini(&s->record.spec);
    s->has_record = false;
}

void subscriber_clear_keys(struct subscriber *s) {
    subscriber_halt(s);
    subscriber_keys_fini(&s->keys);
    s->has_keys = false;
}

static void subscriber_renew_policy(struct subscriber *s) {
    struct lane_policy policy = policy_of(&s->record.spec, &s->dispatcher->service.settings);
    lane_set_policy(&s->live.lane, &policy);
    jobs_renew_policy(&s->jobs, &policy);
    throttle_set_rate(&s->throttle, s->record.spec.throttle);
}

/* An attempt under way to the old endpoint may still settle its event. A failure there says
 * nothing. No access token of the old endpoint goes to the new one. */
static void subscriber_leave_endpoint(struct subscriber *s) {
    endpoint_move(&s->endpoint);
    channels_move(&s->channels);
    slots_set_silent(&s->dispatcher->slots, &s->slots, false);
}

/* Without an endpoint nothing can be tried again, so everything under way ends. */
static void subscriber_take_new_endpoint(struct subscriber *s) {
    if (spec_is_pulled(&s->record.spec)) {
        subscriber_close(s);
        commands_apply(&s->commands);
    }
    subscriber_resume(s);
}

/* A running lane takes the new spec. Attempts in flight end under the old spec. */
static void subscriber_replace_record(struct subscriber *s, struct subscriber_record *record) {
    bool moved = !spec_same_endpoint(&s->record.spec, &record->spec);
    subscriber_behind(s);
    if (s->live.lane.at_end)
        lane_wake(
            &s->live.lane,
            feed_end(s->dispatcher->service.feed)); /* events up to here were for the old spec */
    spec_fini(&s->record.spec);
    s->record = *record;
    sender_topics_changed(&s->live);
    if (s->jobs.sender)
        sender_topics_changed(s->jobs.sender);
    subscriber_renew_policy(s);
    if (moved)
        subscriber_leave_endpoint(s);
    standing_renew(&s->standing); /* may resume the lane */
    if (moved)
        subscriber_take_new_endpoint(s);
    pulled_look_again(s);
    log_info("subscriber_changed", LOG_S("subscriber", s->id), LOG_N("generation", s->generation));
    channels_warn_of_lack(&s->channels);
    subscriber_moved(s);
    subscriber_step_all(s);
}

static void subscriber_take_generation(struct subscriber *s, int64_t generation) {
    if (generation <= s->generation)
        return;
    s->generation = generation;
    if (s->running)
        checkpoint_soon(&s->checkpoint);
}

void subscriber_set_record(struct subscriber *s, struct subscriber_record *record,
                           int64_t generation) {
    subscriber_take_generation(s, generation);
    if (s->has_record && strcmp(s->record.registration_id, record->registration_id) != 0)
        subscriber_stop(s, false); /* the kept token may be of either registration */
    if (s->running && !record->removed) {
        subscriber_replace_record(s, record);
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
        subscriber_renew_signing(s))
        subscriber_halt(s);
    subscriber_take_generation(s, generation);
}

void subscriber_set_desired(struct subscriber *s, const struct subscriber_desired *desired,
                            int64_t generation) {
    s->desired = *desired;
    subscriber_take_generation(s, generation);
    if (!s->running)
        return;
    lane_pause(&s->live.lane, subscriber_wants_pause(s));
    standing_pause(&s->standing);
    subscriber_moved(s);
    subscriber_step_all(s);
}

/* False: subscriber_apply runs again once the log is known. */
static bool subscriber_log_is_known(struct subscriber *s, enum log_level level) {
    if (s->log_proof.verdict != LOG_ASKED)
        s->start_level = level;
    return log_proof_ask(&s->log_proof, s->record.registration_id, checkpoint_text(&s->checkpoint));
}

void subscriber_apply(struct subscriber *s, enum log_level level) {
    if (!s->dispatcher->service.feed || s->dispatcher->service.stopping)
        return;
    if (!subscriber_complete(s))
        subscriber_halt(s);
    else if (!s->running && subscriber_log_is_known(s, level))
        subscriber_start(s);
}
