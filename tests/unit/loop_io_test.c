/* The loop's descriptors, above all callbacks that change and clear descriptors fetched in the same
 * turn. */
#include "tests/unit/loop_fixture.h"

enum { PAIRS_MAX = 200 };

static void a_descriptor_is_reported_for_as_long_as_it_is_ready(void **state) {
    (void)state;
    struct end e;
    char c;
    end_init(&e, "x");
    loop_io_set(loop, &e.io, e.fds[0], EPOLLIN, note_ready, &e);
    turn_once();
    turn_once();
    assert_int_equal(e.calls, 2);
    assert_int_equal(e.events, EPOLLIN);
    assert_int_equal(read(e.fds[0], &c, 1), 1);
    turn_once();
    assert_int_equal(e.calls, 2);
    end_fini(&e);
}

static void setting_a_descriptor_again_replaces_what_it_waits_for(void **state) {
    (void)state;
    struct end e, other;
    end_init(&e, "x");
    end_init(&other, "");
    loop_io_set(loop, &e.io, e.fds[0], EPOLLIN, note_ready, &other);
    loop_io_set(loop, &e.io, e.fds[0], EPOLLOUT, note_ready, &e);
    turn_once();
    assert_int_equal(e.calls, 1);
    assert_int_equal(e.events, EPOLLOUT);
    assert_int_equal(other.calls, 0);
    end_fini(&e);
    end_fini(&other);
}

static void a_struct_can_go_over_to_another_descriptor(void **state) {
    (void)state;
    struct end e, ready;
    end_init(&e, "");
    end_init(&ready, "x");
    loop_io_set(loop, &e.io, ready.fds[0], EPOLLIN, note_ready, &ready);
    loop_io_set(loop, &e.io, e.fds[0], EPOLLIN, note_ready, &e);
    turn_once();
    assert_int_equal(ready.calls, 0);
    assert_int_equal(e.calls, 0);
    assert_int_equal(write(e.fds[1], "x", 1), 1);
    turn_once();
    assert_int_equal(e.calls, 1);
    end_fini(&e);
    end_fini(&ready);
}

static void a_peer_that_closed_is_reported(void **state) {
    (void)state;
    struct end e;
    end_init(&e, "");
    loop_io_set(loop, &e.io, e.fds[0], 0, note_ready, &e);
    turn_once();
    assert_int_equal(e.calls, 0);
    close(e.fds[1]);
    e.fds[1] = -1;
    turn_once();
    assert_true(e.events & EPOLLHUP);
    end_fini(&e);
}

static void a_cleared_descriptor_is_silent_and_may_be_cleared_again(void **state) {
    (void)state;
    struct end e;
    end_init(&e, "x");
    loop_io_clear(loop, &e.io); /* never set */
    loop_io_set(loop, &e.io, e.fds[0], EPOLLIN, note_ready, &e);
    loop_io_clear(loop, &e.io);
    loop_io_clear(loop, &e.io);
    turn_once();
    assert_int_equal(e.calls, 0);
    loop_io_set(loop, &e.io, e.fds[0], EPOLLIN, note_ready, &e);
    turn_once();
    assert_int_equal(e.calls, 1);
    end_fini(&e);
}

static void read_one(void *arg, uint32_t events) {
    struct end *e = arg;
    char c;
    note_ready(arg, events);
    assert_int_equal(read(e->fds[0], &c, 1), 1);
}

static void more_ready_descriptors_than_one_batch_holds_all_have_their_turn(void **state) {
    (void)state;
    static struct end all[PAIRS_MAX];
    for (int i = 0; i < PAIRS_MAX; i++) {
        end_init(&all[i], "x");
        loop_io_set(loop, &all[i].io, all[i].fds[0], EPOLLIN, read_one, &all[i]);
    }
    for (int i = 0; i < PAIRS_MAX; i++)
        turn_once();
    for (int i = 0; i < PAIRS_MAX; i++) {
        assert_int_equal(all[i].calls, 1);
        end_fini(&all[i]);
    }
}

/* Two descriptors are ready at once. The first callback clears and frees the other. */
static struct end *survivor;

static void free_the_other(void *arg, uint32_t events) {
    struct end *e = arg;
    note_ready(arg, events);
    survivor = e;
    if (e->other) {
        end_fini(e->other);
        free(e->other);
        e->other = NULL;
    }
}

static void a_descriptor_cleared_in_the_batch_that_holds_it_is_not_reported(void **state) {
    (void)state;
    struct end *pair[2];
    for (int i = 0; i < 2; i++) {
        pair[i] = malloc(sizeof *pair[i]);
        end_init(pair[i], "x");
        loop_io_set(loop, &pair[i]->io, pair[i]->fds[0], EPOLLIN, free_the_other, pair[i]);
    }
    pair[0]->other = pair[1];
    pair[1]->other = pair[0];
    turn_once();
    assert_int_equal(survivor->calls, 1);
    end_fini(survivor);
    free(survivor);
}

static void clear_from_timer(void *arg) { loop_io_clear(loop, arg); }

static void a_timer_may_clear_a_descriptor_that_is_ready(void **state) {
    (void)state;
    struct end e;
    struct loop_timer timer;
    end_init(&e, "x");
    loop_io_set(loop, &e.io, e.fds[0], EPOLLIN, note_ready, &e);
    loop_timer_init(&timer, clear_from_timer, &e.io);
    loop_timer_set(loop, &timer, clock_ms());
    turn_once();
    assert_int_equal(e.calls, 0);
    end_fini(&e);
}

/* Makes both descriptors wait only to write. */
static void turn_to_writing(void *arg, uint32_t events) {
    struct end *e = arg;
    note_ready(arg, events);
    if (events & EPOLLIN)
        for (int i = 0; i < 2; i++, e = e->other)
            loop_io_set(loop, &e->io, e->fds[0], EPOLLOUT, turn_to_writing, e);
}

static void what_is_no_longer_waited_for_is_not_reported_in_the_same_batch(void **state) {
    (void)state;
    struct end pair[2];
    for (int i = 0; i < 2; i++) {
        end_init(&pair[i], "x");
        pair[i].other = &pair[!i];
        loop_io_set(loop, &pair[i].io, pair[i].fds[0], EPOLLIN, turn_to_writing, &pair[i]);
    }
    turn_once();
    assert_int_equal(pair[0].calls + pair[1].calls, 1);
    turn_once();
    assert_int_equal(pair[0].calls + pair[1].calls, 3);
    assert_int_equal(pair[0].events, EPOLLOUT);
    assert_int_equal(pair[1].events, EPOLLOUT);
    end_fini(&pair[0]);
    end_fini(&pair[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        loop_test(a_descriptor_is_reported_for_as_long_as_it_is_ready),
        loop_test(setting_a_descriptor_again_replaces_what_it_waits_for),
        loop_test(a_struct_can_go_over_to_another_descriptor),
        loop_test(a_peer_that_closed_is_reported),
        loop_test(a_cleared_descriptor_is_silent_and_may_be_cleared_again),
        loop_test(more_ready_descriptors_than_one_batch_holds_all_have_their_turn),
        loop_test(a_descriptor_cleared_in_the_batch_that_holds_it_is_not_reported),
        loop_test(a_timer_may_clear_a_descriptor_that_is_ready),
        loop_test(what_is_no_longer_waited_for_is_not_reported_in_the_same_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
