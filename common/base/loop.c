/* The event loop; see loop.h. Model: beanstalkd's one wait point and heap of deadlines. */
#include "common/base/loop.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include "common/base/buf.h"
#include "common/base/clock.h"

enum { BATCH = 64, TASK_AGAIN_MS = 100 };

/* A piece of blocking work on a thread of its own. */
struct task {
    struct loop *loop;
    void (*work)(void *);
    void (*done)(void *);
    void *arg;
    pthread_t thread;
    struct task *next; /* in tasks_waiting or tasks_done */
};

struct loop {
    int epoll;
    bool stopped;
    struct epoll_event batch[BATCH]; /* fetched; undelivered from `batch_at` on */
    int batch_at, batch_count;
    struct loop_timer **heap; /* from 1 */
    size_t heap_count, heap_cap;
    uint64_t timers_set;
    int64_t round_ms; /* while timers run: only timers due by then; else 0 */
    struct loop_hook *hooks, *next_hook;
    struct loop_io signal_io;
    void (*signalled)(void *, int);
    void *signal_arg;
    struct loop_io task_io;
    size_t tasks_running;
    struct task *tasks_waiting, **tasks_waiting_end; /* for a thread */
    struct loop_timer tasks_again;
    pthread_mutex_t task_lock;
    struct task *tasks_done; /* under task_lock */
};

/* --- descriptors */

/* Limits what was fetched for `io` and is not yet delivered to `events`. */
static void keep_fetched(struct loop *loop, const struct loop_io *io, uint32_t events) {
    for (int i = loop->batch_at; i < loop->batch_count; i++) {
        struct epoll_event *fetched = &loop->batch[i];
        if (fetched->data.ptr == io && (fetched->events &= events) == 0)
            fetched->data.ptr = NULL;
    }
}

void loop_io_set(struct loop *loop, struct loop_io *io, int fd, uint32_t events,
                 void (*ready)(void *, uint32_t), void *arg) {
    struct epoll_event event = {.events = events, .data.ptr = io};
    int op = EPOLL_CTL_MOD;
    if (io->set && io->fd != fd)
        loop_io_clear(loop, io);
    if (!io->set)
        op = EPOLL_CTL_ADD;
    io->fd = fd;
    io->ready = ready;
    io->arg = arg;
    io->set = true;
    if (epoll_ctl(loop->epoll, op, fd, &event) != 0)
        abort(); /* a descriptor closed or unfit for epoll: our own mistake */
    keep_fetched(loop, io, events | EPOLLERR | EPOLLHUP);
}

void loop_io_clear(struct loop *loop, struct loop_io *io) {
    if (!io->set)
        return;
    io->set = false;
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, io->fd, NULL);
    keep_fetched(loop, io, 0);
}

/* --- deadlines: a binary heap */

static bool loop_before(const struct loop_timer *a, const struct loop_timer *b) {
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void loop_place(struct loop *loop, struct loop_timer *timer, size_t slot) {
    loop->heap[slot] = timer;
    timer->slot = slot;
}

static void sift_up(struct loop *loop, size_t slot) {
    struct loop_timer *timer = loop->heap[slot];
    for (; slot > 1 && loop_before(timer, loop->heap[slot / 2]); slot /= 2)
        loop_place(loop, loop->heap[slot / 2], slot);
    loop_place(loop, timer, slot);
}

static void sift_down(struct loop *loop, size_t slot) {
    struct loop_timer *timer = loop->heap[slot];
    for (size_t child; (child = slot * 2) <= loop->heap_count; slot = child) {
        if (child < loop->heap_count && loop_before(loop->heap[child + 1], loop->heap[child]))
            child++;
        if (loop_before(timer, loop->heap[child]))
            break;
        loop_place(loop, loop->heap[child], slot);
    }
    loop_place(loop, timer, slot);
}

void loop_timer_init(struct loop_timer *timer, void (*due)(void *), void *arg) {
    *timer = (struct loop_timer){.due = due, .arg = arg};
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t at_ms) {
    /* While timers run, a timer set for the past goes behind all due ones. */
    timer->at_ms = at_ms < loop->round_ms ? loop->round_ms : at_ms;
    timer->order = ++loop->timers_set;
    if (timer->slot == 0) {
        if (loop->heap_count + 2 > loop->heap_cap) {
            loop->heap_cap = loop->heap_cap ? loop->heap_cap * 2 : 64;
            loop->heap = mem_resize(loop->heap, loop->heap_cap * sizeof *loop->heap);
        }
        loop_place(loop, timer, ++loop->heap_count);
    }
    sift_up(loop, timer->slot);
    sift_down(loop, timer->slot);
}

void loop_timer_clear(struct loop *loop, struct loop_timer *timer) {
    size_t slot = timer->slot;
    if (slot == 0)
        return;
    timer->slot = 0;
    struct loop_timer *last = loop->heap[loop->heap_count--];
    if (last == timer)
        return;
    loop_place(loop, last, slot);
    sift_up(loop, slot);
    sift_down(loop, last->slot);
}

/* Runs the timers due now, except timers set meanwhile: a timer that sets itself for now must not
 * starve others. */
static void run_timers(struct loop *loop) {
    const uint64_t set_before = loop->timers_set;
    loop->round_ms = clock_ms();
    while (loop->heap_count && !loop->stopped) {
        struct loop_timer *timer = loop->heap[1];
        if (timer->at_ms > loop->round_ms || timer->order > set_before)
            break;
        loop_timer_clear(loop, timer);
        timer->due(timer->arg);
    }
    loop->round_ms = 0;
}

/* --- hooks */

void loop_hook_add(struct loop *loop, struct loop_hook *hook) {
    struct loop_hook **end = &loop->hooks;
    while (*end)
        end = &(*end)->next;
    hook->next = NULL;
    *end = hook;
}

void loop_hook_remove(struct loop *loop, struct loop_hook *hook) {
    if (loop->next_hook == hook)
        loop->next_hook = hook->next;
    for (struct loop_hook **p = &loop->hooks; *p; p = &(*p)->next) {
        if (*p == hook) {
            *p = hook->next;
            return;
        }
    }
}

static bool run_hooks_before(struct loop *loop) {
    bool again = false;
    for (struct loop_hook *hook = loop->hooks; hook; hook = loop->next_hook) {
        loop->next_hook = hook->next;
        again |= hook->before_wait && hook->before_wait(hook->arg);
    }
    return again;
}

static void run_hooks_after(struct loop *loop) {
    for (struct loop_hook *hook = loop->hooks; hook; hook = loop->next_hook) {
        loop->next_hook = hook->next;
        if (hook->after_wait)
            hook->after_wait(hook->arg);
    }
}

/* --- signals */

static void loop_signal_ready(void *arg, uint32_t events) {
    struct loop *loop = arg;
    struct signalfd_siginfo info;
    (void)events;
    if (read(loop->signal_io.fd, &info, sizeof info) == (ssize_t)sizeof info)
        loop->signalled(loop->signal_arg, (int)info.ssi_signo);
}

void loop_on_signal(struct loop *loop, void (*signalled)(void *, int), void *arg) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    loop->signalled = signalled;
    loop->signal_arg = arg;
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        abort();
    loop_io_set(loop, &loop->signal_io, fd, EPOLLIN, loop_signal_ready, loop);
}

/* --- tasks */

static void *run_task(void *arg) {
    struct task *task = arg;
    struct loop *loop = task->loop;
    const uint64_t one = 1;
    task->work(task->arg);
    pthread_mutex_lock(&loop->task_lock);
    task->next = loop->tasks_done;
    loop->tasks_done = task;
    if (write(loop->task_io.fd, &one, sizeof one) < 0)
        abort(); /* an eventfd counts to 2^64 - 2 */
    pthread_mutex_unlock(&loop->task_lock);
    return NULL;
}

static struct task *take_finished(struct loop *loop) {
    pthread_mutex_lock(&loop->task_lock);
    struct task *task = loop->tasks_done;
    if (task)
        loop->tasks_done = task->next;
    pthread_mutex_unlock(&loop->task_lock);
    return task;
}

static void end_task(struct loop *loop, struct task *task) {
    pthread_join(task->thread, NULL);
    loop->tasks_running--;
    free(task);
}

static void on_tasks_done(void *arg, uint32_t events) {
    struct loop *loop = arg;
    struct task *task;
    uint64_t count;
    (void)events;
    if (read(loop->task_io.fd, &count, sizeof count) < 0)
        return;
    while ((task = take_finished(loop))) {
        void (*done)(void *) = task->done;
        void *done_arg = task->arg;
        end_task(loop, task);
        if (done)
            done(done_arg);
    }
}

/* Blocks all signals in the thread: signals belong to the loop. Returns false when the system
 * refuses a thread. */
static bool start_task(struct loop *loop, struct task *task) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    bool started = pthread_create(&task->thread, NULL, run_task, task) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    loop->tasks_running += started;
    return started;
}

/* Starts tasks in order, as long as the system gives threads. */
static void start_waiting_tasks(struct loop *loop) {
    while (loop->tasks_waiting) {
        struct task *next = loop->tasks_waiting->next;
        if (!start_task(loop, loop->tasks_waiting))
            return;
        loop->tasks_waiting = next;
    }
    loop->tasks_waiting_end = &loop->tasks_waiting;
}

static void on_tasks_again(void *arg) {
    struct loop *loop = arg;
    start_waiting_tasks(loop);
    if (loop->tasks_waiting)
        loop_timer_set(loop, &loop->tasks_again, clock_ms() + TASK_AGAIN_MS);
}

void loop_task(struct loop *loop, void (*work)(void *), void (*done)(void *), void *arg) {
    struct task *task = mem_zero(sizeof *task);
    *task = (struct task){.loop = loop, .work = work, .done = done, .arg = arg};
    if (!loop->tasks_waiting && start_task(loop, task))
        return;
    *loop->tasks_waiting_end = task;
    loop->tasks_waiting_end = &task->next;
    if (!loop->tasks_again.slot)
        loop_timer_set(loop, &loop->tasks_again, clock_ms() + TASK_AGAIN_MS);
}

/* `done` never runs, so nothing frees the argument: not a leak to report. */
static void leave_behind(const struct task *task) {
#ifdef __SANITIZE_ADDRESS__
    if (task->done)
        __lsan_ignore_object(task->arg);
#else
    (void)task;
#endif
}

static int await_ms(const struct loop *loop, int64_t left_ms) {
    return (int)(loop->tasks_waiting && left_ms > TASK_AGAIN_MS ? TASK_AGAIN_MS : left_ms);
}

/* Returns false when a task still runs at the deadline. */
static bool await_tasks(struct loop *loop) {
    struct pollfd finished = {.fd = loop->task_io.fd, .events = POLLIN};
    const int64_t deadline_ms = clock_ms() + LOOP_TASKS_MS;
    while (loop->tasks_running || loop->tasks_waiting) {
        start_waiting_tasks(loop);
        struct task *task = take_finished(loop);
        int64_t left_ms = deadline_ms - clock_ms();
        uint64_t count;
        if (task) {
            leave_behind(task);
            end_task(loop, task);
        } else if (left_ms <= 0) {
            return false;
        } else if (poll(&finished, 1, await_ms(loop, left_ms)) == 1 &&
                   read(finished.fd, &count, sizeof count) < 0) {
            abort(); /* poll reported the eventfd readable */
        }
    }
    return true;
}

/* --- the loop */

struct loop *loop_new(void) {
    struct loop *loop = mem_zero(sizeof *loop);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->epoll < 0 || fd < 0)
        abort();
    pthread_mutex_init(&loop->task_lock, NULL);
    loop->tasks_waiting_end = &loop->tasks_waiting;
    loop_timer_init(&loop->tasks_again, on_tasks_again, loop);
    loop_io_set(loop, &loop->task_io, fd, EPOLLIN, on_tasks_done, loop);
    return loop;
}

bool loop_free(struct loop *loop) {
    if (!loop)
        return true;
    if (!await_tasks(loop))
        return false;
    close(loop->task_io.fd);
    if (loop->signal_io.set)
        close(loop->signal_io.fd);
    close(loop->epoll);
    pthread_mutex_destroy(&loop->task_lock);
    free(loop->heap);
    free(loop);
    return true;
}

/* How long epoll may wait. epoll_wait does not count the time that the machine sleeps, but clock_ms
 * does: hence LONGEST_MS. */
static int loop_patience_ms(const struct loop *loop) {
    enum { LONGEST_MS = 60 * 1000 };
    if (loop->heap_count == 0)
        return -1;
    int64_t left = loop->heap[1]->at_ms - clock_ms();
    return left <= 0 ? 0 : left > LONGEST_MS ? LONGEST_MS : (int)left;
}

static void run_batch(struct loop *loop) {
    while (loop->batch_at < loop->batch_count && !loop->stopped) {
        const struct epoll_event *event = &loop->batch[loop->batch_at++];
        struct loop_io *io = event->data.ptr;
        if (io)
            io->ready(io->arg, event->events);
    }
    loop->batch_at = loop->batch_count = 0;
}

void loop_run(struct loop *loop) {
    while (!loop->stopped) {
        bool again = run_hooks_before(loop);
        if (loop->stopped)
            break;
        int count = epoll_wait(loop->epoll, loop->batch, BATCH, again ? 0 : loop_patience_ms(loop));
        loop->batch_at = 0;
        loop->batch_count = count > 0 ? count : 0;
        run_hooks_after(loop);
        run_timers(loop);
        run_batch(loop);
    }
    loop->stopped = false;
}

void loop_stop(struct loop *loop) { loop->stopped = true; }
