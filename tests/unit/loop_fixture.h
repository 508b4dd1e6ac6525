/* A loop for each test, run one turn at a time, and descriptors with something to read. */
#ifndef ESS_TESTS_LOOP_FIXTURE_H
#define ESS_TESTS_LOOP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/loop.h"

static struct loop *loop;

static inline int make_loop(void **state) {
    (void)state;
    loop = loop_new();
    return 0;
}

static inline int free_loop(void **state) {
    (void)state;
    loop_free(loop);
    return 0;
}

/* Stops when it is called for the `*arg`th time. */
static inline void count_down(void *arg) {
    int *left = arg;
    if (--*left == 0)
        loop_stop(loop);
}

/* One turn of the loop, with what is due and ready now. */
static inline bool stop_hook(void *arg) {
    int *turns = arg;
    if (++*turns > 1)
        loop_stop(loop);
    return true;
}

static inline void turn_once(void) {
    int turns = 0;
    struct loop_hook hook = {.before_wait = stop_hook, .arg = &turns};
    loop_hook_add(loop, &hook);
    loop_run(loop);
    loop_hook_remove(loop, &hook);
}

/* One end of a pair that has something to read. */
struct end {
    struct loop_io io;
    int fds[2];
    int calls;
    uint32_t events;
    struct end *other;
};

static inline void note_ready(void *arg, uint32_t events) {
    struct end *e = arg;
    e->calls++;
    e->events = events;
}

static inline void end_init(struct end *e, const char *waiting) {
    *e = (struct end){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, e->fds), 0);
    if (*waiting)
        assert_int_equal(write(e->fds[1], waiting, strlen(waiting)), strlen(waiting));
}

static inline void end_fini(struct end *e) {
    loop_io_clear(loop, &e->io);
    close(e->fds[0]);
    if (e->fds[1] >= 0)
        close(e->fds[1]);
}

#define loop_test(f) cmocka_unit_test_setup_teardown(f, make_loop, free_loop)

#endif
