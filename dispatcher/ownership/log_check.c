/* Whether the log is unchanged; see log_check.h. Questions are collected for one turn of the
 * loop, so that in the good case one read of the log judges the tokens of a whole partition. */
#include "dispatcher/ownership/log_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/base/loop.h"
#include "common/feed/feed.h"
#include "common/kafka/config.h"
#include "common/kafka/offsets.h"
#include "common/model/token.h"

enum { LOOK_MS = 20, END_AGAIN_MS = 500 };

struct log_check {
    struct log_check_options options;
    struct log_bounds bounds;
    struct log_proof **asked; /* whose verdict is LOG_ASKED */
    size_t count, cap;
    struct log_proof *relied; /* of running lanes */
    struct feed_reader reader;
    struct offsets_question *question; /* about where the log ends; under way */
    int64_t end; /* the highest cursor known to be in the log; the tail may lag behind */
    struct loop_timer turn;
};

/* --- reading the log */

static int log_check_by_cursor(const void *a, const void *b) {
    int64_t x = (*(struct log_proof *const *)a)->place.cursor,
            y = (*(struct log_proof *const *)b)->place.cursor;
    return x < y ? -1 : x > y;
}

/* The place to read next; NULL: no place tells more. */
static struct log_place *log_check_next_place(struct log_check *c) {
    struct log_place *places = mem_alloc(c->count * sizeof *places);
    qsort(c->asked, c->count, sizeof *c->asked, log_check_by_cursor);
    for (size_t i = 0; i < c->count; i++)
        places[i] = c->asked[i]->place;
    size_t next = log_bounds_next(&c->bounds, places, c->count);
    free(places);
    return next < c->count ? &c->asked[next]->place : NULL;
}

/* Compares the record at a place. False: the record cannot be read yet. */
static bool log_check_look_at(struct log_check *c, struct log_place *place) {
    struct feed *feed = c->options.feed;
    struct feed_event event;
    struct feed_passed passed;
    if (place->cursor > feed_end(feed)) {
        loop_timer_set(c->options.loop, &c->turn, clock_ms() + LOOK_MS);
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

static void log_check_on_log_end(void *arg, const struct offsets_answer *answer,
                                 const struct error *err) {
    struct log_check *c = arg;
    (void)err;
    c->question = NULL;
    if (answer && answer->end > 0 && answer->end - 1 > c->end)
        c->end = answer->end - 1;
    for (size_t i = 0; answer && i < c->count; i++)
        if (c->asked[i]->position > c->end)
            log_bounds_ends(&c->bounds, c->end + 1);
    loop_timer_set(c->options.loop, &c->turn, clock_ms() + (answer ? 0 : END_AGAIN_MS));
}

/* A token may be ahead of this process's tail; only the leader knows whether the token is beyond
 * the end. False: not known yet. */
static bool log_check_ends_known(struct log_check *c) {
    int64_t highest = 0;
    if (feed_end(c->options.feed) > c->end)
        c->end = feed_end(c->options.feed);
    for (size_t i = 0; i < c->count; i++)
        if (c->asked[i]->position > highest)
            highest = c->asked[i]->position;
    if (highest <= c->end || c->bounds.other <= c->end + 1)
        return true;
    if (!c->question)
        c->question = offsets_ask(c->options.offsets, c->options.topic, 0, NULL, 0,
                                  log_check_on_log_end, c);
    return false;
}

/* --- questions */

/* Proof against the log may arrive after lanes have started in good faith: lanes of another
 * partition, positioned above the differing place, with their own newest event below. */
static void log_check_judge_again(struct log_check *c) {
    struct log_proof *proof, *next;
    DL_FOREACH_SAFE(c->relied, proof, next) {
        if (!log_bounds_hold(&c->bounds, proof->position))
            proof->refuted(proof->arg);
    }
}

static void log_check_decide(struct log_check *c) {
    struct log_proof **asked = c->asked;
    size_t count = c->count;
    c->asked = NULL;
    c->count = c->cap = 0;
    for (size_t i = 0; i < count; i++)
        asked[i]->verdict = log_bounds_hold(&c->bounds, asked[i]->position) ? LOG_SAME
                                                                            : LOG_WENT_BACK;
    for (size_t i = 0; i < count; i++)
        asked[i]->judged(asked[i]->arg);
    free(asked);
    log_check_judge_again(c);
}

static void log_check_go_on(void *arg) {
    struct log_check *c = arg;
    struct log_place *place;
    if (c->count == 0 || !log_check_ends_known(c))
        return;
    while ((place = log_check_next_place(c)))
        if (!log_check_look_at(c, place))
            return;
    log_check_decide(c);
}

static void log_check_add(struct log_proof *proof, const struct token *token) {
    struct log_check *c = proof->check;
    if (c->count == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 64;
        c->asked = mem_resize(c->asked, c->cap * sizeof *c->asked);
    }
    c->asked[c->count++] = proof;
    proof->position = token->position;
    proof->place = (struct log_place){.cursor = token->last, .id_hash = token->last_id_hash};
    loop_timer_set(c->options.loop, &c->turn, clock_ms());
}

/* Gives the answers that need no read of the log. */
static enum log_verdict log_check_judge(const struct log_check *c, const char *registration_id,
                                        const struct token *token) {
    if (strcmp(token->registration_id, registration_id) != 0)
        return LOG_SAME; /* the token is void */
    if (strcmp(token->feed, c->options.feed_id) != 0)
        return LOG_WENT_BACK;
    bool in_doubt = (token->last_id_hash && token->last > c->bounds.same) ||
                    token->position > feed_end(c->options.feed) ||
                    !log_bounds_hold(&c->bounds, token->position);
    return in_doubt ? LOG_ASKED : LOG_SAME;
}

void log_proof_init(struct log_proof *proof, struct log_check *check, void (*judged)(void *arg),
                    void (*refuted)(void *arg), void *arg) {
    *proof = (struct log_proof){.check = check, .judged = judged, .refuted = refuted, .arg = arg};
}

bool log_proof_ask(struct log_proof *proof, const char *registration_id, struct span text) {
    struct token token;
    struct error err;
    bool newer;
    if (proof->verdict != LOG_UNKNOWN)
        return proof->verdict != LOG_ASKED;
    proof->verdict = LOG_SAME;
    if (!text.data || token_from_json(&token, text, &newer, &err))
        return true;
    proof->verdict = log_check_judge(proof->check, registration_id, &token);
    if (proof->verdict == LOG_ASKED)
        log_check_add(proof, &token);
    token_fini(&token);
    return proof->verdict != LOG_ASKED;
}

void log_proof_rely(struct log_proof *proof, int64_t position) {
    proof->verdict = LOG_UNKNOWN; /* for the next token */
    proof->position = position;
    proof->relied = position > 0;
    if (proof->relied)
        DL_APPEND(proof->check->relied, proof);
}

void log_proof_forget(struct log_proof *proof) {
    struct log_check *c = proof->check;
    for (size_t i = 0; proof->verdict == LOG_ASKED && i < c->count; i++) {
        if (c->asked[i] != proof)
            continue;
        c->asked[i] = c->asked[--c->count];
        break;
    }
    if (proof->relied)
        DL_DELETE(c->relied, proof);
    proof->relied = false;
    proof->verdict = LOG_UNKNOWN;
}

/* Drops replays of the other log's events. Redrives stay, since dead letters do. */
static void log_check_drop_replays(struct token *token) {
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
    bool other_feed = strcmp(token->feed, c->options.feed_id) != 0;
    int64_t was = token->position;
    token->position = token->last = other_feed ? 0 : c->bounds.same;
    token->last_id_hash = other_feed ? 0 : c->bounds.same_id_hash;
    token->rewinds++;
    token->compacted = false;
    token->settled_count = 0;
    log_check_drop_replays(token);
    token->state = TOKEN_DISABLED;
    snprintf(token->feed, sizeof token->feed, "%s", c->options.feed_id);
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

struct log_check *log_check_new(const struct log_check_options *options) {
    struct log_check *c = mem_zero(sizeof *c);
    c->options = *options;
    log_bounds_init(&c->bounds);
    feed_reader_init(&c->reader, NULL, log_check_go_on, c);
    loop_timer_init(&c->turn, log_check_go_on, c);
    return c;
}

void log_check_free(struct log_check *c) {
    if (!c)
        return;
    offsets_drop(c->question);
    loop_timer_clear(c->options.loop, &c->turn);
    feed_reader_fini(&c->reader);
    free(c->asked);
    free(c);
}
