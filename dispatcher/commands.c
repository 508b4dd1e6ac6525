/* Commands; see commands.h. One at a time: those that must wait for something hold up the ones behind them. */
#include "dispatcher/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/kafka/times.h"
#include "common/model/command.h"
#include "dispatcher/dead_letter.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/job.h"
#include "dispatcher/partitions.h"
#include "dispatcher/progress.h"
#include "dispatcher/subscriber.h"
#include "dispatcher/subscribers.h"
#include "dispatcher/test_delivery.h"

enum { AGAIN_MS = 1000 };

struct pending_command {
    int64_t offset;
    struct buf key, value;
    bool going; /* its tombstone is on its way */
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
};

static void on_removed(struct append *append, const struct producer_report *report) {
    (void)report; /* one that stays is void for its offset, and goes with the next token that is read */
    free(append);
}

static void remove_record(struct subscriber *s, struct pending_command *c) {
    struct dispatcher *d = s->dispatcher;
    struct error err;
    struct removal *removal = mem_zero(sizeof *removal);
    removal->append.reported = on_removed;
    const struct producer_record record = {.topic = d->subscribers_topic, .partition = s->partition, .key = {c->key.data, c->key.len}};
    c->going = producer_send(d->producer, &record, &removal->append, &err) == 0;
    if (!c->going)
        free(removal);
}

void commands_settled(struct subscriber *s, int64_t applied) {
    struct pending_command *c;
    DL_FOREACH(s->commands, c) {
        if (c->offset <= applied && !c->going && partitions_may_write(s->dispatcher->partitions, s->partition))
            remove_record(s, c);
    }
}

/* --- applying them */

static void rewind_to(struct subscriber *s, int64_t cursor) {
    sender_cancel(&s->live);
    dead_letters_forget(&s->live);
    lane_rewind(&s->live.lane, cursor);
    subscriber_resume(s);
    log_info("rewound", LOG_S("subscriber", s->id), LOG_N("cursor", cursor));
}

/* What is asked of Kafka for a redrive: where the dead letters end at this moment. */
struct lookup {
    struct dispatcher *dispatcher;
    char id[SPEC_ID_BYTES_MAX + 1];
    int64_t offset; /* of the command */
    int64_t end;
    int result;
    struct error err;
};

static void lookup_work(void *arg) {
    struct lookup *l = arg;
    l->result = kafka_end_of(&l->dispatcher->settings.kafka, l->dispatcher->dlq_topic, kafka_partition_of(l->id, DEAD_LETTER_PARTITIONS),
                             &l->end, &l->err);
}

static void lookup_done(void *arg) {
    struct lookup *l = arg;
    struct subscriber *s = subscribers_find(l->dispatcher->subscribers, l->id);
    if (s && s->looking_up == l->offset) {
        s->looking_up = -1;
        s->letters_end = l->end - 1;
        s->letters_end_of = l->result ? -1 : l->offset;
        loop_timer_set(l->dispatcher->loop, &s->commands_due, clock_ms() + (l->result ? AGAIN_MS : 0));
    }
    free(l);
}

static void look_up_end(struct subscriber *s, int64_t offset) {
    struct lookup *l = mem_zero(sizeof *l);
    *l = (struct lookup){.dispatcher = s->dispatcher, .offset = offset};
    memcpy(l->id, s->id, sizeof l->id);
    s->looking_up = offset;
    loop_task(s->dispatcher->loop, lookup_work, lookup_done, l);
}

enum applied { APPLIED, WAITS };

static enum applied add_job(struct subscriber *s, const struct token_job *job) { return job_add(s, job) == 0 ? APPLIED : WAITS; }

static enum applied redrive(struct subscriber *s, struct command *command, int64_t offset) {
    if (s->letters_end_of != offset) {
        if (s->looking_up != offset)
            look_up_end(s, offset);
        return WAITS;
    }
    int64_t from = command->cursors_count || s->redriven > s->letters_end ? -1 : s->redriven;
    struct token_job job = {.job = offset, .redrive = true, .from = from, .to = s->letters_end, .position = from, .last = from};
    if (job.to <= job.from)
        return APPLIED; /* there is nothing to redrive */
    if (s->jobs_count == TOKEN_JOBS_MAX)
        return WAITS;
    job.cursors = command->cursors;
    job.cursors_count = (int64_t)command->cursors_count;
    command->cursors = NULL; /* the job has them now */
    command->cursors_count = 0;
    return add_job(s, &job);
}

static enum applied apply(struct subscriber *s, struct command *command, int64_t offset) {
    struct token_job job = {
        .job = offset, .from = command->from, .to = command->to, .position = command->from, .last = command->from};
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
        job_end(s, command->job);
        return APPLIED;
    case COMMAND_TEST:
        return test_delivery(s, command, offset) ? APPLIED : WAITS;
    case COMMAND_KINDS:
        break;
    }
    return APPLIED;
}

static void note_applied(struct subscriber *s, int64_t offset) {
    s->applied = offset;
    if (offset > s->generation)
        s->generation = offset;
}

/* One that cannot be read stops its subscriber, and stays. */
static void refuse(struct subscriber *s, const struct pending_command *c, const struct error *err) {
    struct buf text = {0};
    char reason[TOKEN_REASON_BYTES];
    buf_printf(&text, "the command in %s, partition %d, offset %lld cannot be read: %s", s->dispatcher->subscribers_topic,
               (int)s->partition, (long long)c->offset, err->message);
    snprintf(reason, sizeof reason, "%.*s", (int)sizeof reason - 1, buf_string(&text));
    buf_fini(&text);
    if (s->live.lane.disabled && strcmp(s->live.lane.reason, reason) == 0)
        return;
    log_error("bad_record", LOG_S("topic", s->dispatcher->subscribers_topic), LOG_N("partition", s->partition), LOG_N("offset", c->offset),
              LOG_S("subscriber", s->id), LOG_S("reason", err->message));
    subscriber_disable(s, reason);
    progress_made(s);
}

/* Returns whether the next one may have its turn. */
static bool apply_one(struct subscriber *s, const struct pending_command *c) {
    struct command command;
    struct error err;
    bool newer;
    if (command_from_json(&command, (struct span){c->value.data, c->value.len}, &newer, &err)) {
        refuse(s, c, &err);
        return false;
    }
    bool own = strcmp(command.born, s->record.born) == 0;
    bool applied = !own || apply(s, &command, c->offset) == APPLIED;
    if (applied) {
        if (own)
            log_info("command_applied", LOG_S("subscriber", s->id), LOG_S("command", command_name(command.kind)),
                     LOG_N("generation", c->offset));
        note_applied(s, c->offset);
    }
    command_fini(&command);
    return applied;
}

void commands_apply(struct subscriber *s) {
    struct pending_command *c, *next;
    int64_t before = s->applied;
    if (!s->running || !partitions_may_write(s->dispatcher->partitions, s->partition))
        return;
    DL_FOREACH_SAFE(s->commands, c, next) {
        if (c->offset > s->applied && !apply_one(s, c))
            break;
    }
    if (s->applied == before)
        return;
    progress_write(s);
    sender_step(&s->live);
}

void commands_stop(struct subscriber *s) {
    test_delivery_cancel(s);
    s->looking_up = s->letters_end_of = -1;
}
