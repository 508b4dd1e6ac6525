/* Writes replay tokens; see progress.h. A token that could not be written is written again later:
 * it is only ever newer. */
#include "dispatcher/subscriber/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/utf8.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/ownership/partitions.h"
#include "dispatcher/subscriber/commands.h"
#include "dispatcher/subscriber/job.h"
#include "dispatcher/subscriber/subscriber.h"
#include "dispatcher/subscriber/subscribers.h"

enum { PASSING_MS = 10 * 60 * 1000, AGAIN_MS = 1000, FAILURE_LOG_PERIOD_MS = 10000 };

struct token_append {
    struct append append;
    struct dispatcher *dispatcher;
    char id[SPEC_ID_BYTES_MAX + 1];
    int64_t number, sent_ms; /* number 0: a tombstone */
};

void progress_token(const struct subscriber *s, struct token *token) {
    const struct dispatcher *d = s->dispatcher;
    *token = (struct token){
        .applied = s->applied, .generation = s->generation, .last_success_ms = s->last_success_ms};
    token->written_ms = clock_wall_ms();
    token->oldest_ms = subscriber_oldest_ms(s);
    lane_to_token(&s->live.lane, clock_ms(), clock_wall_ms(), token);
    if (token->waiting && feed_end(d->feed) > token->position)
        token->position = feed_end(d->feed); /* what it wants would have woken it */
    if (token->waiting && feed_trouble(d->feed))
        token->waiting = false; /* what stands in the log unread may be for it */
    if (sender_waits_for_newer(&s->live) && !token->reason[0])
        snprintf(token->reason, sizeof token->reason,
                 "a later version of ESS wrote the event at cursor %" PRId64
                 ": upgrade the dispatchers, or rewind past it",
                 sender_waits_for_newer(&s->live));
    jobs_to_token(s, token);
    commands_to_token(s, token);
    memcpy(token->registration_id, s->record.registration_id, sizeof token->registration_id);
    memcpy(token->feed, d->genesis.feed, sizeof token->feed);
    token->epoch = partitions_epoch(d->partitions, s->partition);
}

/* --- what Kafka does not take */

bool progress_held(const struct subscriber *s) {
    return token_pace_unwritten_ms(&s->progress.pace, clock_ms()) >=
           s->dispatcher->settings.dispatcher.hold_after_ms;
}

static void note_failure(struct subscriber *s, const char *reason) {
    struct progress_faults *faults = &s->dispatcher->progress_faults;
    int64_t held_back, now_ms = clock_ms();
    s->progress.failing = true;
    snprintf(faults->reason, sizeof faults->reason, "%.*s",
             (int)utf8_fit(reason, strlen(reason), sizeof faults->reason - 1), reason);
    if (!log_limit_pass(&faults->limit, now_ms, FAILURE_LOG_PERIOD_MS, &held_back))
        return;
    log_warn("token_not_written", LOG_S("subscriber", s->id),
             LOG_S("topic", s->dispatcher->tokens_topic), LOG_S("reason", reason),
             LOG_N("unwritten_ms", token_pace_unwritten_ms(&s->progress.pace, now_ms)),
             LOG_N("held", progress_held_count(s->dispatcher)), LOG_N("held_back", held_back),
             LOG_S("advice", "see that this service may write the topic, that max.message.bytes "
                             "takes a token, and that brokers have "
                             "disk space and replicas in sync"));
}

static void note_success(struct subscriber *s, bool was_held) {
    if (s->progress.failing)
        log_info("token_written_again", LOG_S("subscriber", s->id));
    s->progress.failing = false;
    if (!was_held || progress_held(s))
        return;
    sender_wake(&s->live);
    if (s->job_sender)
        sender_wake(s->job_sender);
}

int64_t progress_held_count(const struct dispatcher *d) {
    int64_t count = 0;
    for (const struct subscriber *s = subscribers_first(d->subscribers); s; s = s->hh.next)
        count += s->running && progress_held(s);
    return count;
}

int64_t progress_unwritten_ms(const struct dispatcher *d) {
    int64_t oldest_ms = 0, now_ms = clock_ms();
    for (const struct subscriber *s = subscribers_first(d->subscribers); s; s = s->hh.next) {
        int64_t unwritten_ms = s->running ? token_pace_unwritten_ms(&s->progress.pace, now_ms) : 0;
        oldest_ms = unwritten_ms > oldest_ms ? unwritten_ms : oldest_ms;
    }
    return oldest_ms;
}

/* --- writing */

static void set_due(struct subscriber *s, int64_t wait_ms) {
    loop_timer_set(s->dispatcher->loop, &s->progress.due, clock_ms() + wait_ms);
}

static void take_report(struct subscriber *s, const struct token_append *a,
                        const struct producer_report *report) {
    bool written = report->fate == PRODUCER_WRITTEN, was_held = progress_held(s);
    token_pace_reported(&s->progress.pace, a->number, a->sent_ms, written);
    if (written) {
        note_success(s, was_held);
    } else {
        note_failure(s, report->reason);
        set_due(s, AGAIN_MS);
    }
}

static void on_reported(struct append *append, const struct producer_report *report) {
    struct token_append *a = (struct token_append *)append;
    struct subscriber *s = subscribers_find(a->dispatcher->subscribers, a->id);
    a->dispatcher->tokens_pending--;
    if (s && s->running)
        take_report(s, a, report);
    else if (s && report->fate != PRODUCER_WRITTEN)
        s->choice.rewrite = true;
    free(a);
}

static int append_value(struct subscriber *s, struct span value, int64_t number,
                        struct error *err) {
    struct dispatcher *d = s->dispatcher;
    struct token_append *a = mem_zero(sizeof *a);
    *a = (struct token_append){
        .append.reported = on_reported, .dispatcher = d, .number = number, .sent_ms = clock_ms()};
    memcpy(a->id, s->id, sizeof a->id);
    const struct producer_record record = {
        .topic = d->tokens_topic, .partition = s->partition, .key = span_of(s->id), .value = value};
    int result = producer_send(d->producer, &record, &a->append, err);
    if (result)
        free(a);
    else
        d->tokens_pending++;
    return result;
}

static int append_token(struct subscriber *s, struct token *token, struct error *err) {
    struct buf value = {0};
    token->number = partitions_next_number(s->dispatcher->partitions);
    token_to_json(token, &value);
    int result = append_value(s, (struct span){value.data, value.len}, token->number, err);
    buf_fini(&value);
    return result;
}

void progress_erase(struct subscriber *s) {
    struct error err;
    append_value(s, (struct span){NULL, 0}, 0, &err);
}

/* Spread, so that lanes that started together don't write together. */
static void set_due_for_passing(struct subscriber *s) {
    set_due(s, PASSING_MS / 2 + (int64_t)(dispatcher_random(s->dispatcher) % (PASSING_MS / 2)));
}

static int write_now(struct subscriber *s, struct token *token) {
    struct error err;
    if (!partitions_may_write(s->dispatcher->partitions, s->partition))
        return -1;
    if (append_token(s, token, &err)) {
        note_failure(s, err.message);
        return -1;
    }
    s->choice.rewrite = false;
    s->epoch = token->epoch;
    s->progress.state = token->state;
    s->progress.position = token->position;
    token_pace_sent(&s->progress.pace, token->number, clock_ms());
    return 0;
}

void progress_write(struct subscriber *s) {
    struct token token;
    progress_token(s, &token);
    if (write_now(s, &token) == 0)
        set_due_for_passing(s);
    else
        set_due(s, AGAIN_MS);
    token_fini(&token);
}

static void on_due(void *arg) { progress_write(arg); }

static bool due_soon(const struct subscriber *s) {
    return s->progress.due.slot && s->progress.due.at_ms <= clock_ms() + AGAIN_MS;
}

void progress_hand_over(struct subscriber *s) {
    struct token token;
    progress_token(s, &token);
    if (due_soon(s) || token.position != s->progress.position || token.state != s->progress.state)
        progress_write(s);
    token_fini(&token);
}

void progress_rewrite(struct subscriber *s) {
    struct token token;
    struct error err;
    bool newer;
    if (s->running) {
        progress_write(s);
    } else if (s->token && !s->erased &&
               token_from_json(&token, (struct span){s->token, s->token_bytes}, &newer, &err) ==
                   0) {
        token.epoch = partitions_epoch(s->dispatcher->partitions, s->partition);
        s->choice.rewrite = append_token(s, &token, &err) != 0;
        token_fini(&token);
    }
}

/* What this process wrote earlier and has not yet read back is older than what is kept. */
void progress_keep(struct subscriber *s) {
    struct token token;
    struct buf text = {0};
    progress_write(s);
    progress_token(s, &token);
    token_to_json(&token, &text);
    subscriber_keep_token(s, (struct span){text.data, text.len});
    s->choice.kept = CHOICE_VALID;
    s->choice.epoch = token.epoch;
    s->choice.number = partitions_newest_number(s->dispatcher->partitions);
    token_fini(&token);
    buf_fini(&text);
}

/* Writes at once, or when `due_ms` comes. */
static void write_by(struct subscriber *s, int64_t due_ms) {
    if (due_ms <= clock_ms())
        progress_write(s);
    else if (s->progress.due.slot == 0 || s->progress.due.at_ms > due_ms)
        loop_timer_set(s->dispatcher->loop, &s->progress.due, due_ms);
}

void progress_begin(struct subscriber *s, bool written) {
    struct progress *p = &s->progress;
    *p = (struct progress){.state = lane_token_state(&s->live.lane),
                           .position = s->live.lane.position,
                           .pace.sent_ms = p->pace.sent_ms};
    loop_timer_init(&p->due, on_due, s);
    if (written)
        set_due_for_passing(s);
    else
        progress_soon(s);
}

void progress_end(struct subscriber *s) { loop_timer_clear(s->dispatcher->loop, &s->progress.due); }

void progress_soon(struct subscriber *s) {
    write_by(s, token_pace_changed(&s->progress.pace, false, clock_ms()));
}

void progress_urgent(struct subscriber *s) {
    write_by(s, token_pace_changed(&s->progress.pace, true, clock_ms()));
}

void progress_made(struct subscriber *s) {
    if (lane_token_state(&s->live.lane) != s->progress.state)
        progress_urgent(s);
    else
        progress_soon(s);
}
