/* Log lines in logfmt on stderr:
 *
 *   ts=2026-05-07T14:03:11.123Z level=warn event=delivery_failed subscriber=md-mm1 cursor=1842
 *
 * Only programs log; code in common/ returns errors. Never log a secret, a body or a query. */
#ifndef ESS_BASE_LOG_H
#define ESS_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

enum log_field_type { LOG_FIELD_END, LOG_FIELD_STRING, LOG_FIELD_NUMBER };

struct log_field {
    enum log_field_type type;
    const char *name;
    /* Quoted and escaped like a JSON string where logfmt needs quotes. A NULL field is left out. */
    const char *string;
    int64_t number;
};

#define LOG_S(name, value) ((struct log_field){LOG_FIELD_STRING, (name), (value), 0})
#define LOG_N(name, value) ((struct log_field){LOG_FIELD_NUMBER, (name), NULL, (int64_t)(value)})

/* Longest string value; a longer one is cut and ends with …. */
enum { LOG_VALUE_BYTES_MAX = 1024 };

/* log_info("listening", LOG_S("address", text), LOG_N("port", 80)) writes one line by one write(2),
 * from any thread. Never waits: while stderr is blocked, lines are dropped, and
 * event=log_lines_dropped with their count goes before the next written line. Field names and
 * events are constants of the program and not escaped. A line is at most PIPE_BUF long: fields
 * beyond are left out, and cut=1 ends the line. */
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_at(level, ...) log_at_(level, __VA_ARGS__, (struct log_field){LOG_FIELD_END, 0, 0, 0})
#define log_at_(level, event, ...) log_write(level, event, (const struct log_field[]){__VA_ARGS__})

void log_write(enum log_level level, const char *event, const struct log_field *fields);

/* Call at program start, before the first line. Gives stderr a file description of its own whose
 * writes never wait, and ignores SIGPIPE. */
void log_open(void);

/* Lines dropped since the start. Any thread. */
int64_t log_dropped(void);

/* Hides lines below this level. The default is info. */
void log_set_level(enum log_level level);
/* Reads "debug", "info", "warn" or "error". Returns 0 or -1. */
int log_level_parse(const char *text, enum log_level *level);

/* Limits a repeated failure to one line a period. Returns true when the line may be written, and
 * sets `held_back` to the number of lines held back before. All zero at first. */
struct log_limit {
    int64_t next_ms;
    int64_t held_back;
};
bool log_limit_pass(struct log_limit *limit, int64_t now_ms, int64_t period_ms, int64_t *held_back);

/* Limits failures that each name another object, to `most` lines a period. */
struct log_burst {
    int64_t until_ms;
    int passed;
    int64_t held_back;
};
bool log_burst_pass(struct log_burst *burst, int64_t now_ms, int64_t period_ms, int most,
                    int64_t *held_back);

#endif
