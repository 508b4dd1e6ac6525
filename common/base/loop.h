/* The one place where a daemon waits: epoll for descriptors, a heap of deadlines, signals by
 * signalfd.
 *
 * Everything here belongs to the thread that runs the loop, but for loop_task's work function.
 * Callbacks may set and clear any source, their own included: an event that was already fetched for
 * a cleared source is not delivered. */
#ifndef ESS_BASE_LOOP_H
#define ESS_BASE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

struct loop *loop_new(void); /* aborts when the kernel gives no epoll */
/* Waits for unfinished tasks, LOOP_TASKS_MS at most; their done is not called. False: a task hangs
 * in its library. Then nothing may be freed that the task uses, and the program is to end by
 * _exit(). NULL is allowed. */
enum { LOOP_TASKS_MS = 3000 };
bool loop_free(struct loop *loop);

/* Runs until loop_stop; not at all when that was called before. What is ready and due then waits
 * for a further run. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* A descriptor. The struct is the caller's (embedded, all zero at first) and must stay until it is
 * cleared. */
struct loop_io {
    int fd;
    void (*ready)(void *arg, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP */
    void *arg;
    bool set;
};
/* Waits for `events` (level-triggered) on `fd`; replaces what the same struct waited for. Aborts on
 * a descriptor that is not open, that epoll does not take, or that another struct waits for. */
void loop_io_set(struct loop *loop, struct loop_io *io, int fd, uint32_t events,
                 void (*ready)(void *, uint32_t), void *arg);
/* Call before closing the descriptor. Does nothing on one that is not set. */
void loop_io_clear(struct loop *loop, struct loop_io *io);

/* A deadline on clock_ms(). Fires once, at or after it; the earlier first, equal ones in the order
 * of setting. One that a timer's callback sets for now or the past fires after the descriptors had
 * their turn. The struct is the caller's. */
struct loop_timer {
    void (*due)(void *arg);
    void *arg;
    int64_t at_ms;
    size_t slot;    /* in the heap, from 1; 0: not set */
    uint64_t order; /* of setting */
};
void loop_timer_init(struct loop_timer *timer, void (*due)(void *), void *arg);
void loop_timer_set(struct loop *loop, struct loop_timer *timer,
                    int64_t at_ms); /* moves one that is set */
void loop_timer_clear(struct loop *loop, struct loop_timer *timer);

/* Called once a turn, in the order of adding. before_wait: before the loop waits and so after all
 * callbacks of the turn before (but not after a stop); when one returns true, the loop does not
 * wait but takes another turn. after_wait: at every wake-up, before any callback. Either may be
 * NULL. */
struct loop_hook {
    bool (*before_wait)(void *arg);
    void (*after_wait)(void *arg);
    void *arg;
    struct loop_hook *next;
};
void loop_hook_add(struct loop *loop, struct loop_hook *hook);
void loop_hook_remove(struct loop *loop, struct loop_hook *hook);

/* SIGTERM and SIGINT are blocked and come here as events. At most one handler a loop. */
void loop_on_signal(struct loop *loop, void (*signalled)(void *arg, int signo), void *arg);

/* Runs `work(arg)` on a thread of its own, where it may block, then `done(arg)` on the loop's
 * thread. `done` may be NULL: then `work` frees what is in `arg`. For what libraries only offer
 * blocking: topic administration, questions about offsets, the end of a handle. While the system
 * gives no thread, the task waits for one: a client who waits for the answer needs a deadline of
 * its own. */
void loop_task(struct loop *loop, void (*work)(void *), void (*done)(void *), void *arg);

#endif
