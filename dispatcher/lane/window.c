/* The window; see window.h. An array of pointers ascending by cursor, a binary heap by due time,
 * and a list per key. As in PgBouncer's objects, a single function changes states. */
#include "dispatcher/lane/window.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "common/base/buf.h"

#define GO(state) (1U << (state))
static const unsigned legal[ENTRY_STATES] = {
    [ENTRY_BLOCKED] = GO(ENTRY_QUEUED) | GO(ENTRY_OPEN) | GO(ENTRY_BATCHED),
    [ENTRY_OPEN] = GO(ENTRY_QUEUED) | GO(ENTRY_BLOCKED) | GO(ENTRY_BATCHED),
    [ENTRY_BATCHED] = GO(ENTRY_QUEUED) | GO(ENTRY_OPEN) | GO(ENTRY_BLOCKED) | GO(ENTRY_SETTLED) |
                      GO(ENTRY_DEAD_LETTERING) | GO(ENTRY_IN_FLIGHT),
    [ENTRY_QUEUED] = GO(ENTRY_IN_FLIGHT) | GO(ENTRY_SETTLED) | GO(ENTRY_BLOCKED) |
                     GO(ENTRY_DEAD_LETTERING) | GO(ENTRY_OPEN),
    [ENTRY_IN_FLIGHT] = GO(ENTRY_SETTLED) | GO(ENTRY_BACKOFF) | GO(ENTRY_DEAD_LETTERING) |
                        GO(ENTRY_QUEUED) | GO(ENTRY_BLOCKED),
    [ENTRY_BACKOFF] = GO(ENTRY_IN_FLIGHT) | GO(ENTRY_SETTLED) | GO(ENTRY_QUEUED) |
                      GO(ENTRY_BLOCKED),
    [ENTRY_DEAD_LETTERING] = GO(ENTRY_SETTLED),
};

/* The unsettled events of one key, oldest first. */
struct window_key {
    uint64_t hash;
    struct window_entry *entries;
    UT_hash_handle hh;
};

/* Makes room for `count`, and returns memory when far too large. Room for one is kept: a strict
 * lane then allocates nothing. */
static void window_fit(struct window_entry ***list, size_t *cap, size_t count) {
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

static bool window_waits(enum entry_state state) {
    return state == ENTRY_QUEUED || state == ENTRY_BACKOFF;
}

static bool window_may_start(enum entry_state state) {
    return window_waits(state) || state == ENTRY_OPEN;
}

static int64_t window_due_ms(const struct window_entry *e) {
    return e->state == ENTRY_BACKOFF ? e->retry_at_ms : INT64_MIN;
}

static bool window_before(const struct window_entry *a, const struct window_entry *b) {
    int64_t due_a = window_due_ms(a), due_b = window_due_ms(b);
    return due_a != due_b ? due_a < due_b : a->cursor < b->cursor;
}

static void window_place(struct window *w, size_t at, struct window_entry *e) {
    w->heap[at] = e;
    e->heap_at = at;
}

static void window_sift(struct window *w, size_t at, struct window_entry *e) {
    for (; at > 0 && window_before(e, w->heap[(at - 1) / 2]); at = (at - 1) / 2)
        window_place(w, at, w->heap[(at - 1) / 2]);
    for (size_t child; (child = 2 * at + 1) < w->heap_count; at = child) {
        if (child + 1 < w->heap_count && window_before(w->heap[child + 1], w->heap[child]))
            child++;
        if (!window_before(w->heap[child], e))
            break;
        window_place(w, at, w->heap[child]);
    }
    window_place(w, at, e);
}

static void window_heap_add(struct window *w, struct window_entry *e) {
    window_fit(&w->heap, &w->heap_cap, w->heap_count + 1);
    w->heap_count++;
    window_sift(w, w->heap_count - 1, e);
}

static void window_heap_remove(struct window *w, const struct window_entry *e) {
    struct window_entry *last = w->heap[--w->heap_count];
    if (last != e)
        window_sift(w, e->heap_at, last);
    window_fit(&w->heap, &w->heap_cap, w->heap_count);
}

/* --- keys */

static void window_join_key(struct window *w, struct window_entry *e) {
    struct window_key *key = NULL;
    HASH_FIND(hh, w->keys, &e->key_hash, sizeof e->key_hash, key);
    if (!key) {
        key = mem_zero(sizeof *key);
        key->hash = e->key_hash;
        HASH_ADD(hh, w->keys, hash, sizeof key->hash, key);
    }
    DL_APPEND2(key->entries, e, key_prev, key_next);
    e->key = key;
}

static void window_free_key(struct window *w, struct window_key *key) {
    HASH_DEL(w->keys, key);
    free(key);
}

static bool window_held_by_key(const struct window_entry *e) {
    return e->key && e->key->entries != e;
}

static void window_leave_key(struct window *w, struct window_entry *e) {
    struct window_key *key = e->key;
    if (!key)
        return;
    DL_DELETE2(key->entries, e, key_prev, key_next);
    e->key = NULL;
    if (!key->entries)
        window_free_key(w, key);
    else if (key->entries->state == ENTRY_BLOCKED)
        window_set_state(w, key->entries, ENTRY_QUEUED);
}

/* --- the window */

void window_clear(struct window *w) {
    struct window_key *key, *next;
    const struct window empty = {
        .by_key = w->by_key, .by_batch = w->by_batch, .moves = w->moves + 1};
    HASH_ITER(hh, w->keys, key, next) {
        window_free_key(w, key);
    }
    for (size_t i = 0; i < w->count; i++)
        free(w->entries[i]);
    free(w->entries);
    free(w->heap);
    *w = empty;
}

/* The index of the first entry at `cursor` or above. */
static size_t window_rank(const struct window *w, int64_t cursor) {
    size_t low = 0, high = w->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (w->entries[middle]->cursor < cursor)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct window_entry *window_find(const struct window *w, int64_t cursor) {
    size_t rank = window_rank(w, cursor);
    return rank < w->count && w->entries[rank]->cursor == cursor ? w->entries[rank] : NULL;
}

struct window_entry *window_oldest(const struct window *w) {
    return w->count ? w->entries[0] : NULL;
}

struct window_entry *window_oldest_failed(const struct window *w) {
    for (size_t i = 0; i < w->count; i++) {
        struct window_entry *e = w->entries[i];
        if (e->state != ENTRY_DEAD_LETTERING && e->state != ENTRY_BATCHED &&
            e->attempts > (e->state == ENTRY_IN_FLIGHT))
            return e;
    }
    return NULL;
}

struct window_entry *window_first_due(const struct window *w) {
    return w->heap_count ? w->heap[0] : NULL;
}

struct window_entry *window_above(const struct window *w, const struct window_entry *e) {
    size_t rank = window_rank(w, e->cursor + 1);
    return rank < w->count ? w->entries[rank] : NULL;
}

struct window_entry *window_push(struct window *w, const struct window_entry *entry) {
    struct window_entry *e = mem_alloc(sizeof *e);
    assert(!w->count || w->entries[w->count - 1]->cursor < entry->cursor);
    *e = *entry;
    e->state = ENTRY_BLOCKED;
    window_fit(&w->entries, &w->cap, w->count + 1);
    w->entries[w->count++] = e;
    if (w->by_key)
        window_join_key(w, e);
    if (!window_held_by_key(e))
        window_set_state(w, e, ENTRY_QUEUED);
    return e;
}

void window_set_state(struct window *w, struct window_entry *e, enum entry_state state) {
    if (state == ENTRY_QUEUED && w->by_batch && !e->fixed)
        state = ENTRY_OPEN;
    if (window_may_start(state) && window_held_by_key(e))
        state = ENTRY_BLOCKED;
    w->moves++;
    assert(legal[e->state] & GO(state));
    if (window_waits(e->state))
        window_heap_remove(w, e);
    w->in_flight += (size_t)(state == ENTRY_IN_FLIGHT) - (size_t)(e->state == ENTRY_IN_FLIGHT);
    e->state = state;
    if (window_waits(state))
        window_heap_add(w, e);
}

void window_settle(struct window *w, struct window_entry *e) {
    size_t rank = window_rank(w, e->cursor);
    window_set_state(w, e, ENTRY_SETTLED);
    window_leave_key(w, e);
    w->count--;
    memmove(w->entries + rank, w->entries + rank + 1, (w->count - rank) * sizeof *w->entries);
    window_fit(&w->entries, &w->cap, w->count);
    free(e);
}

void window_set_by_batch(struct window *w, bool by_batch) {
    w->by_batch = by_batch;
    for (size_t i = 0; i < w->count; i++)
        if (!w->entries[i]->fixed && window_may_start(w->entries[i]->state) &&
            (w->entries[i]->state == ENTRY_OPEN) != by_batch)
            window_set_state(w, w->entries[i], ENTRY_QUEUED);
}

static void window_forget_keys(struct window *w) {
    struct window_key *key, *next;
    for (size_t i = 0; i < w->count; i++) {
        w->entries[i]->key = NULL;
        if (w->entries[i]->state == ENTRY_BLOCKED)
            window_set_state(w, w->entries[i], ENTRY_QUEUED);
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
        window_join_key(w, w->entries[i]);
        if (window_may_start(w->entries[i]->state) && window_held_by_key(w->entries[i]))
            window_set_state(w, w->entries[i], ENTRY_BLOCKED);
    }
}
