/* Log lines as they reach stderr: here a socket that keeps every write(2) separate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/log.h"

enum { WRITE_BYTES_MAX = 65536 };

static int ends[2], real_stderr;

static void begin_capture(void) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    real_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
}

static void end_capture(void) {
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    close(ends[1]);
}

/* The next write, without its line end; NULL if nothing was written. */
static const char *next_write(void) {
    static char text[WRITE_BYTES_MAX];
    ssize_t n = recv(ends[0], text, sizeof text - 1, MSG_DONTWAIT);
    if (n <= 0)
        return NULL;
    text[n] = 0;
    assert_int_equal(strcspn(text, "\n"), n - 1); /* one line, whole */
    text[n - 1] = 0;
    return text;
}

static void no_more_writes(void) {
    assert_null(next_write());
    close(ends[0]);
}

/* The part of a line after its time. */
static const char *after_time(const char *line) {
    assert_non_null(line);
    assert_int_equal(strncmp(line, "ts=", 3), 0);
    const char *space = strchr(line, ' ');
    assert_non_null(space);
    assert_int_equal(clock_parse(line + 3, (size_t)(space - line) - 3, NULL), 0);
    return space + 1;
}

static void assert_value(const char *value, const char *expected) {
    char line[WRITE_BYTES_MAX];
    snprintf(line, sizeof line, "level=info event=test name=%s", expected);
    begin_capture();
    log_info("test", LOG_S("name", value));
    end_capture();
    assert_string_equal(after_time(next_write()), line);
    no_more_writes();
}

static void a_line_is_time_level_event_and_fields_in_one_write(void **state) {
    (void)state;
    begin_capture();
    log_warn("delivery_failed", LOG_S("subscriber", "md-mm1"), LOG_N("cursor", 1842),
             LOG_N("least", INT64_MIN));
    log_error("alone");
    end_capture();
    assert_string_equal(after_time(next_write()),
                        "level=warn event=delivery_failed subscriber=md-mm1 cursor=1842 "
                        "least=-9223372036854775808");
    assert_string_equal(after_time(next_write()), "level=error event=alone");
    no_more_writes();
}

static void plain_values_stand_as_they_are(void **state) {
    (void)state;
    assert_value("127.0.0.1:8080", "127.0.0.1:8080");
    assert_value("subscribers/mmis.yml:4", "subscribers/mmis.yml:4");
    assert_value("a'b{c}[d]<e>%20;&", "a'b{c}[d]<e>%20;&");
}

static void values_that_logfmt_could_misread_are_quoted(void **state) {
    (void)state;
    assert_value("", "\"\"");
    assert_value("two words", "\"two words\"");
    assert_value("a=b", "\"a=b\"");
    assert_value("Łódź", "\"Łódź\"");
}

static void quotes_and_backslashes_are_escaped(void **state) {
    (void)state;
    assert_value("say \"no\"", "\"say \\\"no\\\"\"");
    assert_value("C:\\temp", "\"C:\\\\temp\"");
    assert_value("\\\" level=error event=forged", "\"\\\\\\\" level=error event=forged\"");
}

static void a_value_never_begins_a_line_of_its_own(void **state) {
    (void)state;
    assert_value("a\nts=2026-01-01T00:00:00Z level=error event=forged",
                 "\"a\\nts=2026-01-01T00:00:00Z level=error event=forged\"");
    assert_value("a\r\nb", "\"a\\r\\nb\"");
}

static void control_bytes_reach_no_terminal(void **state) {
    (void)state;
    assert_value("\x1b[31mred\x07\x7f", "\"\\u001b[31mred\\u0007\\u007f\"");
    assert_value("tab\tx", "\"tab\\tx\"");
    assert_value("\xc2\x9b"
                 "31m",
                 "\"\\u009b31m\"");
}

static void bytes_that_are_not_utf8_are_replaced(void **state) {
    (void)state;
    assert_value("a\xff"
                 "b",
                 "\"a\xef\xbf\xbd"
                 "b\"");
}

static void a_field_without_a_value_is_left_out(void **state) {
    (void)state;
    begin_capture();
    log_info("test", LOG_S("no", NULL), LOG_N("yes", 0), LOG_S("also", "x"));
    end_capture();
    assert_string_equal(after_time(next_write()), "level=info event=test yes=0 also=x");
    no_more_writes();
}

static void a_long_value_is_cut_and_says_so(void **state) {
    (void)state;
    char longest[LOG_VALUE_BYTES_MAX + 2], expected[WRITE_BYTES_MAX];
    memset(longest, 'x', sizeof longest);
    longest[LOG_VALUE_BYTES_MAX + 1] = 0;
    snprintf(expected, sizeof expected, "\"%.*s…\"", LOG_VALUE_BYTES_MAX, longest);
    assert_value(longest, expected);
    longest[LOG_VALUE_BYTES_MAX] = 0;
    assert_value(longest, longest);
    longest[0] = '=';
    snprintf(expected, sizeof expected, "\"%s\"", longest);
    assert_value(longest, expected);
}

static void a_long_value_is_not_cut_within_a_character(void **state) {
    (void)state;
    char text[LOG_VALUE_BYTES_MAX + 3], expected[WRITE_BYTES_MAX];
    memset(text, 'x', sizeof text);
    memcpy(text + LOG_VALUE_BYTES_MAX - 1, "€", 4);
    snprintf(expected, sizeof expected, "\"%.*s…\"", LOG_VALUE_BYTES_MAX - 1, text);
    assert_value(text, expected);
}

static void a_line_is_never_longer_than_a_pipe_takes_in_one_piece(void **state) {
    (void)state;
    char longest[LOG_VALUE_BYTES_MAX + 1], controls[LOG_VALUE_BYTES_MAX + 1];
    memset(longest, 'x', sizeof longest - 1);
    memset(controls, '\x01', sizeof controls - 1);
    longest[LOG_VALUE_BYTES_MAX] = controls[LOG_VALUE_BYTES_MAX] = 0;
    begin_capture();
    log_info("test", LOG_S("a", longest), LOG_S("b", longest), LOG_S("c", longest),
             LOG_S("d", longest), LOG_N("e", 5));
    log_info("test", LOG_S("a", controls), LOG_N("b", 2));
    end_capture();
    for (int i = 0; i < 2; i++) {
        const char *line = next_write();
        assert_non_null(line);
        assert_true(strlen(line) + 1 <= PIPE_BUF);
        assert_string_equal(line + strlen(line) - 6, " cut=1");
    }
    no_more_writes();
}

static void lines_below_the_level_are_dropped(void **state) {
    (void)state;
    begin_capture();
    log_debug("too_low"); /* the default is info */
    log_set_level(LOG_LEVEL_WARN);
    log_info("too_low");
    log_warn("passes");
    log_error("passes_too");
    log_set_level(LOG_LEVEL_ERROR);
    log_warn("too_low");
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("all_pass");
    log_set_level(LOG_LEVEL_INFO);
    end_capture();
    assert_string_equal(after_time(next_write()), "level=warn event=passes");
    assert_string_equal(after_time(next_write()), "level=error event=passes_too");
    assert_string_equal(after_time(next_write()), "level=debug event=all_pass");
    no_more_writes();
}

static void levels_have_four_names(void **state) {
    (void)state;
    static const char *const names[] = {"debug", "info", "warn", "error"}, *const others[] = {
                                                                               "",        "Info",
                                                                               "warning", "inf",
                                                                               "infos",   "0"};
    for (int i = 0; i < 4; i++) {
        enum log_level level = LOG_LEVEL_DEBUG;
        assert_int_equal(log_level_parse(names[i], &level), 0);
        assert_int_equal(level, i);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(log_level_parse(others[i], &(enum log_level){0}), -1);
}

enum { THREADS = 4, LINES_EACH = 500 };

static void *write_lines(void *arg) {
    for (int i = 0; i < LINES_EACH; i++)
        log_info("line", LOG_S("text", arg), LOG_N("i", i));
    return NULL;
}

/* Reads until the writers have ended. Every line must be a whole line of theirs. */
static void *count_lines(void *arg) {
    FILE *in = arg;
    char *line = NULL;
    size_t cap = 0, count = 0;
    while (getline(&line, &cap, in) > 0) {
        if (strstr(line, "event=log_lines_dropped"))
            continue;
        const char *text = strstr(line, " text="), *i = strstr(line, " i=");
        count += text && i && text + 6 + 900 == i &&
                 strspn(text + 6, (const char[]){text[6], 0}) == 900;
    }
    free(line);
    return (void *)(uintptr_t)count;
}

static void lines_of_several_threads_never_mix(void **state) {
    (void)state;
    static char texts[THREADS][901];
    pthread_t threads[THREADS], reader;
    int pipe_ends[2];
    void *count;
    int64_t dropped_before = log_dropped();
    assert_int_equal(pipe(pipe_ends), 0);
    real_stderr = dup(STDERR_FILENO);
    dup2(pipe_ends[1], STDERR_FILENO);
    close(pipe_ends[1]);
    FILE *in = fdopen(pipe_ends[0], "r");
    pthread_create(&reader, NULL, count_lines, in);
    for (int i = 0; i < THREADS; i++) {
        memset(texts[i], 'a' + i, 900);
        pthread_create(&threads[i], NULL, write_lines, texts[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    pthread_join(reader, &count);
    fclose(in);
    assert_int_equal((uintptr_t)count + (uintptr_t)(log_dropped() - dropped_before),
                     THREADS * LINES_EACH);
    begin_capture();
    log_info("tells_of_those_that_were_dropped");
    end_capture();
    close(ends[0]);
}

/* --- a blocked stderr */

static int pipe_ends[2];

static void begin_pipe(void) {
    assert_int_equal(pipe(pipe_ends), 0);
    real_stderr = dup(STDERR_FILENO);
    dup2(pipe_ends[1], STDERR_FILENO);
    log_open();
}

static void end_pipe(void) {
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    close(pipe_ends[1]);
}

/* Logs until a line is dropped. Returns how many lines were written. */
static int fill(void) {
    int64_t before = log_dropped();
    int lines = 0;
    for (; log_dropped() == before; lines++)
        log_info("line", LOG_N("i", lines));
    return lines - 1;
}

static void a_full_pipe_drops_lines_counts_them_and_says_so_later(void **state) {
    (void)state;
    char *line = NULL;
    size_t cap = 0;
    begin_pipe();
    int64_t before = log_dropped();
    int taken = fill();
    log_info("dropped_too");
    assert_int_equal(log_dropped() - before, 2);
    FILE *in = fdopen(pipe_ends[0], "r");
    for (int i = 0; i < taken; i++)
        assert_true(getline(&line, &cap, in) > 0);
    log_info("taken");
    end_pipe();
    assert_true(getline(&line, &cap, in) > 0);
    assert_non_null(strstr(line, "level=warn event=log_lines_dropped count=2\n"));
    assert_true(getline(&line, &cap, in) > 0);
    assert_non_null(strstr(line, "level=info event=taken\n"));
    assert_true(getline(&line, &cap, in) < 0);
    fclose(in);
    free(line);
}

static void a_closed_pipe_ends_nobody(void **state) {
    (void)state;
    begin_pipe();
    int64_t before = log_dropped();
    close(pipe_ends[0]);
    log_error("into_the_void");
    end_pipe();
    assert_int_equal(log_dropped() - before, 1);
}

static void whoever_shares_the_pipe_still_may_wait_for_it(void **state) {
    (void)state;
    begin_pipe();
    assert_true(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK);
    assert_false(fcntl(pipe_ends[1], F_GETFL) & O_NONBLOCK);
    end_pipe();
    close(pipe_ends[0]);
}

/* stderr cannot be reopened here. */
static void a_full_socket_drops_lines_too(void **state) {
    (void)state;
    begin_capture();
    log_open();
    fill();
    assert_false(fcntl(ends[1], F_GETFL) & O_NONBLOCK);
    end_capture();
    close(ends[0]);
    begin_capture();
    log_info("test");
    end_capture();
    assert_non_null(strstr(next_write(), "event=log_lines_dropped count=1"));
    assert_string_equal(after_time(next_write()), "level=info event=test");
    no_more_writes();
}

/* --- holding back */

static void a_fresh_limit_passes_the_first(void **state) {
    (void)state;
    struct log_limit limit = {0};
    int64_t held_back = -1;
    assert_true(log_limit_pass(&limit, clock_ms(), 1000, &held_back));
    assert_int_equal(held_back, 0);
}

static void a_repeating_failure_is_one_line_a_period_and_counted(void **state) {
    (void)state;
    struct log_limit limit = {0};
    int64_t held_back = -1;
    assert_true(log_limit_pass(&limit, 5000, 1000, &held_back));
    assert_int_equal(held_back, 0);
    held_back = -1;
    assert_false(log_limit_pass(&limit, 5000, 1000, &held_back));
    assert_false(log_limit_pass(&limit, 5500, 1000, &held_back));
    assert_false(log_limit_pass(&limit, 5999, 1000, &held_back));
    assert_int_equal(held_back, -1);
    assert_true(log_limit_pass(&limit, 6000, 1000, &held_back));
    assert_int_equal(held_back, 3);
    assert_false(log_limit_pass(&limit, 6999, 1000, &held_back));
    assert_true(log_limit_pass(&limit, 60000, 1000, &held_back));
    assert_int_equal(held_back, 1);
    assert_true(log_limit_pass(&limit, 70000, 1000, &held_back));
    assert_int_equal(held_back, 0);
}

static void a_burst_passes_so_many_a_period_and_counts_the_rest(void **state) {
    (void)state;
    struct log_burst burst = {0};
    int64_t held_back = -1;
    for (int i = 0; i < 3; i++)
        assert_true(log_burst_pass(&burst, 5000 + i, 1000, 3, &held_back) && held_back == 0);
    assert_false(log_burst_pass(&burst, 5003, 1000, 3, &held_back));
    assert_false(log_burst_pass(&burst, 5999, 1000, 3, &held_back));
    assert_true(log_burst_pass(&burst, 6000, 1000, 3, &held_back));
    assert_int_equal(held_back, 2);
    assert_true(log_burst_pass(&burst, 6001, 1000, 3, &held_back) && held_back == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_time_level_event_and_fields_in_one_write),
        cmocka_unit_test(plain_values_stand_as_they_are),
        cmocka_unit_test(values_that_logfmt_could_misread_are_quoted),
        cmocka_unit_test(quotes_and_backslashes_are_escaped),
        cmocka_unit_test(a_value_never_begins_a_line_of_its_own),
        cmocka_unit_test(control_bytes_reach_no_terminal),
        cmocka_unit_test(bytes_that_are_not_utf8_are_replaced),
        cmocka_unit_test(a_field_without_a_value_is_left_out),
        cmocka_unit_test(a_long_value_is_cut_and_says_so),
        cmocka_unit_test(a_long_value_is_not_cut_within_a_character),
        cmocka_unit_test(a_line_is_never_longer_than_a_pipe_takes_in_one_piece),
        cmocka_unit_test(lines_below_the_level_are_dropped),
        cmocka_unit_test(levels_have_four_names),
        cmocka_unit_test(lines_of_several_threads_never_mix),
        cmocka_unit_test(a_full_pipe_drops_lines_counts_them_and_says_so_later),
        cmocka_unit_test(a_closed_pipe_ends_nobody),
        cmocka_unit_test(whoever_shares_the_pipe_still_may_wait_for_it),
        cmocka_unit_test(a_full_socket_drops_lines_too),
        cmocka_unit_test(a_fresh_limit_passes_the_first),
        cmocka_unit_test(a_burst_passes_so_many_a_period_and_counts_the_rest),
        cmocka_unit_test(a_repeating_failure_is_one_line_a_period_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
