/* Whether the log is still the same; see log_check.h. Those who ask are collected for a turn of the
 * loop, so that the tokens of a whole partition are judged by one look at the log when all is well.
 */
#include "dispatcher/ownership/log_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/feed/feed.h"
#include "common/kafka/times.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/ownership/log_bounds.h"
#include "dispatcher/subscriber/subscriber.h"
#include "dispatcher/subscriber/subscribers.h"

enum { LOOK_MS = 20, END_AGAIN_MS = 500 };

/* One who asked. Its place and it stand under the same number. */
struct asker {
    struct subscriber *subscriber;
    enum log_level level;
    int64_t position;
    struct log_place place;
};

/* Where the log ends, as its leader knows it. */
struct end_query {
    struct log_check *check; /* NULL: nobody wants to know any more */
    const struct kafka_config *kafka;
    char topic[KAFKA_TOPIC_BYTES];
    int64_t end; /* -1: not known */
};

struct log_check {
    struct dispatcher *dispatcher;
    struct log_bounds bounds;
    struct asker *askers;
    size_t count, cap;
    struct feed_reader reader;
    struct end_query *query; /* under way */
    int64_t end; /* the highest cursor that the log is known to have; the tail may be behind it */
    struct loop_timer turn;
};

/* --- what the log says */

static bool wants(void *arg, struct span topic) {
    (void)arg, (void)topic;
    return true;
}

static int by_cursor(const void *a, const void *b) {
    int64_t x = ((const struct asker *)a)->place.cursor,
            y = ((const struct asker *)b)->place.cursor;
    return x < y ? -1 : x > y;
}

/* The asker whose place is to be looked at next; NULL: no place tells more. */
static struct asker *next_place(struct log_check *c) {
    struct log_place *places = mem_alloc(c->count * sizeof *places);
    qsort(c->askers, c->count, sizeof *c->askers, by_cursor);
    for (size_t i = 0; i < c->count; i++)
        places[i] = c->askers[i].place;
    size_t next = log_bounds_next(&c->bounds, places, c->count);
    free(places);
    return next < c->count ? &c->askers[next] : NULL;
}

/* Compares the record at a place. False: it is not there to be read yet. */
static bool look_at(struct log_check *c, struct log_place *place) {
    struct feed *feed = c->dispatcher->feed;
    struct feed_event event;
    struct feed_passed passed;
    if (place->cursor > feed_end(feed)) {
        loop_timer_set(c->dispatcher->loop, &c->turn, clock_ms() + LOOK_MS);
        return false;
    }
    enum feed_result result = feed_next(feed, &c->reader, place->cursor - 1, &event, &passed);
    if (result == FEED_LATER)
        return false;
    place->gone = (result != FEED_EVENT && result != FEED_NEWER) || event.cursor != place->cursor;
    if (!place->gone)
        log_bounds_found(&c->bounds, place, token_id_hash(event.id) == place->id_hash);
    return true;
}

static void ask_work(void *arg) {
    struct end_query *q = arg;
    struct error err;
    if (kafka_end_of(q->kafka, q->topic, 0, &q->end, &err))
        q->end = -1;
}

static void ask_done(void *arg) {
    struct end_query *q = arg;
    struct log_check *c = q->check;
    if (c) {
        c->query = NULL;
        if (q->end > 0 && q->end - 1 > c->end)
            c->end = q->end - 1;
        for (size_t i = 0; q->end >= 0 && i < c->count; i++)
            if (c->askers[i].position > c->end)
                log_bounds_ends(&c->bounds, c->end + 1);
        loop_timer_set(c->dispatcher->loop, &c->turn, clock_ms() + (q->end < 0 ? END_AGAIN_MS : 0));
    }
    free(q);
}

/* A token may be ahead of this process's tail; only the leader knows whether it is beyond the end.
 * False: not known yet. */
static bool ends_known(struct log_check *c) {
    int64_t highest = 0;
    if (feed_end(c->dispatcher->feed) > c->end)
        c->end = feed_end(c->dispatcher->feed);
    for (size_t i = 0; i < c->count; i++)
        if (c->askers[i].position > highest)
            highest = c->askers[i].position;
    if (highest <= c->end || c->bounds.other <= c->end + 1)
        return true;
    if (c->query)
        return false;
    c->query = mem_zero(sizeof *c->query);
    *c->query = (struct end_query){.check = c, .kafka = &c->dispatcher->settings.kafka, .end = -1};
    kafka_topic_name(&c->dispatcher->settings.kafka, "events", c->query->topic);
    loop_task(c->dispatcher->loop, ask_work, ask_done, c->query);
    return false;
}

/* --- who asks */

/* What speaks against the log may come after lanes were started that nothing spoke against: those
 * of another partition, that stand above the place but whose own newest event is below. */
static void judge_again(struct log_check *c) {
    for (struct subscriber *s = subscribers_first(c->dispatcher->subscribers); s; s = s->hh.next) {
        if (!s->running || log_bounds_hold(&c->bounds, s->checked_position))
            continue;
        subscriber_stop(s, true);
        s->log_verdict = LOG_WENT_BACK;
        subscriber_apply(s, LOG_LEVEL_INFO);
    }
}

static void decide(struct log_check *c) {
    struct asker *askers = c->askers;
    size_t count = c->count;
    c->askers = NULL;
    c->count = c->cap = 0;
    for (size_t i = 0; i < count; i++)
        askers[i].subscriber->log_verdict = log_bounds_hold(&c->bounds, askers[i].position)
                                                ? LOG_SAME
                                                : LOG_WENT_BACK;
    for (size_t i = 0; i < count; i++)
        subscriber_apply(askers[i].subscriber, askers[i].level);
    free(askers);
    judge_again(c);
}

static void go_on(void *arg) {
    struct log_check *c = arg;
    struct asker *asker;
    if (c->count == 0 || !ends_known(c))
        return;
    while ((asker = next_place(c)))
        if (!look_at(c, &asker->place))
            return;
    decide(c);
}

static void ask(struct log_check *c, struct subscriber *s, enum log_level level,
                const struct token *token) {
    if (c->count == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 64;
        c->askers = mem_resize(c->askers, c->cap * sizeof *c->askers);
    }
    c->askers[c->count++] = (struct asker){
        .subscriber = s,
        .level = level,
        .position = token->position,
        .place = {.cursor = token->last, .id_hash = token->last_id_hash}};
    s->log_verdict = LOG_ASKED;
    loop_timer_set(c->dispatcher->loop, &c->turn, clock_ms());
}

/* Answers what can be answered without a look at the log. */
static enum log_verdict judge(const struct log_check *c, const struct subscriber *s,
                              const struct token *token) {
    if (strcmp(token->born, s->record.born) != 0)
        return LOG_SAME; /* it is void */
    if (strcmp(token->feed, c->dispatcher->genesis.feed) != 0)
        return LOG_WENT_BACK;
    bool in_doubt = (token->last_id_hash && token->last > c->bounds.same) ||
                    token->position > feed_end(c->dispatcher->feed) ||
                    !log_bounds_hold(&c->bounds, token->position);
    return in_doubt ? LOG_ASKED : LOG_SAME;
}

bool log_check_passed(struct log_check *c, struct subscriber *s, enum log_level level) {
    struct token token;
    struct error err;
    bool newer;
    if (s->log_verdict != LOG_UNKNOWN)
        return s->log_verdict != LOG_ASKED;
    s->log_verdict = LOG_SAME;
    if (!s->token || token_from_json(&token, (struct span){s->token, s->token_bytes}, &newer, &err))
        return true;
    s->log_verdict = judge(c, s, &token);
    if (s->log_verdict == LOG_ASKED)
        ask(c, s, level, &token);
    token_fini(&token);
    return s->log_verdict != LOG_ASKED;
}

void log_check_forget(struct log_check *c, struct subscriber *s) {
    if (!c || s->log_verdict != LOG_ASKED)
        return;
    for (size_t i = 0; i < c->count; i++) {
        if (c->askers[i].subscriber != s)
            continue;
        c->askers[i] = c->askers[--c->count];
        break;
    }
    s->log_verdict = LOG_UNKNOWN;
}

/* Replays of the other log's events; redrives are of dead letters, which stay. */
static void drop_replays(struct token *token) {
    int64_t kept = 0;
    for (int64_t i = 0; i < token->jobs_count; i++) {
        if (token->jobs[i].redrive)
            token->jobs[kept++] = token->jobs[i];
        else
            token_job_fini(&token->jobs[i]);
    }
    token->jobs_count = kept;
}

void log_check_amend(const struct log_check *c, struct token *token) {
    bool other_feed = strcmp(token->feed, c->dispatcher->genesis.feed) != 0;
    int64_t was = token->position;
    token->position = token->last = other_feed ? 0 : c->bounds.same;
    token->last_id_hash = other_feed ? 0 : c->bounds.same_id_hash;
    token->compacted = false;
    token->settled_count = 0;
    drop_replays(token);
    token->state = TOKEN_DISABLED;
    memcpy(token->feed, c->dispatcher->genesis.feed, sizeof token->feed);
    if (other_feed)
        snprintf(token->reason, sizeof token->reason,
                 "log went back: it stood at cursor %" PRId64
                 " of another feed; rewind it, or resume it from the beginning",
                 was);
    else
        snprintf(token->reason, sizeof token->reason,
                 "log went back: it stood at cursor %" PRId64
                 ", but the log is known to be the same up to %" PRId64
                 " only; rewind it, or resume it from there",
                 was, token->position);
}

/* --- life */

struct log_check *log_check_new(struct dispatcher *d) {
    struct log_check *c = mem_zero(sizeof *c);
    c->dispatcher = d;
    log_bounds_init(&c->bounds);
    feed_reader_init(&c->reader, wants, go_on, c);
    loop_timer_init(&c->turn, go_on, c);
    return c;
}

void log_check_free(struct log_check *c) {
    if (!c)
        return;
    if (c->query)
        c->query->check = NULL;
    loop_timer_clear(c->dispatcher->loop, &c->turn);
    feed_reader_fini(&c->reader);
    free(c->askers);
    free(c);
}
