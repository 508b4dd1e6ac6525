/* The loop: running and stopping, hooks, signals and tasks. Deadlines and descriptors have tests of
 * their own. */
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "tests/unit/loop_fixture.h"

/* --- running and stopping */

static void stop_ready(void *arg, uint32_t events) {
    note_ready(arg, events);
    loop_stop(loop);
}

static void what_a_stop_left_undone_is_done_by_the_next_run(void **state) {
    (void)state;
    struct end pair[2];
    for (int i = 0; i < 2; i++) {
        end_init(&pair[i], "x");
        loop_io_set(loop, &pair[i].io, pair[i].fds[0], EPOLLIN, stop_ready, &pair[i]);
    }
    loop_run(loop);
    assert_int_equal(pair[0].calls + pair[1].calls, 1);
    loop_io_clear(loop, &pair[pair[1].calls].io); /* the descriptor that was called */
    loop_run(loop);
    assert_int_equal(pair[0].calls, 1);
    assert_int_equal(pair[1].calls, 1);
    end_fini(&pair[0]);
    end_fini(&pair[1]);
}

static void a_stop_before_the_run_is_not_lost(void **state) {
    (void)state;
    struct loop_timer timer;
    int left = 1;
    loop_timer_init(&timer, count_down, &left);
    loop_timer_set(loop, &timer, clock_ms());
    loop_stop(loop);
    loop_run(loop);
    assert_int_equal(left, 1);
    loop_run(loop);
    assert_int_equal(left, 0);
}

static void no_loop_can_be_freed(void **state) {
    (void)state;
    loop_free(NULL);
}

/* --- hooks */

struct step {
    struct loop_hook hook;
    char *trace;
    char letter;
    struct step *remove, *add; /* when it is called */
    bool again;
};

static bool note_step(void *arg) {
    struct step *s = arg;
    s->trace[strlen(s->trace)] = s->letter;
    if (s->remove) {
        loop_hook_remove(loop, &s->remove->hook);
        memset(&s->remove->hook, 0, sizeof s->remove->hook);
    }
    if (s->add)
        loop_hook_add(loop, &s->add->hook);
    s->remove = s->add = NULL;
    return s->again;
}

static void steps_init(struct step *steps, int count, char *trace) {
    for (int i = 0; i < count; i++)
        steps[i] = (struct step){.trace = trace,
                                 .letter = (char)('a' + i),
                                 .hook = {.before_wait = note_step, .arg = &steps[i]}};
}

static void note_timer(void *arg) {
    char *trace = arg;
    trace[strlen(trace)] = 't';
}

static void note_io(void *arg, uint32_t events) {
    (void)events;
    note_timer(arg);
}

static void hooks_run_once_a_turn_in_their_order_around_the_callbacks(void **state) {
    (void)state;
    char trace[32] = "";
    struct step steps[3];
    struct loop_timer timer;
    struct end e;
    end_init(&e, "x");
    steps_init(steps, 3, trace);
    for (int i = 0; i < 3; i++)
        loop_hook_add(loop, &steps[i].hook);
    loop_timer_init(&timer, note_timer, trace);
    loop_timer_set(loop, &timer, clock_ms());
    loop_io_set(loop, &e.io, e.fds[0], EPOLLIN, note_io, trace);
    turn_once();
    assert_string_equal(trace, "abcttabc");
    end_fini(&e);
}

static void note_wake_up(void *arg) {
    struct step *s = arg;
    s->trace[strlen(s->trace)] = (char)(s->letter - 'a' + 'A');
}

static void a_hook_after_the_wait_comes_before_all_callbacks(void **state) {
    (void)state;
    char trace[32] = "";
    struct step steps[3];
    struct loop_timer timer;
    struct end e;
    end_init(&e, "x");
    steps_init(steps, 3, trace);
    for (int i = 0; i < 3; i++) {
        steps[i].hook.after_wait = i == 1 ? NULL : note_wake_up;
        loop_hook_add(loop, &steps[i].hook);
    }
    steps[2].hook.before_wait = NULL;
    loop_timer_init(&timer, note_timer, trace);
    loop_timer_set(loop, &timer, clock_ms());
    loop_io_set(loop, &e.io, e.fds[0], EPOLLIN, note_io, trace);
    turn_once();
    assert_string_equal(trace, "abACttab");
    end_fini(&e);
}

static void a_removed_hook_is_not_called(void **state) {
    (void)state;
    char trace[32] = "";
    struct step steps[3];
    steps_init(steps, 3, trace);
    for (int i = 0; i < 3; i++)
        loop_hook_add(loop, &steps[i].hook);
    loop_hook_remove(loop, &steps[1].hook);
    loop_hook_remove(loop, &steps[1].hook);
    turn_once();
    assert_string_equal(trace, "acac");
}

static void a_hook_may_remove_itself_and_others_and_add_one(void **state) {
    (void)state;
    char trace[32] = "";
    struct step steps[4];
    steps_init(steps, 4, trace);
    for (int i = 0; i < 3; i++)
        loop_hook_add(loop, &steps[i].hook);
    steps[0].remove = &steps[1]; /* the next */
    steps[2].remove = &steps[2];
    steps[2].add = &steps[3];
    turn_once();
    assert_null(strchr(trace, 'b'));
    assert_ptr_equal(strchr(trace, 'c'), strrchr(trace, 'c')); /* once */
    assert_string_equal(trace + strlen(trace) - 2, "ad");
}

/* Nothing else would ever end the wait. */
static bool again_until_stopped(void *arg) {
    count_down(arg);
    return true;
}

static void a_hook_that_returns_true_keeps_the_loop_from_waiting(void **state) {
    (void)state;
    int left = 10;
    struct loop_hook hook = {.before_wait = again_until_stopped, .arg = &left};
    loop_hook_add(loop, &hook);
    loop_run(loop);
    assert_int_equal(left, 0);
}

static void a_hook_that_wants_no_wait_starves_nobody(void **state) {
    (void)state;
    char trace[256] = "";
    struct step step;
    struct end e;
    struct loop_timer end;
    int left = 1;
    steps_init(&step, 1, trace);
    step.again = true;
    loop_hook_add(loop, &step.hook);
    end_init(&e, "x");
    loop_io_set(loop, &e.io, e.fds[0], EPOLLIN, note_ready, &e);
    loop_timer_init(&end, count_down, &left);
    loop_timer_set(loop, &end, clock_ms());
    loop_run(loop);
    assert_int_equal(left, 0);
    turn_once();
    assert_true(e.calls > 0);
    end_fini(&e);
}

/* --- signals */

static int signals[4], signals_count;

static void note_signal(void *arg, int signo) {
    signals[signals_count++] = signo;
    count_down(arg);
}

static void sigterm_and_sigint_come_as_events(void **state) {
    (void)state;
    sigset_t before;
    int left = 2;
    signals_count = 0;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    loop_on_signal(loop, note_signal, &left);
    kill(getpid(), SIGTERM);
    kill(getpid(), SIGINT);
    loop_run(loop);
    assert_int_equal(signals_count, 2);
    assert_int_equal(signals[0] + signals[1], SIGTERM + SIGINT);
    assert_int_not_equal(signals[0], signals[1]);
    turn_once();
    assert_int_equal(signals_count, 2);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* --- tasks */

struct job {
    int gate[2]; /* the work waits until this pipe is closed; -1: it does not */
    pthread_t worked_on, done_on;
    _Atomic bool worked;
    bool done;
    bool signals_blocked;
    int *left;
};

static void job_init(struct job *j, int *left, bool gated) {
    *j = (struct job){.gate = {-1, -1}, .left = left};
    if (gated)
        assert_int_equal(pipe(j->gate), 0);
}

static void work(void *arg) {
    struct job *j = arg;
    sigset_t mask;
    char c;
    if (j->gate[0] >= 0 && read(j->gate[0], &c, 1) < 0)
        abort();
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    j->signals_blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGINT) &&
                         sigismember(&mask, SIGHUP);
    j->worked_on = pthread_self();
    j->worked = true;
}

static void done(void *arg) {
    struct job *j = arg;
    j->done_on = pthread_self();
    j->done = true;
    count_down(j->left);
}

static void work_is_done_on_another_thread_and_told_on_the_loops(void **state) {
    (void)state;
    struct job j;
    int left = 1;
    job_init(&j, &left, false);
    loop_task(loop, work, done, &j);
    loop_run(loop);
    assert_true(j.worked && j.done);
    assert_false(pthread_equal(j.worked_on, pthread_self()));
    assert_true(pthread_equal(j.done_on, pthread_self()));
    assert_true(j.signals_blocked);
}

static void every_one_of_many_tasks_is_told_once(void **state) {
    (void)state;
    static struct job jobs[50];
    int left = 50;
    for (int i = 0; i < 50; i++) {
        job_init(&jobs[i], &left, false);
        loop_task(loop, work, done, &jobs[i]);
    }
    loop_run(loop);
    turn_once();
    assert_int_equal(left, 0);
    for (int i = 0; i < 50; i++)
        assert_true(jobs[i].worked && jobs[i].done);
}

static void open_gate(void *arg) {
    struct job *j = arg;
    assert_false(j->worked);
    close(j->gate[1]);
}

static void the_loop_goes_on_while_a_task_blocks(void **state) {
    (void)state;
    struct job j;
    struct loop_timer timer;
    int left = 1;
    job_init(&j, &left, true);
    loop_task(loop, work, done, &j);
    loop_timer_init(&timer, open_gate, &j);
    loop_timer_set(loop, &timer, clock_ms() + 5);
    loop_run(loop);
    assert_true(j.worked && j.done);
    close(j.gate[0]);
}

static void begin_another(void *arg) {
    struct job *j = arg;
    j->done = true;
    loop_task(loop, work, done, j + 1);
}

static void a_task_may_begin_the_next_when_it_is_done(void **state) {
    (void)state;
    struct job jobs[2];
    int left = 1;
    job_init(&jobs[0], &left, false);
    job_init(&jobs[1], &left, false);
    loop_task(loop, work, begin_another, &jobs[0]);
    loop_run(loop);
    assert_true(jobs[0].done && jobs[1].worked && jobs[1].done);
}

static void *open_gate_later(void *arg) {
    const struct timespec pause = {.tv_nsec = 200000000};
    nanosleep(&pause, NULL);
    close(((struct job *)arg)->gate[1]);
    return NULL;
}

static int64_t cpu_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* One task has finished, another has not. A descriptor that stays ready must not make the loop
 * spin. */
static void freeing_the_loop_waits_for_unfinished_tasks_and_tells_nobody(void **state) {
    (void)state;
    struct job quick, slow;
    struct end e;
    pthread_t opener;
    int left = 1;
    job_init(&quick, &left, false);
    job_init(&slow, &left, true);
    end_init(&e, "x");
    loop_io_set(loop, &e.io, e.fds[0], EPOLLIN, note_ready, &e);
    loop_task(loop, work, done, &quick);
    loop_task(loop, work, done, &slow);
    int64_t before = cpu_ms();
    pthread_create(&opener, NULL, open_gate_later, &slow);
    assert_true(loop_free(loop));
    loop = NULL;
    assert_true(cpu_ms() - before < 100);
    assert_true(quick.worked && slow.worked);
    assert_false(quick.done || slow.done);
    assert_int_equal(left, 1);
    pthread_join(opener, NULL);
    close(slow.gate[0]);
    close(e.fds[0]);
    close(e.fds[1]);
}

static void a_task_that_hangs_is_left_behind_with_its_loop(void **state) {
    (void)state;
    struct job hung;
    int left = 1;
    job_init(&hung, &left, true);
    loop_task(loop, work, done, &hung);
    assert_false(loop_free(loop));
    assert_false(hung.worked);
    assert_int_equal(write(hung.gate[1], "x", 1), 1);
    assert_true(loop_free(loop));
    loop = NULL;
    assert_true(hung.worked && !hung.done);
}

/* --- tasks without a thread */

enum { NO_SUCH_STACK_BITS = 47 }; /* larger than the address space */

/* Sets the stack size of new threads; 0: the usual size. */
static void want_stacks_of(size_t bytes) {
    static size_t usual;
    pthread_attr_t attr;
    pthread_getattr_default_np(&attr);
    if (!usual)
        pthread_attr_getstacksize(&attr, &usual);
    pthread_attr_setstacksize(&attr, bytes ? bytes : usual);
    assert_int_equal(pthread_setattr_default_np(&attr), 0);
    pthread_attr_destroy(&attr);
}

static void give_threads(void *arg) {
    (void)arg;
    want_stacks_of(0);
}

static void tasks_that_get_no_thread_wait_for_one(void **state) {
    (void)state;
    static struct job jobs[3];
    struct loop_timer later;
    int left = 3;
    want_stacks_of((size_t)1 << NO_SUCH_STACK_BITS);
    for (int i = 0; i < 3; i++) {
        job_init(&jobs[i], &left, false);
        loop_task(loop, work, done, &jobs[i]);
        assert_false(jobs[i].worked);
    }
    loop_timer_init(&later, give_threads, NULL);
    loop_timer_set(loop, &later, clock_ms() + 250); /* after a try or two in vain */
    loop_run(loop);
    for (int i = 0; i < 3; i++)
        assert_true(jobs[i].worked && jobs[i].done && jobs[i].signals_blocked);
}

static void *give_threads_later(void *arg) {
    const struct timespec pause = {.tv_nsec = 200000000};
    (void)arg;
    nanosleep(&pause, NULL);
    want_stacks_of(0);
    return NULL;
}

static void freeing_the_loop_waits_for_tasks_that_had_no_thread(void **state) {
    (void)state;
    struct job j;
    pthread_t giver;
    int left = 1;
    job_init(&j, &left, false);
    want_stacks_of(0);
    pthread_create(&giver, NULL, give_threads_later, NULL);
    want_stacks_of((size_t)1 << NO_SUCH_STACK_BITS);
    loop_task(loop, work, NULL, &j);
    assert_true(loop_free(loop));
    loop = NULL;
    assert_true(j.worked);
    pthread_join(giver, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        loop_test(what_a_stop_left_undone_is_done_by_the_next_run),
        loop_test(a_stop_before_the_run_is_not_lost),
        cmocka_unit_test(no_loop_can_be_freed),
        loop_test(hooks_run_once_a_turn_in_their_order_around_the_callbacks),
        loop_test(a_hook_after_the_wait_comes_before_all_callbacks),
        loop_test(a_removed_hook_is_not_called),
        loop_test(a_hook_may_remove_itself_and_others_and_add_one),
        loop_test(a_hook_that_returns_true_keeps_the_loop_from_waiting),
        loop_test(a_hook_that_wants_no_wait_starves_nobody),
        loop_test(sigterm_and_sigint_come_as_events),
        loop_test(work_is_done_on_another_thread_and_told_on_the_loops),
        loop_test(every_one_of_many_tasks_is_told_once),
        loop_test(the_loop_goes_on_while_a_task_blocks),
        loop_test(a_task_may_begin_the_next_when_it_is_done),
        loop_test(tasks_that_get_no_thread_wait_for_one),
        loop_test(freeing_the_loop_waits_for_tasks_that_had_no_thread),
        loop_test(freeing_the_loop_waits_for_unfinished_tasks_and_tells_nobody),
        loop_test(a_task_that_hangs_is_left_behind_with_its_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
