/* The window against a plain list: thousands of random steps, comparing each lookup with a scan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/lane/window.h"

enum { EVENTS_MAX = 600, KEYS = 7, STEPS = 30000 };

static struct window window;
static struct window_entry *events[EVENTS_MAX]; /* ascending by cursor */
static size_t count;
static int64_t newest;

static unsigned below(unsigned n) { return (unsigned)random() % n; }

static struct window_entry *scan_first_due(void) {
    struct window_entry *first = NULL;
    for (size_t i = 0; i < count; i++) {
        struct window_entry *f = events[i];
        bool queued = f->state == ENTRY_QUEUED;
        if (!queued && f->state != ENTRY_BACKOFF)
            continue;
        if (!first || (queued && first->state != ENTRY_QUEUED) ||
            (!queued && first->state != ENTRY_QUEUED && f->retry_at_ms < first->retry_at_ms))
            first = f;
    }
    return first;
}

static bool scan_held(size_t i) {
    for (size_t before = 0; window.by_key && before < i; before++)
        if (events[before]->key_hash == events[i]->key_hash)
            return true;
    return false;
}

static void check(void) {
    size_t in_flight = 0;
    assert_int_equal(window.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(window.entries[i], events[i]);
        assert_ptr_equal(window_find(&window, events[i]->cursor), events[i]);
        assert_ptr_equal(window_above(&window, events[i]), i + 1 < count ? events[i + 1] : NULL);
        in_flight += events[i]->state == ENTRY_IN_FLIGHT;
        bool held = scan_held(i),
             waits = events[i]->state == ENTRY_QUEUED || events[i]->state == ENTRY_BACKOFF;
        assert_true(held ? !waits : events[i]->state != ENTRY_BLOCKED);
    }
    assert_ptr_equal(window_oldest(&window), count ? events[0] : NULL);
    assert_ptr_equal(window_first_due(&window), scan_first_due());
    assert_int_equal(window.in_flight, in_flight);
    assert_true(window.cap <= (count ? 4 * count : 1) + 1 &&
                window.heap_cap <= 4 * (window.heap_count + 1));
}

static void settle(size_t i) {
    window_settle(&window, events[i]);
    count--;
    memmove(events + i, events + i + 1, (count - i) * sizeof *events);
}

static void step_one(size_t i) {
    struct window_entry *f = events[i];
    f->retry_at_ms = f->state == ENTRY_IN_FLIGHT ? (int64_t)below(50) : f->retry_at_ms;
    if (f->state == ENTRY_QUEUED || f->state == ENTRY_BACKOFF)
        window_set_state(&window, f, ENTRY_IN_FLIGHT);
    else if (f->state == ENTRY_DEAD_LETTERING)
        settle(i);
    else if (f->state == ENTRY_IN_FLIGHT && below(3) == 0)
        settle(i);
    else if (f->state == ENTRY_IN_FLIGHT)
        window_set_state(&window, f,
                         below(2)   ? ENTRY_BACKOFF
                         : below(2) ? ENTRY_QUEUED
                                    : ENTRY_DEAD_LETTERING);
}

static void it_finds_what_a_scan_would_find(void **state) {
    (void)state;
    srandom(4711);
    for (int i = 0; i < STEPS; i++) {
        bool grows = i / 3000 % 2 == 0;
        const struct window_entry f = {.cursor = newest + 1 + below(3), .key_hash = below(KEYS)};
        if (count < EVENTS_MAX && below(grows ? 3 : 30) == 0) {
            newest = f.cursor;
            events[count++] = window_push(&window, &f);
        } else if (count && below(1000)) {
            step_one(below((unsigned)count));
        } else {
            window_set_by_key(&window, below(2));
        }
        if (count < 40 || i % 50 == 0)
            check();
    }
    window_clear(&window);
    assert_true(!window.count && !window.entries && !window.heap && !window.keys);
}

static void by_key_the_next_one_may_start_when_the_one_before_is_settled(void **state) {
    const struct window_entry one = {.cursor = 1, .key_hash = 5},
                              two = {.cursor = 2, .key_hash = 5},
                              other = {.cursor = 3, .key_hash = 6};
    struct window w = {.by_key = true};
    (void)state;
    struct window_entry *a = window_push(&w, &one), *b = window_push(&w, &two),
                        *c = window_push(&w, &other);
    assert_true(a->state == ENTRY_QUEUED && b->state == ENTRY_BLOCKED && c->state == ENTRY_QUEUED);
    window_set_state(&w, a, ENTRY_IN_FLIGHT);
    assert_ptr_equal(window_first_due(&w), c);
    window_settle(&w, a);
    assert_ptr_equal(window_first_due(&w), b);
    window_clear(&w);
    assert_true(w.by_key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_finds_what_a_scan_would_find),
        cmocka_unit_test(by_key_the_next_one_may_start_when_the_one_before_is_settled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
