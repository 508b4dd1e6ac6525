/* Writes replay tokens; see progress.h. A token that could not be written is written again later: it is only ever newer. */
#include "dispatcher/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "dispatcher/dispatcher.h"
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
    memset(token, 0, sizeof *token);
    lane_to_token(&s->lane, clock_ms(), clock_wall_ms(), token);
    if (s->lane.state == LANE_WAITING && feed_end(d->feed) > token->position)
        token->position = feed_end(d->feed); /* what it wants would have woken it */
    memcpy(token->born, s->record.born, sizeof token->born);
    memcpy(token->feed, d->genesis.feed, sizeof token->feed);
    token->generation = s->generation;
    token->epoch = -1;
}

static void on_reported(struct append *append, const struct producer_report *report) {
    struct token_append *a = (struct token_append *)append;
    struct subscriber *s = report->fate == PRODUCER_WRITTEN ? NULL : subscribers_find(a->dispatcher->subscribers, a->id);
    if (s && s->running)
        loop_timer_set(s->dispatcher->loop, &s->token_due, clock_ms() + AGAIN_MS);
    free(a);
}

void progress_write(struct subscriber *s) {
    struct dispatcher *d = s->dispatcher;
    struct token token;
    struct buf value = {0};
    struct error err;
    struct token_append *a = mem_zero(sizeof *a);
    *a = (struct token_append){.append.reported = on_reported, .dispatcher = d};
    memcpy(a->id, s->id, sizeof a->id);
    progress_token(s, &token);
    token_to_json(&token, &value);
    const struct producer_record record = {.topic = d->tokens_topic,
                                           .partition = kafka_partition_of(s->id, SUBSCRIBER_PARTITIONS),
                                           .key = span_of(s->id),
                                           .value = {value.data, value.len}};
    int result = producer_send(d->producer, &record, &a->append, &err);
    s->token_state = token.state;
    loop_timer_set(d->loop, &s->token_due, clock_ms() + (result ? AGAIN_MS : PASSING_MS / 2 + (int64_t)(dispatcher_random(d) % (PASSING_MS / 2))));
    if (result)
        free(a);
    buf_fini(&value);
}

static void on_due(void *arg) { progress_write(arg); }

void progress_begin(struct subscriber *s) {
    s->token_state = lane_token_state(&s->lane);
    loop_timer_init(&s->token_due, on_due, s);
    loop_timer_set(s->dispatcher->loop, &s->token_due, clock_ms() + WITHIN_MS);
}

void progress_made(struct subscriber *s) {
    int64_t soon = clock_ms() + WITHIN_MS;
    if (lane_token_state(&s->lane) != s->token_state)
        progress_write(s);
    else if (s->token_due.slot == 0 || s->token_due.at_ms > soon)
        loop_timer_set(s->dispatcher->loop, &s->token_due, soon);
}
