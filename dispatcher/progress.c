/* Writes replay tokens; see progress.h. A token that could not be written is written again later: it is only ever newer. */
#include "dispatcher/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "dispatcher/commands.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/job.h"
#include "dispatcher/partitions.h"
#include "dispatcher/subscriber.h"
#include "dispatcher/subscribers.h"

enum { WITHIN_MS = 900, PASSING_MS = 10 * 60 * 1000, AGAIN_MS = 1000 };

struct token_append {
    struct append append;
    struct dispatcher *dispatcher;
    char id[SPEC_ID_BYTES_MAX + 1];
};

void progress_token(const struct subscriber *s, struct token *token) {
    const struct dispatcher *d = s->dispatcher;
    *token = (struct token){.applied = s->applied, .generation = s->generation, .last_success_ms = s->last_success_ms};
    token->written_ms = clock_wall_ms();
    token->oldest_ms = subscriber_oldest_ms(s);
    lane_to_token(&s->live.lane, clock_ms(), clock_wall_ms(), token);
    if (token->waiting && feed_end(d->feed) > token->position)
        token->position = feed_end(d->feed); /* what it wants would have woken it */
    if (token->waiting && feed_trouble(d->feed))
        token->waiting = false; /* what stands in the log unread may be for it */
    if (sender_waits_for_newer(&s->live) && !token->reason[0])
        snprintf(token->reason, sizeof token->reason,
                 "a later version of ESS wrote the event at cursor %" PRId64 ": upgrade the dispatchers, or rewind past it",
                 sender_waits_for_newer(&s->live));
    jobs_to_token(s, token);
    commands_to_token(s, token);
    memcpy(token->born, s->record.born, sizeof token->born);
    memcpy(token->feed, d->genesis.feed, sizeof token->feed);
    token->epoch = partitions_epoch(d->partitions, s->partition);
}

static void on_reported(struct append *append, const struct producer_report *report) {
    struct token_append *a = (struct token_append *)append;
    struct subscriber *s = report->fate == PRODUCER_WRITTEN ? NULL : subscribers_find(a->dispatcher->subscribers, a->id);
    a->dispatcher->tokens_pending--;
    if (s && s->running)
        loop_timer_set(s->dispatcher->loop, &s->token_due, clock_ms() + AGAIN_MS);
    else if (s)
        s->choice.rewrite = true;
    free(a);
}

static int append_value(struct subscriber *s, struct span value) {
    struct dispatcher *d = s->dispatcher;
    struct error err;
    struct token_append *a = mem_zero(sizeof *a);
    *a = (struct token_append){.append.reported = on_reported, .dispatcher = d};
    memcpy(a->id, s->id, sizeof a->id);
    const struct producer_record record = {.topic = d->tokens_topic, .partition = s->partition, .key = span_of(s->id), .value = value};
    int result = producer_send(d->producer, &record, &a->append, &err);
    if (result)
        free(a);
    else
        d->tokens_pending++;
    return result;
}

static int append_token(struct subscriber *s, struct token *token) {
    struct buf value = {0};
    token->number = partitions_next_number(s->dispatcher->partitions);
    token_to_json(token, &value);
    int result = append_value(s, (struct span){value.data, value.len});
    buf_fini(&value);
    return result;
}

void progress_erase(struct subscriber *s) { append_value(s, (struct span){NULL, 0}); }

static void set_due(struct subscriber *s, int64_t wait_ms) { loop_timer_set(s->dispatcher->loop, &s->token_due, clock_ms() + wait_ms); }

/* Spread, so that lanes that started together don't write together. */
static void set_due_for_passing(struct subscriber *s) {
    set_due(s, PASSING_MS / 2 + (int64_t)(dispatcher_random(s->dispatcher) % (PASSING_MS / 2)));
}

void progress_write(struct subscriber *s) {
    struct token token;
    progress_token(s, &token);
    if (partitions_may_write(s->dispatcher->partitions, s->partition) && append_token(s, &token) == 0) {
        s->choice.rewrite = false;
        s->token_state = token.state;
        s->token_position = token.position;
        set_due_for_passing(s);
    } else {
        set_due(s, AGAIN_MS);
    }
    token_fini(&token);
}

static void on_due(void *arg) { progress_write(arg); }

static bool due_soon(const struct subscriber *s) { return s->token_due.slot && s->token_due.at_ms <= clock_ms() + AGAIN_MS; }

void progress_hand_over(struct subscriber *s) {
    struct token token;
    progress_token(s, &token);
    if (due_soon(s) || token.position != s->token_position || token.state != s->token_state)
        progress_write(s);
    token_fini(&token);
}

void progress_rewrite(struct subscriber *s) {
    struct token token;
    struct error err;
    bool newer;
    if (s->running) {
        progress_write(s);
    } else if (s->token && token_from_json(&token, (struct span){s->token, s->token_bytes}, &newer, &err) == 0) {
        token.epoch = partitions_epoch(s->dispatcher->partitions, s->partition);
        s->choice.rewrite = append_token(s, &token) != 0;
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

void progress_begin(struct subscriber *s, bool written) {
    s->token_state = lane_token_state(&s->live.lane);
    s->token_position = s->live.lane.position;
    loop_timer_init(&s->token_due, on_due, s);
    if (written)
        set_due_for_passing(s);
    else
        set_due(s, WITHIN_MS);
}

void progress_soon(struct subscriber *s) {
    if (s->token_due.slot == 0 || s->token_due.at_ms > clock_ms() + WITHIN_MS)
        set_due(s, WITHIN_MS);
}

void progress_made(struct subscriber *s) {
    if (lane_token_state(&s->live.lane) != s->token_state)
        progress_write(s);
    else
        progress_soon(s);
}
