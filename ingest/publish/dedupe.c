/* The ids that the log has; see dedupe.h. Entries form a ring in order of arrival, so the oldest
 * are forgotten first. A hash table of ring positions (open addressing, linear probing, at most
 * half full) finds an entry by id. */
#include "ingest/publish/dedupe.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/buf.h"

enum { FIRST_ENTRIES = 256, RULES_SHIFT = 48 };

struct entry {
    struct dedupe_print print;
    int64_t cursor;
    int64_t appended_ms;
};

struct dedupe {
    size_t ids_max;
    int64_t window_ms;
    unsigned char key[SIPHASH_KEY_BYTES];
    struct entry *ring;
    size_t ring_size, oldest, count;
    uint32_t *table;   /* an entry's position in the ring, from 1; 0: free */
    size_t table_size; /* a power of two */
};

static void dedupe_make_table(struct dedupe *d) {
    d->table_size = 2;
    while (d->table_size < 2 * d->ring_size)
        d->table_size *= 2;
    free(d->table);
    d->table = mem_zero(d->table_size * sizeof *d->table);
}

struct dedupe *dedupe_new(size_t ids_max, int64_t window_ms,
                          const unsigned char key[SIPHASH_KEY_BYTES]) {
    struct dedupe *d = mem_zero(sizeof *d);
    d->ids_max = ids_max;
    d->window_ms = window_ms;
    memcpy(d->key, key, sizeof d->key);
    d->ring_size = ids_max < FIRST_ENTRIES ? ids_max : FIRST_ENTRIES;
    d->ring = mem_alloc(d->ring_size * sizeof *d->ring);
    dedupe_make_table(d);
    return d;
}

void dedupe_free(struct dedupe *d) {
    if (!d)
        return;
    free(d->ring);
    free(d->table);
    free(d);
}

void dedupe_print_id(const struct dedupe *d, struct span id, struct dedupe_print *print) {
    siphash128(d->key, id.data, id.len, print->id);
}

void dedupe_print_content(const struct dedupe *d, struct span topic, struct span key,
                          struct span data, uint16_t rules, struct dedupe_print *print) {
    struct {
        uint64_t data[2];
        uint64_t topic_len, has_key;
        char text[512];
    } whole = {.topic_len = topic.len, .has_key = key.data != NULL};
    uint64_t hash[2];
    assert(topic.len + key.len <= sizeof whole.text);
    siphash128(d->key, data.data, data.len, whole.data);
    memcpy(whole.text, topic.data, topic.len);
    if (key.len)
        memcpy(whole.text + topic.len, key.data, key.len);
    siphash128(d->key, &whole, sizeof whole - sizeof whole.text + topic.len + key.len, hash);
    print->content = (hash[0] & ((UINT64_C(1) << RULES_SHIFT) - 1)) | (uint64_t)rules
                                                                          << RULES_SHIFT;
}

/* Whether the contents may be the same. */
static bool dedupe_same_content(const struct dedupe_print *a, const struct dedupe_print *b) {
    return a->content == b->content || a->content >> RULES_SHIFT != b->content >> RULES_SHIFT;
}

/* The table slot of the id, or the free slot for it. */
static size_t dedupe_slot_of(const struct dedupe *d, const uint64_t id[2]) {
    size_t slot = id[0] & (d->table_size - 1);
    while (d->table[slot]) {
        const struct entry *e = &d->ring[d->table[slot] - 1];
        if (e->print.id[0] == id[0] && e->print.id[1] == id[1])
            break;
        slot = (slot + 1) & (d->table_size - 1);
    }
    return slot;
}

static struct entry *dedupe_entry_of(const struct dedupe *d, const uint64_t id[2]) {
    uint32_t position = d->table[dedupe_slot_of(d, id)];
    return position ? &d->ring[position - 1] : NULL;
}

/* Frees a slot and moves up displaced entries behind the slot. */
static void dedupe_free_slot(struct dedupe *d, size_t slot) {
    size_t mask = d->table_size - 1;
    for (size_t next = (slot + 1) & mask; d->table[next]; next = (next + 1) & mask) {
        size_t home = d->ring[d->table[next] - 1].print.id[0] & mask;
        if (((next - home) & mask) >= ((next - slot) & mask)) {
            d->table[slot] = d->table[next];
            slot = next;
        }
    }
    d->table[slot] = 0;
}

static void dedupe_forget_oldest(struct dedupe *d) {
    dedupe_free_slot(d, dedupe_slot_of(d, d->ring[d->oldest].print.id));
    d->oldest = (d->oldest + 1) % d->ring_size;
    d->count--;
}

static void dedupe_forget_old(struct dedupe *d, int64_t now_ms) {
    while (d->count && d->ring[d->oldest].appended_ms < now_ms - d->window_ms)
        dedupe_forget_oldest(d);
}

/* Doubles the ring, up to ids_max. */
static void dedupe_grow(struct dedupe *d) {
    size_t size = d->ring_size * 2 < d->ids_max ? d->ring_size * 2 : d->ids_max;
    struct entry *ring = mem_alloc(size * sizeof *ring);
    for (size_t i = 0; i < d->count; i++)
        ring[i] = d->ring[(d->oldest + i) % d->ring_size];
    free(d->ring);
    d->ring = ring;
    d->ring_size = size;
    d->oldest = 0;
    dedupe_make_table(d);
    for (size_t i = 0; i < d->count; i++)
        d->table[dedupe_slot_of(d, ring[i].print.id)] = (uint32_t)i + 1;
}

bool dedupe_add(struct dedupe *d, const struct dedupe_print *print, int64_t cursor,
                int64_t appended_ms) {
    dedupe_forget_old(d, appended_ms);
    struct entry *known = dedupe_entry_of(d, print->id);
    if (known) {
        if (cursor < known->cursor) {
            known->cursor = cursor;
            known->print = *print;
        }
        return known->cursor < cursor;
    }
    if (d->count == d->ids_max)
        dedupe_forget_oldest(d);
    else if (d->count == d->ring_size)
        dedupe_grow(d);
    size_t position = (d->oldest + d->count++) % d->ring_size;
    d->ring[position] = (struct entry){*print, cursor, appended_ms};
    d->table[dedupe_slot_of(d, print->id)] = (uint32_t)position + 1;
    return false;
}

bool dedupe_holds(const struct dedupe *d, const struct dedupe_print *print, int64_t cursor) {
    const struct entry *e = dedupe_entry_of(d, print->id);
    return e && e->cursor == cursor;
}

enum dedupe_found dedupe_find(struct dedupe *d, const struct dedupe_print *print, int64_t now_ms,
                              int64_t *cursor) {
    dedupe_forget_old(d, now_ms);
    const struct entry *e = dedupe_entry_of(d, print->id);
    if (!e)
        return DEDUPE_NEW;
    *cursor = e->cursor;
    return dedupe_same_content(&e->print, print) ? DEDUPE_REPEAT : DEDUPE_CONFLICT;
}

size_t dedupe_count(struct dedupe *d, int64_t now_ms) {
    dedupe_forget_old(d, now_ms);
    return d->count;
}

size_t dedupe_bytes(const struct dedupe *d) {
    return sizeof *d + d->ring_size * sizeof *d->ring + d->table_size * sizeof *d->table;
}
