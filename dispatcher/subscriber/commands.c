/* Commands; see commands.h. None holds up another: one that must wait for something is tried again
 * at each commands_apply. */
#include "dispatcher/subscriber/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/utf8.h"
#include "common/kafka/offsets.h"
#include "common/model/command.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/ownership/partitions.h"
#include "dispatcher/subscriber/dead_lettering.h"
#include "dispatcher/subscriber/job.h"
#include "dispatcher/subscriber/progress.h"
#include "dispatcher/subscriber/subscriber.h"
#include "dispatcher/subscriber/subscribers.h"
#include "dispatcher/subscriber/test_delivery.h"

enum { AGAIN_MS = 1000, WARN_PERIOD_MS = 30000 };

struct pending_command {
    int64_t offset;
    struct buf key, value;
    bool waits;  /* it was tried and must wait; later ones may have overtaken it */
    bool closed; /* ended by a later command before it was applied */
    bool later;  /* it is of a later version of ESS, which alone can apply it */
    bool going;  /* its tombstone is on its way */
    struct pending_command *prev, *next;
};

static void drop(struct subscriber *s, struct pending_command *c) {
    DL_DELETE(s->commands, c);
    buf_fini(&c->key);
    buf_fini(&c->value);
    free(c);
}

void commands_free(struct subscriber *s) {
    while (s->commands)
        drop(s, s->commands);
}

void commands_read(struct subscriber *s, struct span key, struct span value, int64_t offset) {
    struct pending_command *c, *next;
    DL_FOREACH_SAFE(s->commands, c, next) {
        if (span_equal((struct span){c->key.data, c->key.len}, key))
            drop(s, c);
    }
    if (!value.data)
        return;
    c = mem_zero(sizeof *c);
    c->offset = offset;
    buf_append(&c->key, key.data, key.len);
    buf_append(&c->value, value.data, value.len);
    DL_APPEND(s->commands, c); /* they are read in the order of their offsets */
}

/* --- taking them out of the log */

struct removal {
    struct append append;
    struct dispatcher *dispatcher;
    char id[SPEC_ID_BYTES_MAX + 1];
    int64_t offset; /* of the command */
};

/* One that stays is void for its offset, and goes with the next token that is read. Where there is
 * no subscriber any more, nothing but the timer would try again. */
static void note_not_removed(struct subscriber *s, struct pending_command *c, const char *reason) {
    struct dispatcher *d = s->dispatcher;
    int64_t held_back, now_ms = clock_ms();
    c->going = false;
    if (!s->listed)
        loop_timer_set(d->loop, &s->commands_due, now_ms + AGAIN_MS);
    if (log_limit_pass(&d->removal_warning, now_ms, WARN_PERIOD_MS, &held_back))
        log_warn("command_not_removed", LOG_S("subscriber", s->id),
                 LOG_S("topic", d->subscribers_topic), LOG_N("generation", c->offset),
                 LOG_S("reason", reason), LOG_N("held_back", held_back));
}

static void on_removed(struct append *append, const struct producer_report *report) {
    struct removal *r = (struct removal *)append;
    struct subscriber *s = subscribers_find(r->dispatcher->subscribers, r->id);
    struct pending_command *c;
    if (s && report->fate != PRODUCER_WRITTEN) {
        DL_FOREACH(s->commands, c) {
            if (c->offset == r->offset)
                note_not_removed(s, c, report->reason);
        }
    }
    free(r);
}

static void remove_record(struct subscriber *s, struct pending_command *c) {
    struct dispatcher *d = s->dispatcher;
    struct error err;
    struct removal *removal = mem_zero(sizeof *removal);
    *removal = (struct removal){
        .append.reported = on_removed, .dispatcher = s->dispatcher, .offset = c->offset};
    memcpy(removal->id, s->id, sizeof removal->id);
    const struct producer_record record = {
        .topic = d->subscribers_topic, .partition = s->partition, .key = {c->key.data, c->key.len}};
    c->going = producer_send(d->producer, &record, &removal->append, &err) == 0;
    if (c->going)
        return;
    free(removal);
    note_not_removed(s, c, err.message);
}

static bool stands_in(const int64_t *offsets, int64_t count, int64_t offset) {
    for (int64_t i = 0; i < count; i++)
        if (offsets[i] == offset)
            return true;
    return false;
}

static bool is_settled(const struct pending_command *c, const struct token *token) {
    return c->offset <= token->applied && !c->waits &&
           !stands_in(token->pending, token->pending_count, c->offset);
}

static void remove_if(struct subscriber *s, const struct token *token) {
    struct pending_command *c;
    DL_FOREACH(s->commands, c) {
        bool gone = !token || is_settled(c, token);
        if (gone && !c->going && partitions_may_write(s->dispatcher->partitions, s->partition))
            remove_record(s, c);
    }
}

void commands_settled(struct subscriber *s, const struct token *token) { remove_if(s, token); }

void commands_erase(struct subscriber *s) { remove_if(s, NULL); }

/* --- from and to the token */

void commands_from_token(struct subscriber *s, struct token *token) {
    struct pending_command *c;
    DL_FOREACH(s->commands, c) {
        c->waits = token && stands_in(token->pending, token->pending_count, c->offset);
        c->closed = false;
    }
    free(s->outcomes);
    s->outcomes = token ? token->outcomes : NULL;
    s->outcomes_count = token ? token->outcomes_count : 0;
    if (token)
        token->outcomes = NULL;
}

void commands_to_token(const struct subscriber *s, struct token *token) {
    const struct pending_command *c;
    DL_FOREACH(s->commands, c) {
        if (!c->waits || c->offset > s->applied || token->pending_count == TOKEN_PENDING_MAX)
            continue;
        if (!token->pending)
            token->pending = mem_zero(TOKEN_PENDING_MAX * sizeof *token->pending);
        token->pending[token->pending_count++] = c->offset;
    }
    for (int64_t i = 0; i < s->outcomes_count; i++)
        token_add_outcome(&token->outcomes, &token->outcomes_count, &s->outcomes[i]);
}

void commands_note(struct subscriber *s, int64_t generation, const char *command,
                   const char *outcome, const char *reason, int64_t delivered) {
    struct token_outcome o = {
        .generation = generation, .at_ms = clock_wall_ms(), .delivered = delivered};
    snprintf(o.command, sizeof o.command, "%s", command);
    snprintf(o.outcome, sizeof o.outcome, "%s", outcome);
    snprintf(o.reason, sizeof o.reason, "%.*s",
             (int)utf8_fit(reason, strlen(reason), sizeof o.reason - 1), reason);
    token_add_outcome(&s->outcomes, &s->outcomes_count, &o);
}

/* --- applying them */

static void rewind_to(struct subscriber *s, int64_t cursor) {
    sender_cancel(&s->live);
    dead_lettering_forget(&s->live);
    lane_rewind(&s->live.lane, cursor);
    subscriber_resume(s);
    log_info("rewound", LOG_S("subscriber", s->id), LOG_N("cursor", cursor));
}

/* Where the dead letters end at this moment, which a redrive goes up to. */
static void on_letters_end(void *arg, const struct offsets_answer *answer,
                           const struct error *err) {
    struct subscriber *s = arg;
    (void)err;
    s->letters_question = NULL;
    s->letters_end = answer ? answer->end - 1 : -1;
    s->letters_end_of = answer ? s->looking_up : -1;
    s->looking_up = -1;
    loop_timer_set(s->dispatcher->loop, &s->commands_due, clock_ms() + (answer ? 0 : AGAIN_MS));
}

static void look_up_end(struct subscriber *s, int64_t offset) {
    s->looking_up = offset;
    s->letters_question = offsets_ask(s->dispatcher->offsets, s->dispatcher->dlq_topic,
                                      kafka_partition_of(s->id, DEAD_LETTER_PARTITIONS), NULL, 0,
                                      on_letters_end, s);
}

enum applied { APPLIED, WAITS, REFUSED };

static enum applied add_job(struct subscriber *s, const struct token_job *job) {
    return job_add(s, job) == 0 ? APPLIED : REFUSED;
}

/* One question about the end of the dead letters at a time: the next redrive asks when it has been
 * answered. */
static enum applied redrive(struct subscriber *s, struct command *command, int64_t offset) {
    if (s->jobs_count == TOKEN_JOBS_MAX)
        return REFUSED;
    if (s->letters_end_of != offset) {
        if (s->looking_up < 0)
            look_up_end(s, offset);
        return WAITS;
    }
    if (s->redriven > s->letters_end) /* of dead letters that are not there any more */
        s->redriven = -1;
    int64_t from = command->cursors_count ? -1 : s->redriven;
    struct token_job job = {.job = offset,
                            .redrive = true,
                            .from = from,
                            .to = s->letters_end,
                            .position = from,
                            .last = from};
    if (job.to <= job.from)
        return APPLIED; /* there is nothing to redrive */
    job.cursors = command->cursors;
    job.cursors_count = (int64_t)command->cursors_count;
    command->cursors = NULL; /* the job has them now */
    command->cursors_count = 0;
    return add_job(s, &job);
}

/* The job may not have begun: its redrive waits for an answer of Kafka. */
static void end_job(struct subscriber *s, int64_t job) {
    struct pending_command *c;
    DL_FOREACH(s->commands, c) {
        if (c->offset == job && c->waits) {
            c->closed = true;
            c->waits = false; /* the token names it as pending no more */
        }
    }
    job_end(s, job, "ended");
}

static enum applied skip(struct subscriber *s, int64_t offset) {
    bool found = lane_skip(&s->live.lane) > 0;
    commands_note(s, offset, "skip", found ? "done" : "refused",
                  found ? "" : "no event waits for another attempt", -1);
    return APPLIED;
}

static enum applied apply(struct subscriber *s, struct command *command, int64_t offset) {
    struct token_job job = {.job = offset,
                            .from = command->from,
                            .to = command->to,
                            .position = command->from,
                            .last = command->from};
    switch (command->kind) {
    case COMMAND_REWIND:
        rewind_to(s, command->cursor);
        return APPLIED;
    case COMMAND_RESUME:
        subscriber_resume(s);
        return APPLIED;
    case COMMAND_REPLAY:
        return add_job(s, &job);
    case COMMAND_REDRIVE:
        return redrive(s, command, offset);
    case COMMAND_END_JOB:
        end_job(s, command->job);
        return APPLIED;
    case COMMAND_SKIP:
        return skip(s, offset);
    case COMMAND_TEST:
        return test_delivery(s, command, offset) ? APPLIED : WAITS;
    case COMMAND_KINDS:
        break;
    }
    return APPLIED;
}

static void note_applied(struct subscriber *s, int64_t offset) {
    if (offset > s->applied)
        s->applied = offset;
    if (offset > s->generation)
        s->generation = offset;
}

/* Its owner is told once, whoever of the dispatchers has it. */
static void note_unreadable(struct subscriber *s, const struct pending_command *c,
                            const char *outcome, const struct error *err) {
    for (int64_t i = 0; i < s->outcomes_count; i++)
        if (s->outcomes[i].generation == c->offset)
            return;
    dispatcher_bad_record(s->dispatcher, s->dispatcher->subscribers_topic, s->partition, c->offset,
                          s->id, err->message);
    commands_note(s, c->offset, "unknown", outcome, err->message, -1);
    progress_made(s);
}

/* One of a later version waits for an upgrade, alone: it may be anything, so none behind it is held
 * up. What no version can read is refused. */
static enum applied judge_unreadable(struct subscriber *s, struct pending_command *c, bool newer,
                                     int waiting, const struct error *err) {
    bool later = newer || strcmp(err->field, "command") == 0,
         waits = later && waiting < TOKEN_PENDING_MAX;
    if (!c->later)
        note_unreadable(s, c, waits ? "waits" : "refused", err);
    c->later = waits;
    return waits ? WAITS : REFUSED;
}

/* It has waited for the upgrade that came. */
static void note_readable(struct subscriber *s, int64_t offset) {
    for (int64_t i = 0; i < s->outcomes_count; i++) {
        struct token_outcome *o = &s->outcomes[i];
        if (o->generation == offset && strcmp(o->outcome, "waits") == 0)
            snprintf(o->outcome, sizeof o->outcome, "done");
    }
}

static void log_applied(struct subscriber *s, const struct command *command, int64_t offset) {
    note_readable(s, offset);
    log_info("command_applied", LOG_S("subscriber", s->id),
             LOG_S("command", command_name(command->kind)), LOG_N("generation", offset));
}

/* What may not be done is refused, so that nothing piles up behind it; the token says so. */
static void refuse(struct subscriber *s, const struct command *command, int64_t offset,
                   int waiting) {
    char reason[64];
    if (waiting == TOKEN_PENDING_MAX)
        snprintf(reason, sizeof reason, "%d commands wait already", waiting);
    else
        snprintf(reason, sizeof reason, "it has %d jobs already", TOKEN_JOBS_MAX);
    log_warn("command_refused", LOG_S("subscriber", s->id),
             LOG_S("command", command_name(command->kind)), LOG_N("generation", offset),
             LOG_S("reason", reason));
    commands_note(s, offset, command_name(command->kind), "refused", reason, -1);
}

/* Tries one, while `waiting` before it wait. */
static enum applied apply_one(struct subscriber *s, struct pending_command *c, int waiting) {
    struct command command;
    struct error err;
    bool newer;
    enum applied result = APPLIED;
    if (command_from_json(&command, (struct span){c->value.data, c->value.len}, &newer, &err)) {
        result = judge_unreadable(s, c, newer, waiting, &err);
    } else if (strcmp(command.registration_id, s->record.registration_id) == 0) {
        result = apply(s, &command, c->offset);
        if (result == WAITS && waiting == TOKEN_PENDING_MAX)
            result = REFUSED;
        if (result == APPLIED)
            log_applied(s, &command, c->offset);
        else if (result == REFUSED)
            refuse(s, &command, c->offset, waiting);
    }
    c->waits = result == WAITS;
    if (!c->waits)
        note_applied(s, c->offset);
    command_fini(&command);
    return result;
}

static bool is_open(const struct subscriber *s, const struct pending_command *c) {
    return !c->closed && (c->waits || c->offset > s->applied);
}

void commands_apply(struct subscriber *s) {
    struct pending_command *c, *next;
    int waiting = 0;
    bool changed = false;
    if (!s->running || !partitions_may_write(s->dispatcher->partitions, s->partition))
        return;
    DL_FOREACH_SAFE(s->commands, c, next) {
        if (!is_open(s, c))
            continue;
        enum applied result = apply_one(s, c, waiting);
        waiting += result == WAITS;
        changed |= result != WAITS;
    }
    if (!changed)
        return;
    progress_urgent(s);
    sender_step(&s->live);
}

bool commands_stuck(const struct subscriber *s) {
    const struct pending_command *c;
    if (!s->running || s->test || s->looking_up >= 0 || s->commands_due.slot)
        return false;
    DL_FOREACH(s->commands, c) {
        if (c->waits && !c->later)
            return partitions_may_write(s->dispatcher->partitions, s->partition);
    }
    return false;
}

void commands_stop(struct subscriber *s) {
    test_delivery_cancel(s);
    offsets_drop(s->letters_question);
    s->letters_question = NULL;
    s->looking_up = s->letters_end_of = -1;
}
