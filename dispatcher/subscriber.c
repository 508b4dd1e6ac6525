/* One subscriber; see subscriber.h. */
#include "dispatcher/subscriber.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/model/pattern.h"
#include "common/model/signature.h"
#include "dispatcher/dead_letter.h"
#include "dispatcher/delivery.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/partitions.h"
#include "dispatcher/progress.h"

static bool wants(void *arg, struct span topic) {
    struct subscriber *s = arg;
    for (size_t i = 0; i < s->record.spec.topics_count; i++)
        if (pattern_matches(span_of(s->record.spec.topics[i]), topic))
            return true;
    return false;
}

static void on_chunk_ready(void *arg) { delivery_step(arg); }
static void on_due(void *arg) { delivery_step(arg); }

struct subscriber *subscriber_new(struct dispatcher *d, const char *id, int32_t partition) {
    struct subscriber *s = mem_zero(sizeof *s);
    s->dispatcher = d;
    s->partition = partition;
    snprintf(s->id, sizeof s->id, "%s", id);
    loop_timer_init(&s->due, on_due, s);
    return s;
}

void subscriber_free(struct subscriber *s) {
    subscriber_stop(s, false);
    if (s->has_record)
        spec_fini(&s->record.spec);
    subscriber_keys_fini(&s->keys);
    if (s->has_throttle)
        throttle_fini(&s->throttle);
    free(s->token);
    free(s);
}

void subscriber_keep_token(struct subscriber *s, struct span text) {
    free(s->token);
    s->token = text.data ? mem_copy_string(text.data, text.len) : NULL;
    s->token_bytes = text.len;
}

bool subscriber_complete(const struct subscriber *s) {
    return s->has_record && s->has_keys && !s->blocked && !s->record.removed && strcmp(s->record.born, s->keys.born) == 0;
}

static int64_t or_default(int64_t own, int64_t otherwise) { return own >= 0 ? own : otherwise; }

static struct lane_policy policy_of(const struct subscriber *s) {
    const struct spec *spec = &s->record.spec;
    const struct settings *defaults = &s->dispatcher->settings;
    struct lane_policy policy = {
        .throttle_per_sec = spec->throttle,
        .max_attempts = or_default(spec->max_attempts, defaults->delivery.max_attempts),
        .backoff_min_ms = or_default(spec->backoff_min_ms, defaults->delivery.backoff_min_ms),
        .backoff_max_ms = or_default(spec->backoff_max_ms, defaults->delivery.backoff_max_ms),
        .disable_after_ms = or_default(spec->disable_after_ms, defaults->delivery.disable_after_ms),
    };
    if (policy.backoff_max_ms < policy.backoff_min_ms) /* one is its own, the other the default */
        policy.backoff_max_ms = policy.backoff_min_ms;
    return policy;
}

/* A token from another log, or from beyond this one's end: nothing can be said of what was delivered. */
static const char *mismatch(const struct subscriber *s, const struct token *token) {
    if (strcmp(token->feed, s->dispatcher->genesis.feed) != 0)
        return "log went back: its replay token is of another feed";
    if (token->position > feed_end(s->dispatcher->feed))
        return "log went back: its replay token is beyond the end";
    return NULL;
}

/* Returns whether the token in the log says all that the lane would write. */
static bool init_lane(struct subscriber *s) {
    struct lane_policy policy = policy_of(s);
    struct token token;
    struct error err;
    bool newer;
    if (!s->token || token_from_json(&token, (struct span){s->token, s->token_bytes}, &newer, &err) || strcmp(token.born, s->record.born) != 0) {
        lane_init(&s->lane, &policy, s->record.start);
        return false;
    }
    lane_init_from_token(&s->lane, &policy, &token);
    const char *reason = mismatch(s, &token);
    if (reason)
        lane_disable(&s->lane, reason);
    return !reason && token.generation == s->generation;
}

/* What its lane sent before counts for the throttle, and what another may have sent. */
static void take_window(struct subscriber *s) {
    if (s->has_throttle) {
        throttle_fini(&s->lane.throttle);
        s->lane.throttle = s->throttle;
        s->has_throttle = false;
        throttle_set_rate(&s->lane.throttle, s->lane.policy.throttle_per_sec);
    }
    throttle_fill(&s->lane.throttle, partitions_window_ms(s->dispatcher->partitions, s->partition));
}

static void leave_window(struct subscriber *s) {
    s->throttle = s->lane.throttle;
    s->has_throttle = true;
    s->lane.throttle.finished_ms = NULL;
}

static int renew_signer(struct subscriber *s) {
    struct error err;
    struct signer *signer = signer_new(s->keys.secret, &err);
    if (!signer) {
        log_error("bad_secret", LOG_S("subscriber", s->id), LOG_S("reason", err.message));
        return -1;
    }
    signer_free(s->signer);
    s->signer = signer;
    return 0;
}

static void add_patterns(struct subscriber *s) {
    for (size_t i = 0; i < s->record.spec.topics_count; i++)
        match_add(s->dispatcher->match, span_of(s->record.spec.topics[i]), &s->member);
}

static void remove_patterns(struct subscriber *s) {
    for (size_t i = 0; i < s->record.spec.topics_count; i++)
        match_remove(s->dispatcher->match, span_of(s->record.spec.topics[i]), &s->member);
}

static void start(struct subscriber *s, enum log_level level) {
    if (renew_signer(s))
        return;
    bool written = init_lane(s);
    take_window(s);
    feed_reader_init(&s->reader, wants, on_chunk_ready, s);
    s->running = true;
    add_patterns(s);
    progress_begin(s, written);
    log_at(level, "subscriber_started", LOG_S("subscriber", s->id), LOG_N("generation", s->generation), LOG_N("position", s->lane.position));
    delivery_step(s);
}

void subscriber_stop(struct subscriber *s, bool keep) {
    if (!s->running)
        return;
    delivery_cancel(s);
    dead_letter_forget(s);
    if (keep)
        progress_keep(s);
    loop_timer_clear(s->dispatcher->loop, &s->token_due);
    remove_patterns(s);
    feed_reader_fini(&s->reader);
    leave_window(s);
    lane_fini(&s->lane);
    signer_free(s->signer);
    s->signer = NULL;
    s->running = false;
}

/* Its record or keys are not there any more. */
static void halt(struct subscriber *s) {
    if (s->running)
        log_info("subscriber_stopped", LOG_S("subscriber", s->id), LOG_N("generation", s->generation));
    subscriber_stop(s, true);
}

void subscriber_clear_record(struct subscriber *s) {
    halt(s);
    if (s->has_record)
        spec_fini(&s->record.spec);
    s->has_record = false;
}

/* The new spec takes hold of a running lane. What is in flight ends under the old one. */
static void replace_record(struct subscriber *s, struct subscriber_record *record) {
    struct lane_policy policy;
    bool new_url = strcmp(s->record.spec.url, record->spec.url) != 0;
    remove_patterns(s);
    if (s->lane.state == LANE_WAITING)
        lane_wake(&s->lane, feed_end(s->dispatcher->feed)); /* what it wanted up to here was the old spec's */
    spec_fini(&s->record.spec);
    s->record = *record;
    add_patterns(s);
    feed_reader_changed(&s->reader);
    policy = policy_of(s);
    lane_set_policy(&s->lane, &policy);
    if (new_url)
        lane_resume(&s->lane);
    log_info("subscriber_changed", LOG_S("subscriber", s->id), LOG_N("generation", s->generation));
    progress_made(s);
    delivery_step(s);
}

void subscriber_set_record(struct subscriber *s, struct subscriber_record *record, int64_t generation) {
    s->generation = generation;
    if (s->has_record && strcmp(s->record.born, record->born) != 0) {
        subscriber_stop(s, false);
        subscriber_keep_token(s, (struct span){NULL, 0});
    }
    if (s->running && !record->removed) {
        replace_record(s, record);
        return;
    }
    subscriber_clear_record(s);
    s->record = *record;
    s->has_record = true;
}

void subscriber_set_keys(struct subscriber *s, struct subscriber_keys *keys) {
    if (s->has_record && s->has_keys && strcmp(s->keys.born, s->record.born) == 0 && strcmp(keys->born, s->record.born) != 0) {
        subscriber_keys_fini(keys); /* of another registration: void */
        return;
    }
    subscriber_keys_fini(&s->keys);
    s->keys = *keys;
    s->has_keys = true;
    if (s->running && strcmp(s->record.born, s->keys.born) == 0)
        renew_signer(s);
}

void subscriber_apply(struct subscriber *s, enum log_level level) {
    if (!s->dispatcher->feed || s->dispatcher->stopping)
        return;
    if (!subscriber_complete(s))
        halt(s);
    else if (!s->running)
        start(s, level);
}
