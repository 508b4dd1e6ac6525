/* Batches of a lane; see lane_batch.h. */
#include "dispatcher/lane/lane_batch.h"

#include <assert.h>

enum { ENVELOPE_BYTES = 16, COMMA_BYTES = 1 };

/* --- the run */

/* By key, an entry that waits behind one of its key joins the run that has the earlier one. All
 * between the run's first entry and this one are in the run. */
static bool lane_batch_may_join(const struct lane_batch *b, const struct window_entry *e) {
    if (e->state == ENTRY_OPEN)
        return true;
    return e->state == ENTRY_BLOCKED && !e->fixed && b->first &&
           e->key_prev->cursor >= b->first->cursor;
}

static void lane_batch_add(struct lane_batch *b, const struct window_entry *e,
                           const struct batch_limits *limits) {
    if (b->closed || (!b->first && e->state != ENTRY_OPEN))
        return;
    b->closed = !lane_batch_may_join(b, e) ||
                (b->first && b->bytes + COMMA_BYTES + e->bytes > limits->max_bytes);
    if (b->closed)
        return;
    b->bytes += e->bytes + (b->first ? COMMA_BYTES : ENVELOPE_BYTES);
    b->first = b->first ? b->first : e;
    b->last = e->cursor;
    b->count++;
    b->closed = (int64_t)b->count >= limits->max_events;
}

void lane_batch_measure(struct lane_batch *b, const struct window *w,
                        const struct batch_limits *limits) {
    if (b->moves == w->moves)
        return;
    *b = (struct lane_batch){
        .since_cursor = b->since_cursor, .since_ms = b->since_ms, .moves = w->moves};
    for (size_t i = 0; i < w->count && !b->closed; i++)
        lane_batch_add(b, w->entries[i], limits);
}

void lane_batch_note_pushed(struct lane_batch *b, const struct window *w,
                            const struct window_entry *e, uint64_t moves,
                            const struct batch_limits *limits) {
    if (b->moves != moves)
        return;
    lane_batch_add(b, e, limits);
    b->moves = w->moves;
}

void lane_batch_fix(struct lane_batch *b, struct window *w, size_t count) {
    struct window_entry *first = window_find(w, b->first->cursor), *last = first;
    assert(count >= 1 && count <= b->count);
    first->fixed = true;
    window_set_state(w, first, ENTRY_QUEUED);
    for (size_t i = 1; i < count; i++) {
        last->batch_next = window_above(w, last);
        last = last->batch_next;
        last->fixed = true;
        window_set_state(w, last, ENTRY_BATCHED);
    }
    last->ends_request = true;
}

/* --- a request */

const struct window_entry *lane_batch_next(const struct window_entry *e) {
    return e->ends_request ? NULL : e->batch_next;
}

size_t lane_batch_count(const struct window_entry *e) {
    size_t count = 0;
    for (; e; e = lane_batch_next(e))
        count++;
    return count;
}

int64_t lane_batch_bytes(const struct window_entry *e) {
    int64_t bytes = ENVELOPE_BYTES;
    for (; e; e = lane_batch_next(e))
        bytes += e->bytes + COMMA_BYTES;
    return bytes;
}

struct window_entry *lane_batch_halve(struct window_entry *first) {
    const size_t count = lane_batch_count(first);
    assert(count > 1);
    struct window_entry *e = first;
    for (size_t i = 1; i < count / 2; i++)
        e = e->batch_next;
    e->ends_request = true;
    return e->batch_next;
}

void lane_batch_go_on(struct window *w, struct window_entry *rest) {
    if (rest)
        window_set_state(w, rest, ENTRY_QUEUED);
}

/* The entry of the chain before this one. */
static struct window_entry *lane_batch_before(const struct window *w,
                                              const struct window_entry *e) {
    for (size_t i = 0; i < w->count && w->entries[i] != e; i++)
        if (w->entries[i]->batch_next == e)
            return w->entries[i];
    return NULL;
}

/* What is left of the request keeps its attempts. */
static void lane_batch_hand_on(const struct window_entry *e) {
    if (e->ends_request || !e->batch_next)
        return;
    e->batch_next->attempts = e->attempts;
    e->batch_next->waits_from = e->waits_from;
    e->batch_next->spared = e->spared;
    e->batch_next->fresh = e->fresh;
}

struct window_entry *lane_batch_unlink(struct window *w, struct window_entry *e) {
    struct window_entry *rest = e->batch_next,
                        *before = e->state == ENTRY_BATCHED ? lane_batch_before(w, e) : NULL;
    if (!before || before->ends_request)
        lane_batch_hand_on(e); /* the first of its request */
    e->batch_next = NULL;
    if (!before)
        return rest;
    before->batch_next = rest;
    before->ends_request |= e->ends_request;
    return NULL;
}

/* --- another composition */

void lane_batch_dissolve(struct window *w, struct window_entry *first) {
    struct window_entry *e = first->batch_next, *next;
    first->batch_next = NULL;
    first->ends_request = true;
    first->dissolves = false;
    for (; e; e = next) {
        next = e->batch_next;
        e->batch_next = NULL;
        e->fixed = e->ends_request = false;
        e->attempts = e->waits_from = e->spared = 0;
        window_set_state(w, e, ENTRY_QUEUED);
    }
}

void lane_batch_dissolve_all(struct window *w) {
    for (size_t i = 0; i < w->count; i++) {
        struct window_entry *e = w->entries[i];
        if (!e->batch_next || e->state == ENTRY_BATCHED)
            continue;
        if (e->state == ENTRY_IN_FLIGHT)
            e->dissolves = true;
        else
            lane_batch_dissolve(w, e);
    }
}
