/* The fate of commands: each is applied once, in order, and a waiting command holds up no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/model/command.h"
#include "common/model/token.h"
#include "dispatcher/subscriber/commands.h"
#include "dispatcher/subscriber/jobs.h"

#define BORN "0b6f2f50-3d8f-4f0e-9c55-4d9d0a6e3c01"

static struct loop *loop;
static struct jobs jobs;
static struct commands commands;
static char done[256]; /* calls to the owner, in order */
static bool may_write, has_waiting_event, tested;
static int64_t generation;
static size_t changes;

static bool on_may_write(void *arg) {
    (void)arg;
    return may_write;
}
static bool is_listed(void *arg) {
    (void)arg;
    return true;
}
static void on_unreadable(void *arg, int64_t offset, const char *reason) {
    (void)arg, (void)offset, (void)reason;
}
static void on_rewind(void *arg, int64_t cursor) {
    size_t len = strlen(done);
    (void)arg;
    snprintf(done + len, sizeof done - len, "rewind %d;", (int)cursor);
}
static void note(const char *text) {
    size_t len = strlen(done);
    snprintf(done + len, sizeof done - len, "%s;", text);
}
static void on_resume(void *arg) {
    (void)arg;
    note("resume");
}
static bool on_skip(void *arg) {
    (void)arg;
    note("skip");
    return has_waiting_event;
}
static bool on_test(void *arg, const struct command *command, int64_t number) {
    (void)arg, (void)command, (void)number;
    note("test");
    return tested;
}
static bool on_tests(void *arg) {
    (void)arg;
    return false;
}
static void on_applied(void *arg, int64_t offset) {
    (void)arg;
    generation = offset > generation ? offset : generation;
}
static void on_changed(void *arg) {
    (void)arg;
    changes++;
}
static void on_noted(void *arg) { (void)arg; }
static void on_job_ended(void *arg, const struct token_job *job, const char *outcome) {
    (void)arg, (void)job;
    note(outcome);
}

static const struct commands_owner owner = {.may_write = on_may_write,
                                            .is_listed = is_listed,
                                            .unreadable = on_unreadable,
                                            .rewind = on_rewind,
                                            .resume = on_resume,
                                            .skip = on_skip,
                                            .test = on_test,
                                            .tests = on_tests,
                                            .applied = on_applied,
                                            .changed = on_changed,
                                            .noted = on_noted};
static const struct jobs_owner jobs_owner = {.ended = on_job_ended};

static int begin(void **state) {
    (void)state;
    loop = loop_new();
    const struct commands_options options = {.loop = loop,
                                             .topic = "ess.subscribers",
                                             .dlq_topic = "ess.dlq",
                                             .subscriber = "one",
                                             .registration_id = BORN,
                                             .jobs = &jobs,
                                             .owner = &owner};
    jobs_init(&jobs, loop, "one", &jobs_owner, NULL);
    commands_init(&commands, &options);
    commands_begin(&commands);
    done[0] = 0;
    may_write = true;
    has_waiting_event = tested = false;
    generation = -1;
    changes = 0;
    return 0;
}

static int end(void **state) {
    (void)state;
    commands_fini(&commands);
    jobs_clear(&jobs);
    loop_free(loop);
    return 0;
}

static void read_text(int64_t offset, const char *value) {
    char key[32];
    snprintf(key, sizeof key, "one/cmd/%d", (int)offset);
    commands_read(&commands, span_of(key), span_of(value), offset);
}

static void read_command(int64_t offset, const char *members) {
    char value[256];
    snprintf(value, sizeof value, "{\"v\":1,\"born\":\"%s\",%s}", BORN, members);
    read_text(offset, value);
}

static void assert_pending(int64_t count, int64_t first) {
    struct token token = {0};
    commands_to_token(&commands, &token);
    assert_int_equal(token.pending_count, count);
    if (count)
        assert_int_equal(token.pending[0], first);
    token_fini(&token);
}

static void assert_outcome(int64_t offset, const char *outcome) {
    for (int64_t i = 0; i < commands.outcomes_count; i++) {
        if (commands.outcomes[i].generation != offset)
            continue;
        assert_string_equal(commands.outcomes[i].outcome, outcome);
        return;
    }
    fail_msg("no outcome of %d", (int)offset);
}

static void commands_are_applied_once_in_the_order_of_their_offsets(void **state) {
    (void)state;
    read_command(3, "\"command\":\"rewind\",\"cursor\":42");
    read_command(5, "\"command\":\"resume\"");
    commands_apply(&commands);
    assert_string_equal(done, "rewind 42;resume;");
    commands_apply(&commands);
    assert_string_equal(done, "rewind 42;resume;");
    assert_true(commands.applied == 5 && generation == 5 && changes == 1);
}

static void nothing_is_applied_while_it_may_not_be_written_down_or_does_not_run(void **state) {
    (void)state;
    read_command(3, "\"command\":\"resume\"");
    may_write = false;
    commands_apply(&commands);
    may_write = true;
    commands_stop(&commands);
    commands_apply(&commands);
    assert_string_equal(done, "");
    assert_true(commands.applied == -1 && changes == 0);
}

static void a_command_of_another_registration_is_void(void **state) {
    (void)state;
    read_text(3, "{\"v\":1,\"born\":\"11111111-1111-4111-8111-111111111111\","
                 "\"command\":\"resume\"}");
    commands_apply(&commands);
    assert_string_equal(done, "");
    assert_int_equal(commands.applied, 3);
}

static void one_that_waits_holds_up_no_other_and_is_named_as_pending(void **state) {
    (void)state;
    read_command(3, "\"command\":\"test\",\"topic\":\"a\",\"data\":{}");
    read_command(5, "\"command\":\"resume\"");
    commands_apply(&commands);
    assert_string_equal(done, "test;resume;");
    assert_pending(1, 3);
    assert_true(commands_stuck(&commands)); /* nobody makes the test */
    tested = true;
    commands_apply(&commands);
    assert_string_equal(done, "test;resume;test;");
    assert_pending(0, 0);
    assert_false(commands_stuck(&commands));
}

static void what_a_token_says_is_applied_is_not_applied_again_but_what_is_pending_is(void **state) {
    int64_t pending[] = {3};
    struct token token = {.applied = 5, .pending = pending, .pending_count = 1};
    (void)state;
    read_command(2, "\"command\":\"resume\"");
    read_command(3, "\"command\":\"rewind\",\"cursor\":7");
    read_command(5, "\"command\":\"resume\"");
    commands_from_token(&commands, &token);
    commands_apply(&commands);
    assert_string_equal(done, "rewind 7;");
    assert_int_equal(commands.applied, 5);
}

static void a_command_of_a_later_version_waits_and_one_that_none_can_read_is_refused(void **state) {
    (void)state;
    read_text(3, "{\"v\":99,\"born\":\"" BORN "\",\"command\":\"leap\"}");
    read_text(4, "{");
    read_command(5, "\"command\":\"resume\"");
    commands_apply(&commands);
    assert_string_equal(done, "resume;");
    assert_outcome(3, "waits");
    assert_outcome(4, "refused");
    assert_pending(1, 3);
    assert_false(commands_stuck(&commands)); /* an upgrade ends the wait */
}

static void a_job_is_added_until_there_is_no_room_and_then_refused(void **state) {
    (void)state;
    for (int i = 0; i <= TOKEN_JOBS_MAX; i++)
        read_command(10 + i, "\"command\":\"replay\",\"from\":1,\"to\":2");
    commands_apply(&commands);
    assert_true(jobs_full(&jobs));
    assert_int_equal(jobs.list[0].job, 10);
    assert_outcome(10 + TOKEN_JOBS_MAX, "refused");
    read_command(99, "\"command\":\"end_job\",\"job\":12");
    commands_apply(&commands);
    assert_string_equal(done, "ended;");
    assert_int_equal(jobs.count, TOKEN_JOBS_MAX - 1);
}

static void a_skip_says_whether_an_event_waited(void **state) {
    (void)state;
    read_command(3, "\"command\":\"skip\"");
    commands_apply(&commands);
    has_waiting_event = true;
    read_command(4, "\"command\":\"skip\"");
    commands_apply(&commands);
    assert_outcome(3, "refused");
    assert_outcome(4, "done");
}

static void a_command_whose_record_is_gone_is_forgotten(void **state) {
    (void)state;
    read_command(3, "\"command\":\"resume\"");
    commands_read(&commands, span_of("one/cmd/3"), (struct span){NULL, 0}, 4);
    commands_apply(&commands);
    assert_null(commands.list);
    assert_string_equal(done, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(commands_are_applied_once_in_the_order_of_their_offsets),
        TEST(nothing_is_applied_while_it_may_not_be_written_down_or_does_not_run),
        TEST(a_command_of_another_registration_is_void),
        TEST(one_that_waits_holds_up_no_other_and_is_named_as_pending),
        TEST(what_a_token_says_is_applied_is_not_applied_again_but_what_is_pending_is),
        TEST(a_command_of_a_later_version_waits_and_one_that_none_can_read_is_refused),
        TEST(a_job_is_added_until_there_is_no_room_and_then_refused),
        TEST(a_skip_says_whether_an_event_waited),
        TEST(a_command_whose_record_is_gone_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
