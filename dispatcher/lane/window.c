/* The window; see window.h. An array of pointers, ascending by cursor, a binary heap by due time,
 * and a list for each key. After PgBouncer's objects, one function changes a state. */
#include "dispatcher/lane/window.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "common/base/buf.h"

#define GO(state) (1U << (state))
static const unsigned legal[FLIGHT_STATES] = {
    [FLIGHT_BLOCKED] = GO(FLIGHT_QUEUED),
    [FLIGHT_QUEUED] = GO(FLIGHT_IN_FLIGHT) | GO(FLIGHT_SETTLED) | GO(FLIGHT_BLOCKED) |
                      GO(FLIGHT_BURYING),
    [FLIGHT_IN_FLIGHT] = GO(FLIGHT_SETTLED) | GO(FLIGHT_BACKOFF) | GO(FLIGHT_BURYING) |
                         GO(FLIGHT_QUEUED) | GO(FLIGHT_BLOCKED),
    [FLIGHT_BACKOFF] = GO(FLIGHT_IN_FLIGHT) | GO(FLIGHT_SETTLED) | GO(FLIGHT_QUEUED) |
                       GO(FLIGHT_BLOCKED),
    [FLIGHT_BURYING] = GO(FLIGHT_SETTLED),
};

/* The unsettled events of one key, oldest first. */
struct window_key {
    uint64_t hash;
    struct flight *flights;
    UT_hash_handle hh;
};

/* Makes room for `count`, and gives back what was much too large. A single place is kept: a strict
 * lane allocates none. */
static void window_fit(struct flight ***list, size_t *cap, size_t count) {
    size_t wanted = *cap;
    if (count > wanted)
        wanted = wanted ? wanted * 2 : 1;
    else if (wanted > 1 && count <= wanted / 4)
        wanted /= 2;
    if (wanted == *cap)
        return;
    *list = mem_resize(*list, wanted * sizeof **list);
    *cap = wanted;
}

/* --- the heap */

static bool window_waits(enum flight_state state) {
    return state == FLIGHT_QUEUED || state == FLIGHT_BACKOFF;
}

static int64_t window_due_ms(const struct flight *f) {
    return f->state == FLIGHT_BACKOFF ? f->retry_at_ms : INT64_MIN;
}

static bool window_before(const struct flight *a, const struct flight *b) {
    int64_t due_a = window_due_ms(a), due_b = window_due_ms(b);
    return due_a != due_b ? due_a < due_b : a->cursor < b->cursor;
}

static void window_place(struct window *w, size_t at, struct flight *f) {
    w->heap[at] = f;
    f->heap_at = at;
}

static void window_sift(struct window *w, size_t at, struct flight *f) {
    for (; at > 0 && window_before(f, w->heap[(at - 1) / 2]); at = (at - 1) / 2)
        window_place(w, at, w->heap[(at - 1) / 2]);
    for (size_t child; (child = 2 * at + 1) < w->heap_count; at = child) {
        if (child + 1 < w->heap_count && window_before(w->heap[child + 1], w->heap[child]))
            child++;
        if (!window_before(w->heap[child], f))
            break;
        window_place(w, at, w->heap[child]);
    }
    window_place(w, at, f);
}

static void window_heap_add(struct window *w, struct flight *f) {
    window_fit(&w->heap, &w->heap_cap, w->heap_count + 1);
    w->heap_count++;
    window_sift(w, w->heap_count - 1, f);
}

static void window_heap_remove(struct window *w, const struct flight *f) {
    struct flight *last = w->heap[--w->heap_count];
    if (last != f)
        window_sift(w, f->heap_at, last);
    window_fit(&w->heap, &w->heap_cap, w->heap_count);
}

/* --- keys */

static void window_join_key(struct window *w, struct flight *f) {
    struct window_key *key = NULL;
    HASH_FIND(hh, w->keys, &f->key_hash, sizeof f->key_hash, key);
    if (!key) {
        key = mem_zero(sizeof *key);
        key->hash = f->key_hash;
        HASH_ADD(hh, w->keys, hash, sizeof key->hash, key);
    }
    DL_APPEND2(key->flights, f, key_prev, key_next);
    f->key = key;
}

static void window_free_key(struct window *w, struct window_key *key) {
    HASH_DEL(w->keys, key);
    free(key);
}

static bool window_held_by_key(const struct flight *f) { return f->key && f->key->flights != f; }

static void window_leave_key(struct window *w, struct flight *f) {
    struct window_key *key = f->key;
    if (!key)
        return;
    DL_DELETE2(key->flights, f, key_prev, key_next);
    f->key = NULL;
    if (!key->flights)
        window_free_key(w, key);
    else if (key->flights->state == FLIGHT_BLOCKED)
        window_set_state(w, key->flights, FLIGHT_QUEUED);
}

/* --- the window */

void window_clear(struct window *w) {
    struct window_key *key, *next;
    bool by_key = w->by_key;
    HASH_ITER(hh, w->keys, key, next) {
        window_free_key(w, key);
    }
    for (size_t i = 0; i < w->count; i++)
        free(w->flights[i]);
    free(w->flights);
    free(w->heap);
    *w = (struct window){.by_key = by_key};
}

/* The number of the first that stands at `cursor` or above. */
static size_t window_rank(const struct window *w, int64_t cursor) {
    size_t low = 0, high = w->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (w->flights[middle]->cursor < cursor)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct flight *window_find(const struct window *w, int64_t cursor) {
    size_t rank = window_rank(w, cursor);
    return rank < w->count && w->flights[rank]->cursor == cursor ? w->flights[rank] : NULL;
}

struct flight *window_oldest(const struct window *w) { return w->count ? w->flights[0] : NULL; }

struct flight *window_oldest_failed(const struct window *w) {
    for (size_t i = 0; i < w->count; i++) {
        struct flight *f = w->flights[i];
        if (f->state != FLIGHT_BURYING && f->attempts > (f->state == FLIGHT_IN_FLIGHT))
            return f;
    }
    return NULL;
}

struct flight *window_first_due(const struct window *w) {
    return w->heap_count ? w->heap[0] : NULL;
}

struct flight *window_above(const struct window *w, const struct flight *f) {
    size_t rank = window_rank(w, f->cursor + 1);
    return rank < w->count ? w->flights[rank] : NULL;
}

struct flight *window_push(struct window *w, const struct flight *flight) {
    struct flight *f = mem_alloc(sizeof *f);
    assert(!w->count || w->flights[w->count - 1]->cursor < flight->cursor);
    *f = *flight;
    f->state = FLIGHT_BLOCKED;
    window_fit(&w->flights, &w->cap, w->count + 1);
    w->flights[w->count++] = f;
    if (w->by_key)
        window_join_key(w, f);
    if (!window_held_by_key(f))
        window_set_state(w, f, FLIGHT_QUEUED);
    return f;
}

void window_set_state(struct window *w, struct flight *f, enum flight_state state) {
    if (window_waits(state) && window_held_by_key(f))
        state = FLIGHT_BLOCKED;
    assert(legal[f->state] & GO(state));
    if (window_waits(f->state))
        window_heap_remove(w, f);
    w->in_flight += (size_t)(state == FLIGHT_IN_FLIGHT) - (size_t)(f->state == FLIGHT_IN_FLIGHT);
    f->state = state;
    if (window_waits(state))
        window_heap_add(w, f);
}

void window_settle(struct window *w, struct flight *f) {
    size_t rank = window_rank(w, f->cursor);
    window_set_state(w, f, FLIGHT_SETTLED);
    window_leave_key(w, f);
    w->count--;
    memmove(w->flights + rank, w->flights + rank + 1, (w->count - rank) * sizeof *w->flights);
    window_fit(&w->flights, &w->cap, w->count);
    free(f);
}

static void window_forget_keys(struct window *w) {
    struct window_key *key, *next;
    for (size_t i = 0; i < w->count; i++) {
        w->flights[i]->key = NULL;
        if (w->flights[i]->state == FLIGHT_BLOCKED)
            window_set_state(w, w->flights[i], FLIGHT_QUEUED);
    }
    HASH_ITER(hh, w->keys, key, next) {
        window_free_key(w, key);
    }
}

void window_set_by_key(struct window *w, bool by_key) {
    if (by_key == w->by_key)
        return;
    w->by_key = by_key;
    if (!by_key)
        window_forget_keys(w);
    for (size_t i = 0; by_key && i < w->count; i++) {
        window_join_key(w, w->flights[i]);
        if (window_waits(w->flights[i]->state) && window_held_by_key(w->flights[i]))
            window_set_state(w, w->flights[i], FLIGHT_BLOCKED);
    }
}
