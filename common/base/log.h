/* One line an event, logfmt, to stderr:
 *   ts=2026-05-07T14:03:11.123Z level=warn event=delivery_failed subscriber=md-mm1 cursor=1842
 * status=503 Only programs log; common/ reports errors to its caller. Never log a secret, a body or
 * a URL's query. */
#ifndef ESS_BASE_LOG_H
#define ESS_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

enum log_field_type { LOG_FIELD_END, LOG_FIELD_STRING, LOG_FIELD_NUMBER };

struct log_field {
    enum log_field_type type;
    const char *name;
    const char *string; /* quoted and escaped, as JSON strings are, where logfmt needs it; NULL
                           fields are left out */
    int64_t number;
};

#define LOG_S(name, value) ((struct log_field){LOG_FIELD_STRING, (name), (value), 0})
#define LOG_N(name, value) ((struct log_field){LOG_FIELD_NUMBER, (name), NULL, (int64_t)(value)})

enum {
    LOG_VALUE_BYTES_MAX = 1024
}; /* of a string; the rest is cut off, and the value ends with … */

/* log_info("listening", LOG_S("address", text), LOG_N("port", 80)); any thread, one write(2) a
 * line. It never waits: while nobody takes what was written before, lines are dropped, and the next
 * one that is taken follows a line event=log_lines_dropped with their count. Names and events are
 * the program's own words, and not escaped. A line is at most PIPE_BUF long: the fields that do not
 * fit are left out, and it ends with cut=1. */
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_at(level, ...) log_at_(level, __VA_ARGS__, (struct log_field){LOG_FIELD_END, 0, 0, 0})
#define log_at_(level, event, ...) log_write(level, event, (const struct log_field[]){__VA_ARGS__})

void log_write(enum log_level level, const char *event, const struct log_field *fields);

/* At a program's start, before the first line: gives stderr a file description that no other
 * process shares and whose writes never wait, and ignores SIGPIPE. */
void log_open(void);

/* Lines that were dropped since the start. Any thread. */
int64_t log_dropped(void);

/* Lines below this level are not written. The default is info. */
void log_set_level(enum log_level level);
/* "debug", "info", "warn", "error". Returns 0 or -1. */
int log_level_parse(const char *text, enum log_level *level);

/* Holds back a failure that repeats: at most one line a period; the next one says how many were
 * held back. Returns true when the line is to be written, and then sets `held_back`. All zero is a
 * fresh one. */
struct log_limit {
    int64_t next_ms;
    int64_t held_back;
};
bool log_limit_pass(struct log_limit *limit, int64_t now_ms, int64_t period_ms, int64_t *held_back);

/* The same for failures of which each names another thing: `most` lines a period. */
struct log_burst {
    int64_t until_ms;
    int passed;
    int64_t held_back;
};
bool log_burst_pass(struct log_burst *burst, int64_t now_ms, int64_t period_ms, int most,
                    int64_t *held_back);

#endif
