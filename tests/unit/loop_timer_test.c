/* The loop's deadlines, above all callbacks that move and clear due deadlines. */
#include "tests/unit/loop_fixture.h"

enum { MANY = 1000, FAR_MS = 24 * 60 * 60 * 1000 };

/* A timer that notes when it fired among the others. */
struct alarm {
    struct loop_timer timer;
    int *count;
    int fired; /* its place in the order, from 1; 0: has not fired */
    int times;
    int64_t fired_ms;
};

static void note_alarm(void *arg) {
    struct alarm *a = arg;
    a->fired = ++*a->count;
    a->times++;
    a->fired_ms = clock_ms();
}

static void alarm_init(struct alarm *a, int *count) {
    *a = (struct alarm){.count = count};
    loop_timer_init(&a->timer, note_alarm, a);
}

static uint64_t next_random(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void no_deadline_fires_before_its_time(void **state) {
    (void)state;
    struct alarm alarms[20];
    struct loop_timer end;
    int count = 0, left = 1;
    int64_t now = clock_ms();
    for (int i = 0; i < 20; i++) {
        alarm_init(&alarms[i], &count);
        loop_timer_set(loop, &alarms[i].timer, now + 40 - 2 * i);
    }
    loop_timer_init(&end, count_down, &left);
    loop_timer_set(loop, &end, now + 41);
    loop_run(loop);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(alarms[i].fired, 20 - i);
        assert_true(alarms[i].fired_ms >= now + 40 - 2 * i);
    }
}

/* A thousand deadlines in the past, some of them moved and some cleared. */
static void deadlines_fire_in_their_order_however_they_were_set(void **state) {
    (void)state;
    static struct alarm alarms[MANY];
    int64_t at_ms[MANY], now = clock_ms();
    uint64_t seed = 4711;
    int count = 0, expected = 0;
    for (int i = 0; i < MANY; i++) {
        alarm_init(&alarms[i], &count);
        at_ms[i] = now - (int64_t)(next_random(&seed) % 300);
        loop_timer_set(loop, &alarms[i].timer, at_ms[i]);
    }
    for (int i = 0; i < MANY; i++) {
        int which = (int)(next_random(&seed) % MANY);
        if (next_random(&seed) % 2) {
            at_ms[which] = now - (int64_t)(next_random(&seed) % 300);
            loop_timer_set(loop, &alarms[which].timer, at_ms[which]);
        } else {
            at_ms[which] = INT64_MAX;
            loop_timer_clear(loop, &alarms[which].timer);
        }
    }
    turn_once();
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(alarms[i].times, at_ms[i] != INT64_MAX);
        assert_int_equal(alarms[i].timer.slot, 0);
        expected += alarms[i].times;
        for (int j = 0; j < i; j++)
            if (alarms[i].times && alarms[j].times && at_ms[i] != at_ms[j])
                assert_true((at_ms[i] < at_ms[j]) == (alarms[i].fired < alarms[j].fired));
    }
    assert_int_equal(count, expected);
}

static void equal_deadlines_fire_in_the_order_of_setting(void **state) {
    (void)state;
    static struct alarm alarms[MANY];
    int count = 0;
    int64_t now = clock_ms();
    for (int i = 0; i < MANY; i++) {
        alarm_init(&alarms[i], &count);
        loop_timer_set(loop, &alarms[i].timer, now);
    }
    loop_timer_set(loop, &alarms[0].timer, now); /* set again: the last now */
    turn_once();
    assert_int_equal(alarms[0].fired, MANY);
    for (int i = 1; i < MANY; i++)
        assert_int_equal(alarms[i].fired, i);
}

static void a_deadline_fires_once_and_only_where_it_was_moved_to(void **state) {
    (void)state;
    struct alarm early, late;
    int count = 0;
    int64_t now = clock_ms();
    alarm_init(&early, &count);
    alarm_init(&late, &count);
    loop_timer_set(loop, &early.timer, now);
    loop_timer_set(loop, &late.timer, now);
    loop_timer_set(loop, &early.timer, now - 10);
    loop_timer_set(loop, &late.timer, now + FAR_MS);
    turn_once();
    turn_once();
    assert_int_equal(early.times, 1);
    assert_int_equal(late.times, 0);
    loop_timer_clear(loop, &late.timer);
}

static void clearing_a_deadline_that_is_not_set_changes_nothing(void **state) {
    (void)state;
    struct alarm set, not_set;
    int count = 0;
    alarm_init(&set, &count);
    alarm_init(&not_set, &count);
    loop_timer_set(loop, &set.timer, clock_ms());
    loop_timer_clear(loop, &not_set.timer);
    turn_once();
    loop_timer_clear(loop, &set.timer); /* fired */
    assert_int_equal(set.times, 1);
    assert_int_equal(not_set.times, 0);
}

static void deadlines_of_all_times_can_be_set(void **state) {
    (void)state;
    struct alarm first, last;
    int count = 0;
    alarm_init(&first, &count);
    alarm_init(&last, &count);
    loop_timer_set(loop, &first.timer, INT64_MIN);
    loop_timer_set(loop, &last.timer, INT64_MAX);
    turn_once();
    assert_int_equal(first.times, 1);
    assert_int_equal(last.times, 0);
    loop_timer_clear(loop, &last.timer);
}

/* Two timers that are due; whichever comes first does something to the other. */
struct rival {
    struct alarm alarm;
    struct rival *other;
    int64_t move_to_ms; /* INT64_MAX: clear it */
};

static void beat_the_other(void *arg) {
    struct rival *r = arg;
    note_alarm(&r->alarm);
    if (r->move_to_ms == INT64_MAX)
        loop_timer_clear(loop, &r->other->alarm.timer);
    else
        loop_timer_set(loop, &r->other->alarm.timer, r->move_to_ms);
}

static void set_rivals(struct rival pair[2], int *count, int64_t move_to_ms) {
    for (int i = 0; i < 2; i++) {
        alarm_init(&pair[i].alarm, count);
        loop_timer_init(&pair[i].alarm.timer, beat_the_other, &pair[i]);
        pair[i].other = &pair[!i];
        pair[i].move_to_ms = move_to_ms;
        loop_timer_set(loop, &pair[i].alarm.timer, clock_ms());
    }
}

static void a_due_deadline_that_another_clears_does_not_fire(void **state) {
    (void)state;
    struct rival pair[2];
    int count = 0;
    set_rivals(pair, &count, INT64_MAX);
    turn_once();
    turn_once();
    assert_int_equal(pair[0].alarm.times, 1);
    assert_int_equal(pair[1].alarm.times, 0);
}

static void a_due_deadline_that_another_moves_fires_where_it_was_moved_to(void **state) {
    (void)state;
    struct rival pair[2];
    int count = 0;
    set_rivals(pair, &count, clock_ms() + FAR_MS);
    turn_once();
    turn_once();
    assert_int_equal(pair[0].alarm.times, 1);
    assert_int_equal(pair[1].alarm.times, 0);
    loop_timer_clear(loop, &pair[1].alarm.timer);
}

/* Sets itself for the same time whenever it fires. */
struct eager {
    struct loop_timer timer;
    int64_t at_ms; /* 0: for now */
    int times;
};

static void set_again(void *arg) {
    struct eager *e = arg;
    e->times++;
    loop_timer_set(loop, &e->timer, e->at_ms ? e->at_ms : clock_ms());
}

static void a_deadline_set_again_for_now_has_its_turn_after_the_descriptors(void **state) {
    (void)state;
    static struct alarm far[MANY];
    struct eager now = {0}, past = {.at_ms = 1};
    struct alarm due;
    int count = 0;
    for (int i = 0; i < MANY; i++) {
        alarm_init(&far[i], &count);
        loop_timer_set(loop, &far[i].timer, clock_ms() + FAR_MS);
    }
    alarm_init(&due, &count);
    loop_timer_init(&now.timer, set_again, &now);
    loop_timer_init(&past.timer, set_again, &past);
    loop_timer_set(loop, &now.timer, clock_ms());
    loop_timer_set(loop, &past.timer, past.at_ms);
    loop_timer_set(loop, &due.timer, clock_ms());
    turn_once();
    assert_int_equal(now.times, 1);
    assert_int_equal(past.times, 1);
    assert_int_equal(due.times, 1);
    turn_once();
    assert_int_equal(now.times, 2);
    assert_int_equal(past.times, 2);
    for (int i = 0; i < MANY; i++)
        loop_timer_clear(loop, &far[i].timer);
}

static void a_callback_may_set_and_clear_its_own_deadline(void **state) {
    (void)state;
    struct eager e = {0};
    loop_timer_init(&e.timer, set_again, &e);
    loop_timer_set(loop, &e.timer, clock_ms());
    for (int i = 1; i <= 3; i++) {
        turn_once();
        assert_int_equal(e.times, i);
    }
    loop_timer_clear(loop, &e.timer);
    turn_once();
    assert_int_equal(e.times, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        loop_test(no_deadline_fires_before_its_time),
        loop_test(deadlines_fire_in_their_order_however_they_were_set),
        loop_test(equal_deadlines_fire_in_the_order_of_setting),
        loop_test(a_deadline_fires_once_and_only_where_it_was_moved_to),
        loop_test(clearing_a_deadline_that_is_not_set_changes_nothing),
        loop_test(deadlines_of_all_times_can_be_set),
        loop_test(a_due_deadline_that_another_clears_does_not_fire),
        loop_test(a_due_deadline_that_another_moves_fires_where_it_was_moved_to),
        loop_test(a_deadline_set_again_for_now_has_its_turn_after_the_descriptors),
        loop_test(a_callback_may_set_and_clear_its_own_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
