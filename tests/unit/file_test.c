/* Files: read whole up to a limit, and watched. A look calls the watch's timer at once. */
#include "loop_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/base/file.h"

static char folder[32], path[64], aside[64];
static int told;
static char content[64], reason[64];

static int make_all(void **state) {
    snprintf(folder, sizeof folder, "/tmp/ess-file-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(aside, sizeof aside, "%s/aside", folder);
    told = 0;
    return make_loop(state);
}

static int remove_all(void **state) {
    unlink(path);
    unlink(aside);
    rmdir(folder);
    return free_loop(state);
}

static void write_file(const char *where, const char *text) {
    FILE *file = fopen(where, "we");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void test_a_file_is_read_whole_up_to_the_limit(void **state) {
    struct buf text = {0};
    struct error err;
    (void)state;
    write_file(path, "12345");
    assert_int_equal(file_read(path, 5, &text, &err), 0);
    assert_string_equal(buf_string(&text), "12345");
    assert_int_equal(file_read(path, 5, &text, &err), 0); /* appends */
    assert_int_equal(text.len, 10);
    assert_int_equal(file_read(path, 4, &text, &err), -1);
    assert_string_equal(err.message, "larger than 4 bytes");
    buf_fini(&text);
    for (int i = 0; i < 2; i++) {
        char *large = mem_alloc(100001);
        memset(large, 'x', 100000);
        large[100000] = 0;
        write_file(path, large);
        assert_int_equal(file_read(path, (size_t)100000 - (size_t)i, &text, &err), i ? -1 : 0);
        buf_fini(&text);
        free(large);
    }
}

static void test_what_cannot_be_read_is_told_and_never_waited_for(void **state) {
    struct buf text = {0};
    struct error err;
    (void)state;
    assert_int_equal(file_read(path, 5, &text, &err), -1);
    assert_string_equal(err.message, "No such file or directory");
    assert_int_equal(file_read(folder, 5, &text, &err), -1);
    assert_string_equal(err.message, "Is a directory");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(file_read(path, 5, &text, &err), 0);
    assert_int_equal(text.len, 0);
    buf_fini(&text);
}

static void on_changed(void *arg, struct span now, const struct error *err) {
    assert_ptr_equal(arg, &told);
    told++;
    snprintf(content, sizeof content, "%.*s", (int)now.len, now.data);
    snprintf(reason, sizeof reason, "%.63s", err ? err->message : "");
}

static void look(struct file_watch *watch) { watch->timer.due(watch->timer.arg); }

static void test_a_change_is_told_once_however_it_came_about(void **state) {
    struct file_watch watch;
    (void)state;
    write_file(path, "one");
    file_watch_init(&watch, loop, path, 10, span_of("one"), on_changed, &told);
    look(&watch);
    assert_int_equal(told, 0);
    write_file(path,
               "two"); /* in place, of the same length, maybe within the same tick of the clock */
    look(&watch);
    look(&watch);
    assert_int_equal(told, 1);
    assert_string_equal(content, "two");
    write_file(aside, "three");
    assert_int_equal(rename(aside, path), 0);
    look(&watch);
    assert_int_equal(told, 2);
    assert_string_equal(content, "three");
    write_file(path, "three"); /* touched only */
    look(&watch);
    assert_int_equal(told, 2);
    file_watch_fini(&watch);
}

static void test_a_file_that_went_is_told_once_and_again_when_it_is_back(void **state) {
    struct file_watch watch;
    (void)state;
    write_file(path, "one");
    file_watch_init(&watch, loop, path, 10, span_of("one"), on_changed, &told);
    unlink(path);
    look(&watch);
    look(&watch);
    assert_int_equal(told, 1);
    assert_string_equal(reason, "No such file or directory");
    assert_string_equal(content, "");
    write_file(path, "far too large");
    look(&watch);
    assert_int_equal(told, 2);
    assert_string_equal(reason, "larger than 10 bytes");
    write_file(path, "one");
    look(&watch);
    assert_int_equal(told, 3);
    assert_string_equal(reason, "");
    assert_string_equal(content, "one");
    file_watch_fini(&watch);
    file_watch_fini(&watch); /* also a watch that was never begun */
}

static void look_without_descriptors(struct file_watch *watch) {
    struct rlimit usual, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = usual.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    look(watch);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
}

static void test_while_no_descriptor_is_left_nothing_is_told_of_the_file(void **state) {
    struct file_watch watch;
    (void)state;
    write_file(path, "two");
    file_watch_init(&watch, loop, path, 10, span_of("one"), on_changed, &told);
    look_without_descriptors(&watch);
    assert_int_equal(told, 0);
    look(&watch);
    assert_int_equal(told, 1);
    assert_string_equal(content, "two");
    look_without_descriptors(&watch);
    look(&watch);
    assert_int_equal(told, 1);
    file_watch_fini(&watch);
}

static void test_what_could_not_be_taken_is_told_again_once(void **state) {
    struct file_watch watch;
    (void)state;
    write_file(path, "two");
    file_watch_init(&watch, loop, path, 10, span_of("one"), on_changed, &told);
    look(&watch);
    file_watch_again(&watch);
    look_without_descriptors(&watch);
    assert_int_equal(told, 1);
    look(&watch);
    look(&watch);
    assert_int_equal(told, 2);
    assert_string_equal(content, "two");
    file_watch_fini(&watch);
}

static void test_a_watch_looks_by_itself_until_it_ends(void **state) {
    struct file_watch watch;
    (void)state;
    file_watch_init(&watch, loop, path, 10, span_of("one"), on_changed, &told);
    assert_true(watch.timer.slot != 0);
    loop_timer_set(loop, &watch.timer, clock_ms());
    turn_once();
    turn_once();
    assert_int_equal(told, 1);
    assert_true(watch.timer.slot != 0 && watch.timer.at_ms > clock_ms() &&
                watch.timer.at_ms < clock_ms() + 4000); /* in force within 5 s */
    file_watch_fini(&watch);
    assert_int_equal(watch.timer.slot, 0);
}

#define EXPOSED                                                                                    \
    "others than its owner may read it; chmod 600 it (640 will do where root owns it), and make "  \
    "a new key if it was exposed"

static void test_a_secret_is_not_read_while_others_may_read_it(void **state) {
    struct buf text = {0};
    struct error err;
    (void)state;
    write_file(path, "key");
    for (mode_t mode = 0600; mode <= 0607; mode++) {
        assert_int_equal(chmod(path, mode), 0);
        assert_int_equal(file_read_secret(path, 5, &text, &err), mode == 0600 ? 0 : -1);
        if (mode != 0600)
            assert_string_equal(err.message, EXPOSED);
    }
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(file_read_secret(path, 5, &text, &err), getuid() == 0 ? 0 : -1);
    buf_fini(&text);
}

static void test_a_watched_secret_is_told_of_once_others_cannot_read_it_any_more(void **state) {
    struct file_watch watch;
    (void)state;
    write_file(path, "two");
    assert_int_equal(chmod(path, 0644), 0);
    file_watch_init(&watch, loop, path, 10, span_of("one"), on_changed, &told);
    watch.secret = true;
    look(&watch);
    look(&watch);
    assert_int_equal(told, 1);
    assert_string_equal(content, "");
    assert_int_equal(strncmp(reason, EXPOSED, 40), 0);
    assert_int_equal(chmod(path, 0600), 0);
    look(&watch);
    look(&watch);
    assert_int_equal(told, 2);
    assert_string_equal(content, "two");
    file_watch_fini(&watch);
}

#define file_test(f) cmocka_unit_test_setup_teardown(f, make_all, remove_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        file_test(test_a_file_is_read_whole_up_to_the_limit),
        file_test(test_what_cannot_be_read_is_told_and_never_waited_for),
        file_test(test_a_change_is_told_once_however_it_came_about),
        file_test(test_a_file_that_went_is_told_once_and_again_when_it_is_back),
        file_test(test_while_no_descriptor_is_left_nothing_is_told_of_the_file),
        file_test(test_what_could_not_be_taken_is_told_again_once),
        file_test(test_a_watch_looks_by_itself_until_it_ends),
        file_test(test_a_secret_is_not_read_while_others_may_read_it),
        file_test(test_a_watched_secret_is_told_of_once_others_cannot_read_it_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
