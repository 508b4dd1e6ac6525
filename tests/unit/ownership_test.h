/* What the tests of ownership share: one process, told what happened, and asked what it does. */
#ifndef ESS_TESTS_OWNERSHIP_TEST_H
#define ESS_TESTS_OWNERSHIP_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatcher/ownership/ownership.h"

enum { SESSION_MS = 10000, ME = 7, OTHER = 8 };

static struct ownership o;
static int64_t now, in_flight, unwritten;

static inline int setup(void **state) {
    (void)state;
    now = 1000000;
    in_flight = unwritten = 0;
    ownership_init(&o, ME, 4, SESSION_MS);
    return 0;
}

static inline struct ownership_step next(void) {
    const struct ownership_view view = {
        .now_ms = now, .in_flight = in_flight, .unwritten = unwritten};
    return ownership_next(&o, &view);
}

static inline struct ownership_step expect(enum ownership_act act) {
    struct ownership_step step = next();
    assert_int_equal(step.act, act);
    return step;
}

static inline struct ownership_step expect_of(enum ownership_act act, int32_t partition) {
    struct ownership_step step = expect(act);
    assert_int_equal(step.partition, partition);
    return step;
}

static inline void expect_nothing(void) { expect(OWNERSHIP_NOTHING); }

static inline void answer(const struct ownership_step *ask, bool granted) {
    ownership_answered(&o, ask->ask, granted, now);
}

static inline void assign(int32_t first, int32_t count) {
    int32_t list[OWNERSHIP_PARTITIONS_MAX] = {0};
    for (int32_t i = 0; i < count; i++)
        list[i] = first + i;
    ownership_assigned(&o, list, count, now);
}

/* Assigns and confirms partitions 0 to count-1; their fences are given out. */
static inline void assign_and_fence(int32_t count) {
    assign(0, count);
    expect(OWNERSHIP_READ);
    struct ownership_step ask = expect(OWNERSHIP_ASK);
    answer(&ask, true);
    for (int32_t i = 0; i < count; i++)
        expect_of(OWNERSHIP_FENCE, i);
    expect_nothing();
}

static inline void read_own_fence(int32_t partition, int64_t offset) {
    ownership_fence_read(&o, partition, offset, ME, o.assignment, now);
}

/* The same, and they are held: the fence of each stands at `offset`. */
static inline void hold(int32_t count, int64_t offset) {
    assign_and_fence(count);
    for (int32_t i = 0; i < count; i++) {
        ownership_specs_read(&o, i);
        read_own_fence(i, offset);
        expect_of(OWNERSHIP_START, i);
    }
    expect_nothing();
}

static inline void renew(void) {
    struct ownership_step ask = expect(OWNERSHIP_ASK);
    answer(&ask, true);
}

#define CASE(test) cmocka_unit_test_setup(test, setup)

#endif
