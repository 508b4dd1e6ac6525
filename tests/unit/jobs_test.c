/* A subscriber's jobs, and the dead letters redriven by them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "dispatcher/subscriber/jobs.h"

static struct loop *loop;
static struct jobs jobs;
static int64_t ended, opened;
static char outcome[16];

static int on_open(void *arg, struct sender *sender, const struct token_job *job,
                   struct error *err) {
    (void)arg, (void)sender;
    opened = job->job;
    return error_set(err, "not now");
}

static void on_ended(void *arg, const struct token_job *job, const char *what) {
    (void)arg;
    ended = job->job;
    snprintf(outcome, sizeof outcome, "%s", what);
}

static const struct jobs_owner owner = {.open = on_open, .ended = on_ended};

static int begin(void **state) {
    (void)state;
    loop = loop_new();
    jobs_init(&jobs, loop, "one", &owner, NULL);
    ended = opened = -1;
    outcome[0] = 0;
    return 0;
}

static int end(void **state) {
    (void)state;
    jobs_clear(&jobs);
    loop_free(loop);
    return 0;
}

static struct token_job redrive_of(int64_t number, int64_t position, int64_t to) {
    return (struct token_job){.job = number,
                              .redrive = true,
                              .from = position,
                              .to = to,
                              .position = position,
                              .last = position};
}

static void a_job_that_ends_early_is_no_longer_in_the_list(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(jobs_add(&jobs, &(struct token_job){.job = 10 + i, .to = 5}), 0);
    jobs_end(&jobs, 11, "ended");
    assert_true(ended == 11 && jobs.count == 2 && jobs.list[1].job == 12);
    assert_string_equal(outcome, "ended");
    ended = -1;
    jobs_end(&jobs, 11, "ended");
    assert_int_equal(ended, -1);
}

static void a_job_that_cannot_be_begun_is_tried_again_by_a_timer(void **state) {
    (void)state;
    jobs_begin(&jobs);
    jobs_add(&jobs, &(struct token_job){.job = 10, .to = 5});
    assert_int_equal(opened, 10);
    assert_true(!jobs.sender && jobs.due.slot && !jobs_stuck(&jobs));
    loop_timer_clear(loop, &jobs.due);
    assert_true(jobs_stuck(&jobs));
}

static void a_redrive_of_all_begins_where_the_one_before_it_has_ended(void **state) {
    struct token_job first = redrive_of(10, 7, 9), second = redrive_of(11, -1, 20);
    (void)state;
    jobs_add(&jobs, &first);
    jobs_add(&jobs, &second);
    jobs_end(&jobs, 10, "done");
    assert_int_equal(jobs.redriven, 7);
    jobs_begin(&jobs);
    assert_true(jobs.list[0].job == 11 && jobs.list[0].from == 7 && jobs.list[0].position == 7);
}

static void dead_letters_that_are_gone_leave_nothing_redriven(void **state) {
    (void)state;
    jobs.redriven = 9;
    assert_int_equal(jobs_redriven(&jobs, 9), 9);
    assert_int_equal(jobs_redriven(&jobs, 8), -1);
}

static void letters_that_were_redriven_by_their_cursors_are_noted_in_order_once(void **state) {
    static const int64_t offsets[] = {9, 3, 9, 5};
    struct token_job job = redrive_of(10, -1, 20);
    struct token token = {0};
    (void)state;
    job.cursors = mem_zero(sizeof *job.cursors);
    job.cursors_count = 1;
    jobs_add(&jobs, &job);
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
        jobs_on_delivered(&jobs, offsets[i]);
    jobs_to_token(&jobs, &token);
    assert_true(token.redriven_count == 4 && token.redriven_letters_count == 3);
    assert_memory_equal(token.redriven_letters, ((int64_t[]){3, 5, 9}), 3 * sizeof(int64_t));
    token_fini(&token);
    jobs.redriven = 4;
    jobs_end(&jobs, 10, "done");
    assert_true(jobs.redriven_letters_count == 2 && jobs.redriven_letters[0] == 5);
}

static void a_token_gives_back_the_jobs_that_were_written_into_it(void **state) {
    struct token token = {0};
    (void)state;
    jobs_add(&jobs, &(struct token_job){.job = 10, .from = 1, .to = 5, .position = 3});
    jobs.redriven = 8;
    jobs_to_token(&jobs, &token);
    jobs_from_token(&jobs, NULL);
    assert_true(jobs.count == 0 && jobs.redriven == -1);
    jobs_from_token(&jobs, &token);
    assert_true(jobs.count == 1 && jobs.list[0].position == 3 && jobs.redriven == 8);
    token_fini(&token);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_job_that_ends_early_is_no_longer_in_the_list),
        TEST(a_job_that_cannot_be_begun_is_tried_again_by_a_timer),
        TEST(a_redrive_of_all_begins_where_the_one_before_it_has_ended),
        TEST(dead_letters_that_are_gone_leave_nothing_redriven),
        TEST(letters_that_were_redriven_by_their_cursors_are_noted_in_order_once),
        TEST(a_token_gives_back_the_jobs_that_were_written_into_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
