/* Commands; see commands.h. No command holds up another: a waiting command is tried again at each
 * commands_apply. */
#include "dispatcher/subscriber/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/utf8.h"
#include "common/kafka/config.h"
#include "common/kafka/offsets.h"
#include "common/kafka/producer.h"
#include "common/model/command.h"
#include "common/model/dead_letter.h"
#include "common/model/token.h"
#include "dispatcher/subscriber/jobs.h"

enum { AGAIN_MS = 1000, WARN_PERIOD_MS = 30000 };

struct pending_command {
    struct commands *commands;
    int64_t offset;
    struct buf key, value;
    bool waits;  /* tried, and must wait; later commands may have overtaken it */
    bool closed; /* ended by a later command before being applied */
    /* written for a later version of ESS, which alone can apply the command */
    bool later;
    bool going;              /* the tombstone is being written, or not yet read back */
    struct removal *removal; /* the tombstone being written */
    struct pending_command *prev, *next;
};

/* A command's tombstone being written. */
struct removal {
    struct append append;
    struct pending_command *command; /* NULL: the command was dropped */
};

static void commands_drop(struct commands *commands, struct pending_command *c) {
    DL_DELETE(commands->list, c);
    if (c->removal)
        c->removal->command = NULL;
    buf_fini(&c->key);
    buf_fini(&c->value);
    free(c);
}

void commands_read(struct commands *commands, struct span key, struct span value, int64_t offset) {
    struct pending_command *c, *next;
    DL_FOREACH_SAFE(commands->list, c, next) {
        if (span_equal((struct span){c->key.data, c->key.len}, key))
            commands_drop(commands, c);
    }
    if (!value.data)
        return;
    c = mem_zero(sizeof *c);
    c->commands = commands;
    c->offset = offset;
    buf_append(&c->key, key.data, key.len);
    buf_append(&c->value, value.data, value.len);
    DL_APPEND(commands->list, c); /* commands are read in the order of their offsets */
}

/* --- removal from the log */

/* A command left in the log is void by its offset, and goes with the next token read. Without a
 * subscriber only the timer tries again. */
static void commands_note_not_removed(struct pending_command *c, const char *reason) {
    const struct commands_options *o = &c->commands->options;
    int64_t held_back, now_ms = clock_ms();
    c->going = false;
    if (!o->owner->is_listed(o->arg))
        loop_timer_set(o->loop, &c->commands->due, now_ms + AGAIN_MS);
    if (log_limit_pass(o->removal_warning, now_ms, WARN_PERIOD_MS, &held_back))
        log_warn("command_not_removed", LOG_S("subscriber", o->subscriber),
                 LOG_S("topic", o->topic), LOG_N("generation", c->offset), LOG_S("reason", reason),
                 LOG_N("held_back", held_back));
}

static void commands_on_removed(struct append *append, const struct producer_report *report) {
    struct removal *removal = (struct removal *)append;
    struct pending_command *c = removal->command;
    if (c)
        c->removal = NULL;
    if (c && report->fate != PRODUCER_WRITTEN)
        commands_note_not_removed(c, report->reason);
    free(removal);
}

static void commands_remove_record(const struct commands *commands, struct pending_command *c) {
    const struct commands_options *o = &commands->options;
    struct error err;
    struct removal *removal = mem_zero(sizeof *removal);
    *removal = (struct removal){.append.reported = commands_on_removed, .command = c};
    const struct producer_record record = {
        .topic = o->topic, .partition = o->partition, .key = {c->key.data, c->key.len}};
    c->going = producer_send(o->producer, &record, &removal->append, &err) == 0;
    if (c->going) {
        c->removal = removal;
        return;
    }
    free(removal);
    commands_note_not_removed(c, err.message);
}

static bool commands_holds_offset(const int64_t *offsets, int64_t count, int64_t offset) {
    for (int64_t i = 0; i < count; i++)
        if (offsets[i] == offset)
            return true;
    return false;
}

static bool commands_is_settled(const struct pending_command *c, const struct token *token) {
    return c->offset <= token->applied && !c->waits &&
           !commands_holds_offset(token->pending, token->pending_count, c->offset);
}

static bool commands_may_write(const struct commands *commands) {
    return commands->options.owner->may_write(commands->options.arg);
}

static void commands_remove_if(const struct commands *commands, const struct token *token) {
    struct pending_command *c;
    DL_FOREACH(commands->list, c) {
        bool gone = !token || commands_is_settled(c, token);
        if (gone && !c->going && commands_may_write(commands))
            commands_remove_record(commands, c);
    }
}

void commands_settled(struct commands *commands, const struct token *token) {
    commands_remove_if(commands, token);
}

struct pending_command *commands_detach(struct commands *commands) {
    struct pending_command *list = commands->list;
    commands->list = NULL;
    return list;
}

void commands_attach(struct commands *commands, struct pending_command *list) {
    struct pending_command *c;
    DL_FOREACH(list, c) {
        c->commands = commands;
    }
    DL_CONCAT(commands->list, list);
}

void commands_erase(struct commands *commands) { commands_remove_if(commands, NULL); }

/* --- from and to the token */

void commands_from_token(struct commands *commands, struct token *token) {
    struct pending_command *c;
    DL_FOREACH(commands->list, c) {
        c->waits = token && commands_holds_offset(token->pending, token->pending_count, c->offset);
        c->closed = false;
    }
    free(commands->outcomes);
    commands->outcomes = token ? token->outcomes : NULL;
    commands->outcomes_count = token ? token->outcomes_count : 0;
    commands->applied = token ? token->applied : -1;
    if (token)
        token->outcomes = NULL;
}

void commands_to_token(const struct commands *commands, struct token *token) {
    const struct pending_command *c;
    token->applied = commands->applied;
    DL_FOREACH(commands->list, c) {
        if (!c->waits || c->offset > commands->applied || token->pending_count == TOKEN_PENDING_MAX)
            continue;
        if (!token->pending)
            token->pending = mem_zero(TOKEN_PENDING_MAX * sizeof *token->pending);
        token->pending[token->pending_count++] = c->offset;
    }
    for (int64_t i = 0; i < commands->outcomes_count; i++)
        token_add_outcome(&token->outcomes, &token->outcomes_count, &commands->outcomes[i]);
}

void commands_note(struct commands *commands, int64_t generation, const char *command,
                   const char *outcome, const char *reason, int64_t delivered) {
    struct token_outcome o = {
        .generation = generation, .at_ms = clock_wall_ms(), .delivered = delivered};
    snprintf(o.command, sizeof o.command, "%s", command);
    snprintf(o.outcome, sizeof o.outcome, "%s", outcome);
    snprintf(o.reason, sizeof o.reason, "%.*s",
             (int)utf8_fit(reason, strlen(reason), sizeof o.reason - 1), reason);
    token_add_outcome(&commands->outcomes, &commands->outcomes_count, &o);
}

/* --- application */

/* Notes where the dead letters end now: the end of the redrive. */
static void commands_on_letters_end(void *arg, const struct offsets_answer *answer,
                                    const struct error *err) {
    struct commands *commands = arg;
    (void)err;
    commands->question = NULL;
    commands->letters_end = answer ? answer->end - 1 : -1;
    commands->letters_end_of = answer ? commands->asked_for : -1;
    loop_timer_set(commands->options.loop, &commands->due, clock_ms() + (answer ? 0 : AGAIN_MS));
}

static void commands_ask_letters_end(struct commands *commands, int64_t offset) {
    const struct commands_options *o = &commands->options;
    commands->asked_for = offset;
    commands->question = offsets_ask(o->offsets, o->dlq_topic,
                                     kafka_partition_of(o->subscriber, DEAD_LETTER_PARTITIONS),
                                     NULL, 0, commands_on_letters_end, commands);
}

void commands_cancel(struct commands *commands) {
    offsets_drop(commands->question);
    commands->question = NULL;
    commands->letters_end_of = -1;
}

enum applied { APPLIED, WAITS, REFUSED };

static enum applied commands_add_job(struct commands *commands, const struct token_job *job) {
    return jobs_add(commands->options.jobs, job) == 0 ? APPLIED : REFUSED;
}

/* Asks one question about the end of the dead letters at a time: the next redrive asks after the
 * answer. */
static enum applied commands_redrive(struct commands *commands, struct command *command,
                                     int64_t offset) {
    if (jobs_full(commands->options.jobs))
        return REFUSED;
    if (commands->letters_end_of != offset) {
        if (!commands->question)
            commands_ask_letters_end(commands, offset);
        return WAITS;
    }
    int64_t redriven = jobs_redriven(commands->options.jobs, commands->letters_end),
            from = command->cursors_count ? -1 : redriven;
    struct token_job job = {.job = offset,
                            .redrive = true,
                            .from = from,
                            .to = commands->letters_end,
                            .position = from,
                            .last = from};
    if (job.to <= job.from)
        return APPLIED; /* there is nothing to redrive */
    job.cursors = command->cursors;
    job.cursors_count = (int64_t)command->cursors_count;
    command->cursors = NULL; /* owned by the job now */
    command->cursors_count = 0;
    return commands_add_job(commands, &job);
}

/* Ends a job; also a job that has not begun because its redrive waits for Kafka's answer. */
static void commands_end_job(struct commands *commands, int64_t job) {
    struct pending_command *c;
    DL_FOREACH(commands->list, c) {
        if (c->offset == job && c->waits) {
            c->closed = true;
            c->waits = false; /* the token no longer names the command as pending */
        }
    }
    jobs_end(commands->options.jobs, job, "ended");
}

static enum applied commands_skip(struct commands *commands, int64_t offset) {
    bool found = commands->options.owner->skip(commands->options.arg);
    commands_note(commands, offset, "skip", found ? "done" : "refused",
                  found ? "" : "no event waits for another attempt", -1);
    return APPLIED;
}

static enum applied commands_carry_out(struct commands *commands, struct command *command,
                                       int64_t offset) {
    const struct commands_owner *owner = commands->options.owner;
    void *arg = commands->options.arg;
    struct token_job job = {.job = offset,
                            .from = command->from,
                            .to = command->to,
                            .position = command->from,
                            .last = command->from};
    switch (command->kind) {
    case COMMAND_REWIND:
        owner->rewind(arg, command->cursor);
        return APPLIED;
    case COMMAND_RESUME:
        owner->resume(arg);
        return APPLIED;
    case COMMAND_REPLAY:
        return commands_add_job(commands, &job);
    case COMMAND_REDRIVE:
        return commands_redrive(commands, command, offset);
    case COMMAND_END_JOB:
        commands_end_job(commands, command->job);
        return APPLIED;
    case COMMAND_SKIP:
        return commands_skip(commands, offset);
    case COMMAND_TEST:
        return owner->test(arg, command, offset) ? APPLIED : WAITS;
    case COMMAND_KINDS:
        break;
    }
    return APPLIED;
}

static void commands_note_applied(struct commands *commands, int64_t offset) {
    if (offset > commands->applied)
        commands->applied = offset;
    commands->options.owner->applied(commands->options.arg, offset);
}

/* Reports the command to the owner once, whichever dispatcher has the partition. */
static void commands_note_unreadable(struct commands *commands, const struct pending_command *c,
                                     const char *outcome, const struct error *err) {
    for (int64_t i = 0; i < commands->outcomes_count; i++)
        if (commands->outcomes[i].generation == c->offset)
            return;
    commands->options.owner->unreadable(commands->options.arg, c->offset, err->message);
    commands_note(commands, c->offset, "unknown", outcome, err->message, -1);
    commands->options.owner->noted(commands->options.arg);
}

/* A command of a later version waits for an upgrade and holds up no other command, since it may
 * be anything. A command that no version can read is refused. */
static enum applied commands_judge_unreadable(struct commands *commands, struct pending_command *c,
                                              bool newer, int waiting, const struct error *err) {
    bool later = newer || strcmp(err->field, "command") == 0,
         waits = later && waiting < TOKEN_PENDING_MAX;
    if (!c->later)
        commands_note_unreadable(commands, c, waits ? "waits" : "refused", err);
    c->later = waits;
    return waits ? WAITS : REFUSED;
}

/* An upgrade has made the command readable. */
static void commands_note_readable(struct commands *commands, int64_t offset) {
    for (int64_t i = 0; i < commands->outcomes_count; i++) {
        struct token_outcome *o = &commands->outcomes[i];
        if (o->generation == offset && strcmp(o->outcome, "waits") == 0)
            snprintf(o->outcome, sizeof o->outcome, "done");
    }
}

static void commands_log_applied(struct commands *commands, const struct command *command,
                                 int64_t offset) {
    commands_note_readable(commands, offset);
    log_info("command_applied", LOG_S("subscriber", commands->options.subscriber),
             LOG_S("command", command_name(command->kind)), LOG_N("generation", offset));
}

/* Refuses an impossible command, so that nothing piles up behind it; the token says so. */
static void commands_refuse(struct commands *commands, const struct command *command,
                            int64_t offset, int waiting) {
    char reason[64];
    if (waiting == TOKEN_PENDING_MAX)
        snprintf(reason, sizeof reason, "%d commands wait already", waiting);
    else
        snprintf(reason, sizeof reason, "the subscriber has %d jobs already", TOKEN_JOBS_MAX);
    log_warn("command_refused", LOG_S("subscriber", commands->options.subscriber),
             LOG_S("command", command_name(command->kind)), LOG_N("generation", offset),
             LOG_S("reason", reason));
    commands_note(commands, offset, command_name(command->kind), "refused", reason, -1);
}

/* Tries one command; `waiting` commands before it wait. */
static enum applied commands_apply_one(struct commands *commands, struct pending_command *c,
                                       int waiting) {
    struct command command;
    struct error err;
    bool newer;
    enum applied result = APPLIED;
    if (command_from_json(&command, (struct span){c->value.data, c->value.len}, &newer, &err)) {
        result = commands_judge_unreadable(commands, c, newer, waiting, &err);
    } else if (strcmp(command.registration_id, commands->options.registration_id) == 0) {
        result = commands_carry_out(commands, &command, c->offset);
        if (result == WAITS && waiting == TOKEN_PENDING_MAX)
            result = REFUSED;
        if (result == APPLIED)
            commands_log_applied(commands, &command, c->offset);
        else if (result == REFUSED)
            commands_refuse(commands, &command, c->offset, waiting);
    }
    c->waits = result == WAITS;
    if (!c->waits)
        commands_note_applied(commands, c->offset);
    command_fini(&command);
    return result;
}

static bool commands_is_open(const struct commands *commands, const struct pending_command *c) {
    return !c->closed && (c->waits || c->offset > commands->applied);
}

void commands_apply(struct commands *commands) {
    struct pending_command *c, *next;
    int waiting = 0;
    bool changed = false;
    if (!commands->running || !commands_may_write(commands))
        return;
    DL_FOREACH_SAFE(commands->list, c, next) {
        if (!commands_is_open(commands, c))
            continue;
        enum applied result = commands_apply_one(commands, c, waiting);
        waiting += result == WAITS;
        changed |= result != WAITS;
    }
    if (changed)
        commands->options.owner->changed(commands->options.arg);
}

static void commands_on_due(void *arg) {
    struct commands *commands = arg;
    if (commands->options.owner->is_listed(commands->options.arg))
        commands_apply(commands);
    else
        commands_erase(commands);
}

bool commands_stuck(const struct commands *commands) {
    const struct commands_options *o = &commands->options;
    const struct pending_command *c;
    if (!commands->running || commands->question || commands->due.slot || o->owner->tests(o->arg))
        return false;
    DL_FOREACH(commands->list, c) {
        if (c->waits && !c->later)
            return commands_may_write(commands);
    }
    return false;
}

/* --- life */

void commands_init(struct commands *commands, const struct commands_options *options) {
    *commands = (struct commands){.options = *options, .applied = -1, .letters_end_of = -1};
    loop_timer_init(&commands->due, commands_on_due, commands);
}

void commands_begin(struct commands *commands) { commands->running = true; }

void commands_stop(struct commands *commands) {
    commands->running = false;
    commands_cancel(commands);
    loop_timer_clear(commands->options.loop, &commands->due);
}

void commands_fini(struct commands *commands) {
    commands_stop(commands);
    while (commands->list)
        commands_drop(commands, commands->list);
    free(commands->outcomes);
}
