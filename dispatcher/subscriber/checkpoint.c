/* Checkpoints; see checkpoint.h. After a failure a later token is written instead: each token
 * replaces all earlier ones. */
#include "dispatcher/subscriber/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/base/utf8.h"
#include "common/kafka/producer.h"
#include "dispatcher/ownership/partitions.h"

enum { PASSING_MS = 10 * 60 * 1000, AGAIN_MS = 1000, FAILURE_LOG_PERIOD_MS = 10000 };

struct token_append {
    struct append append;
    struct checkpoints *all;
    struct checkpoint *checkpoint; /* NULL: the checkpoint is gone */
    int64_t number, sent_ms;       /* number 0: a tombstone */
    struct token_append *prev, *next;
};

/* --- the valid token */

static void checkpoint_set(struct checkpoint *c, struct span text) {
    free(c->text);
    c->in_log = c->erased = false;
    c->text = text.data ? mem_copy_string(text.data, text.len) : NULL;
    c->bytes = text.len;
}

void checkpoint_drop(struct checkpoint *c) { checkpoint_set(c, (struct span){NULL, 0}); }

struct span checkpoint_text(const struct checkpoint *c) { return (struct span){c->text, c->bytes}; }

bool checkpoint_read(struct checkpoint *c, struct span text, const struct token *token) {
    if (!partitions_token_read(c->all->partitions, c->partition, token, &c->choice))
        return false;
    checkpoint_set(c, text);
    c->in_log = c->choice.kept == CHOICE_VALID;
    return true;
}

/* A tombstone has no epoch, so it must not erase what a later registration has settled: the
 * token's registration id decides. */
void checkpoint_erased(struct checkpoint *c) {
    c->in_log = false;
    c->erased = true;
    c->choice.rewrite = c->running;
}

bool checkpoint_is_anothers(const struct checkpoint *c) {
    return c->choice.kept == CHOICE_VALID && c->choice.epoch > c->epoch;
}

/* --- failed writes */

bool checkpoint_held(const struct checkpoint *c) {
    return checkpoint_pace_unwritten_ms(&c->pace, clock_ms()) >= c->all->hold_after_ms;
}

int64_t checkpoints_held(const struct checkpoints *all) {
    int64_t count = 0;
    const struct checkpoint *c;
    DL_FOREACH(all->running, c) {
        count += checkpoint_held(c);
    }
    return count;
}

int64_t checkpoints_unwritten_ms(const struct checkpoints *all) {
    int64_t oldest_ms = 0, now_ms = clock_ms();
    const struct checkpoint *c;
    DL_FOREACH(all->running, c) {
        int64_t unwritten_ms = checkpoint_pace_unwritten_ms(&c->pace, now_ms);
        oldest_ms = unwritten_ms > oldest_ms ? unwritten_ms : oldest_ms;
    }
    return oldest_ms;
}

static void checkpoint_note_failure(struct checkpoint *c, const char *reason) {
    struct checkpoints *all = c->all;
    int64_t held_back, now_ms = clock_ms();
    c->failing = true;
    snprintf(all->reason, sizeof all->reason, "%.*s",
             (int)utf8_fit(reason, strlen(reason), sizeof all->reason - 1), reason);
    if (!log_limit_pass(&all->limit, now_ms, FAILURE_LOG_PERIOD_MS, &held_back))
        return;
    log_warn("token_not_written", LOG_S("subscriber", c->subscriber), LOG_S("topic", all->topic),
             LOG_S("reason", reason),
             LOG_N("unwritten_ms", checkpoint_pace_unwritten_ms(&c->pace, now_ms)),
             LOG_N("held", checkpoints_held(all)), LOG_N("held_back", held_back),
             LOG_S("advice", "see that this service may write the topic, that max.message.bytes "
                             "takes a token, and that brokers have "
                             "disk space and replicas in sync"));
}

static void checkpoint_note_success(struct checkpoint *c, bool was_held) {
    if (c->failing)
        log_info("token_written_again", LOG_S("subscriber", c->subscriber));
    c->failing = false;
    if (was_held && !checkpoint_held(c))
        c->owner->released(c->arg);
}

/* --- writing */

static void checkpoint_set_due(struct checkpoint *c, int64_t wait_ms) {
    loop_timer_set(c->all->loop, &c->due, clock_ms() + wait_ms);
}

static void checkpoint_take_report(struct checkpoint *c, const struct token_append *a,
                                   const struct producer_report *report) {
    bool written = report->fate == PRODUCER_WRITTEN, was_held = checkpoint_held(c);
    checkpoint_pace_reported(&c->pace, a->number, a->sent_ms, written);
    if (written) {
        checkpoint_note_success(c, was_held);
    } else {
        checkpoint_note_failure(c, report->reason);
        checkpoint_set_due(c, AGAIN_MS);
    }
}

static void checkpoint_on_reported(struct append *append, const struct producer_report *report) {
    struct token_append *a = (struct token_append *)append;
    struct checkpoint *c = a->checkpoint;
    a->all->pending--;
    if (c)
        DL_DELETE(c->appends, a);
    if (c && c->running)
        checkpoint_take_report(c, a, report);
    else if (c && report->fate != PRODUCER_WRITTEN)
        c->choice.rewrite = true;
    free(a);
}

static int checkpoint_append_value(struct checkpoint *c, struct span value, int64_t number,
                                   struct error *err) {
    struct token_append *a = mem_zero(sizeof *a);
    *a = (struct token_append){.append.reported = checkpoint_on_reported,
                               .all = c->all,
                               .checkpoint = c,
                               .number = number,
                               .sent_ms = clock_ms()};
    const struct producer_record record = {.topic = c->all->topic,
                                           .partition = c->partition,
                                           .key = span_of(c->subscriber),
                                           .value = value};
    if (producer_send(c->all->producer, &record, &a->append, err)) {
        free(a);
        return -1;
    }
    DL_APPEND(c->appends, a);
    c->all->pending++;
    return 0;
}

static int checkpoint_append_token(struct checkpoint *c, struct token *token, struct error *err) {
    struct buf value = {0};
    token->number = partitions_next_number(c->all->partitions);
    token_to_json(token, &value);
    int result = checkpoint_append_value(c, (struct span){value.data, value.len}, token->number,
                                         err);
    buf_fini(&value);
    return result;
}

void checkpoint_erase(struct checkpoint *c) {
    struct error err;
    checkpoint_append_value(c, (struct span){NULL, 0}, 0, &err);
}

static void checkpoint_fill(struct checkpoint *c, struct token *token) {
    *token = (struct token){.written_ms = clock_wall_ms()};
    c->owner->fill(c->arg, token);
    token->epoch = partitions_epoch(c->all->partitions, c->partition);
}

/* Spreads the writes of lanes that started together. */
static void checkpoint_set_due_for_passing(struct checkpoint *c) {
    checkpoint_set_due(c,
                       PASSING_MS / 2 + (int64_t)(random_next(c->all->random) % (PASSING_MS / 2)));
}

static int checkpoint_write_now(struct checkpoint *c, struct token *token) {
    struct error err;
    if (!partitions_may_write(c->all->partitions, c->partition))
        return -1;
    if (checkpoint_append_token(c, token, &err)) {
        checkpoint_note_failure(c, err.message);
        return -1;
    }
    c->choice.rewrite = false;
    c->epoch = token->epoch;
    c->state = token->state;
    c->position = token->position;
    checkpoint_pace_sent(&c->pace, token->number, clock_ms());
    return 0;
}

/* Tries again later if the token cannot be written now. */
static void checkpoint_write(struct checkpoint *c) {
    struct token token;
    checkpoint_fill(c, &token);
    if (checkpoint_write_now(c, &token) == 0)
        checkpoint_set_due_for_passing(c);
    else
        checkpoint_set_due(c, AGAIN_MS);
    token_fini(&token);
}

static void checkpoint_on_due(void *arg) { checkpoint_write(arg); }

static bool checkpoint_due_soon(const struct checkpoint *c) {
    return c->due.slot && c->due.at_ms <= clock_ms() + AGAIN_MS;
}

void checkpoint_hand_over(struct checkpoint *c) {
    struct token token;
    checkpoint_fill(c, &token);
    if (checkpoint_due_soon(c) || token.position != c->position || token.state != c->state)
        checkpoint_write(c);
    token_fini(&token);
}

void checkpoint_rewrite(struct checkpoint *c) {
    struct token token;
    struct error err;
    bool newer;
    if (c->running) {
        checkpoint_write(c);
    } else if (c->text && !c->erased &&
               token_from_json(&token, checkpoint_text(c), &newer, &err) == 0) {
        token.epoch = partitions_epoch(c->all->partitions, c->partition);
        c->choice.rewrite = checkpoint_append_token(c, &token, &err) != 0;
        token_fini(&token);
    }
}

void checkpoint_rewrite_if_due(struct checkpoint *c) {
    if (c->choice.rewrite && partitions_may_write(c->all->partitions, c->partition))
        checkpoint_rewrite(c);
}

/* Any token of this process not yet read back is older than the kept token. */
void checkpoint_keep(struct checkpoint *c) {
    struct token token;
    struct buf text = {0};
    checkpoint_write(c);
    checkpoint_fill(c, &token);
    token_to_json(&token, &text);
    checkpoint_set(c, (struct span){text.data, text.len});
    c->choice.kept = CHOICE_VALID;
    c->choice.epoch = token.epoch;
    c->choice.number = partitions_newest_number(c->all->partitions);
    token_fini(&token);
    buf_fini(&text);
}

/* Writes at once, or when `due_ms` comes. */
static void checkpoint_write_by(struct checkpoint *c, int64_t due_ms) {
    if (due_ms <= clock_ms())
        checkpoint_write(c);
    else if (c->due.slot == 0 || c->due.at_ms > due_ms)
        loop_timer_set(c->all->loop, &c->due, due_ms);
}

void checkpoint_soon(struct checkpoint *c) {
    checkpoint_write_by(c, checkpoint_pace_changed(&c->pace, false, clock_ms()));
}

void checkpoint_urgent(struct checkpoint *c) {
    checkpoint_write_by(c, checkpoint_pace_changed(&c->pace, true, clock_ms()));
}

void checkpoint_moved(struct checkpoint *c, enum token_state state) {
    if (state != c->state)
        checkpoint_urgent(c);
    else
        checkpoint_soon(c);
}

/* --- life */

void checkpoint_init(struct checkpoint *c, struct checkpoints *all, const char *subscriber,
                     int32_t partition, const struct checkpoint_owner *owner, void *arg) {
    *c = (struct checkpoint){
        .all = all, .subscriber = subscriber, .partition = partition, .owner = owner, .arg = arg};
    loop_timer_init(&c->due, checkpoint_on_due, c);
}

void checkpoint_begin(struct checkpoint *c, enum token_state state, int64_t position,
                      bool written) {
    c->running = true;
    DL_APPEND(c->all->running, c);
    c->epoch = partitions_epoch(c->all->partitions, c->partition);
    c->pace = (struct checkpoint_pace){.sent_ms = c->pace.sent_ms};
    c->state = state;
    c->position = position;
    c->failing = false;
    if (written && c->in_log)
        checkpoint_set_due_for_passing(c);
    else
        checkpoint_soon(c);
}

void checkpoint_end(struct checkpoint *c) {
    if (c->running)
        DL_DELETE(c->all->running, c);
    c->running = false;
    loop_timer_clear(c->all->loop, &c->due);
}

void checkpoint_fini(struct checkpoint *c) {
    struct token_append *a, *next;
    checkpoint_end(c);
    DL_FOREACH_SAFE(c->appends, a, next) {
        DL_DELETE(c->appends, a);
        a->checkpoint = NULL;
    }
    free(c->text);
}
