/* The one place where a daemon waits: epoll for descriptors, a heap of deadlines, signals by
 * signalfd.
 *
 * Everything here belongs to the loop's thread, except the work function of loop_task. Callbacks
 * may set and clear any source, their own included: events already fetched for a cleared source are
 * dropped. */
#ifndef ESS_BASE_LOOP_H
#define ESS_BASE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

struct loop *loop_new(void); /* aborts without an epoll descriptor */
/* Waits at most LOOP_TASKS_MS for running tasks; their `done` is not called. Returns false when a
 * task still hangs in a library: free nothing that the task uses, and end the program by _exit().
 * NULL is allowed. */
enum { LOOP_TASKS_MS = 3000 };
bool loop_free(struct loop *loop);

/* Runs until loop_stop, or returns at once after an earlier loop_stop. Events still ready then wait
 * for another run. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* A descriptor. The caller embeds the struct, all zero at first, and keeps it alive until
 * cleared. */
struct loop_io {
    int fd;
    void (*ready)(void *arg, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP */
    void *arg;
    bool set;
};
/* Waits for `events` (level-triggered) on `fd`, instead of the struct's earlier events. Aborts on a
 * descriptor that is closed, unfit for epoll, or set in another struct. */
void loop_io_set(struct loop *loop, struct loop_io *io, int fd, uint32_t events,
                 void (*ready)(void *, uint32_t), void *arg);
/* Call before closing the descriptor. Does nothing on an unset struct. */
void loop_io_clear(struct loop *loop, struct loop_io *io);

/* A deadline on clock_ms(). Fires once, at or after the deadline, earliest first, equal ones in the
 * order of setting. A timer set by a timer's callback for now or the past fires after the
 * descriptors had their turn. The caller embeds the struct. */
struct loop_timer {
    void (*due)(void *arg);
    void *arg;
    int64_t at_ms;
    size_t slot;    /* in the heap, from 1; 0: unset */
    uint64_t order; /* of setting */
};
void loop_timer_init(struct loop_timer *timer, void (*due)(void *), void *arg);
/* Sets a timer, or moves a set one. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t at_ms);
void loop_timer_clear(struct loop *loop, struct loop_timer *timer);

/* Called once a turn, in the order of adding. before_wait runs after all callbacks of the turn (not
 * after a stop); returning true skips the wait and starts another turn. after_wait runs at every
 * wake-up, before any callback. Either may be NULL. */
struct loop_hook {
    bool (*before_wait)(void *arg);
    void (*after_wait)(void *arg);
    void *arg;
    struct loop_hook *next;
};
void loop_hook_add(struct loop *loop, struct loop_hook *hook);
void loop_hook_remove(struct loop *loop, struct loop_hook *hook);

/* Blocks SIGTERM and SIGINT, and delivers both as events. At most one handler per loop. */
void loop_on_signal(struct loop *loop, void (*signalled)(void *arg, int signo), void *arg);

/* Runs `work(arg)` on a thread of its own, where blocking is fine, then `done(arg)` on the loop's
 * thread. With `done` NULL, `work` frees `arg`. For calls that libraries offer only as blocking:
 * topic administration, offset look-ups, closing a handle. A task waits while the system gives no
 * thread, so a waiting client needs a deadline of its own. */
void loop_task(struct loop *loop, void (*work)(void *), void (*done)(void *), void *arg);

#endif
