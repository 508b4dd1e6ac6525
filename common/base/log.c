/* One logfmt line an event; see log.h. The line is built whole and written by one write(2), so that lines of two threads
 * never mix. */
#include "common/base/log.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"

enum { VALUE_BYTES_MAX = 2048 };

static const char *const names[] = {"debug", "info", "warn", "error"};
static _Atomic enum log_level least = LOG_LEVEL_INFO;

void log_set_level(enum log_level level) { least = level; }

int log_level_parse(const char *text, enum log_level *level) {
    for (int i = LOG_LEVEL_DEBUG; i <= LOG_LEVEL_ERROR; i++) {
        if (strcmp(text, names[i]) == 0) {
            *level = (enum log_level)i;
            return 0;
        }
    }
    return -1;
}

static bool is_plain(const char *text) {
    for (const char *p = text; *p; p++)
        if (*p <= ' ' || *p == '"' || *p == '=' || *p == '\\' || *p == 0x7f)
            return false;
    return *text != 0;
}

static void add_value(struct buf *line, const char *text) {
    if (is_plain(text) && strlen(text) <= VALUE_BYTES_MAX) {
        buf_puts(line, text);
        return;
    }
    buf_puts(line, "\"");
    for (const char *p = text; *p && p - text < VALUE_BYTES_MAX; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\')
            buf_printf(line, "\\%c", c);
        else if (c == '\n')
            buf_puts(line, "\\n");
        else if (c < ' ' || c == 0x7f)
            buf_printf(line, "\\x%02x", c);
        else
            buf_append(line, p, 1);
    }
    buf_puts(line, "\"");
}

void log_write(enum log_level level, const char *event, const struct log_field *fields) {
    struct buf line = {0};
    char now[CLOCK_TEXT_BYTES];
    if (level < least)
        return;
    clock_format(clock_wall_ms(), now);
    buf_printf(&line, "ts=%s level=%s event=%s", now, names[level], event);
    for (const struct log_field *f = fields; f->type != LOG_FIELD_END; f++) {
        if (f->type == LOG_FIELD_NUMBER) {
            buf_printf(&line, " %s=%" PRId64, f->name, f->number);
        } else if (f->string) {
            buf_printf(&line, " %s=", f->name);
            add_value(&line, f->string);
        }
    }
    buf_puts(&line, "\n");
    if (write(STDERR_FILENO, line.data, line.len) < 0) {
        /* nobody to tell */
    }
    buf_fini(&line);
}

bool log_limit_pass(struct log_limit *limit, int64_t now_ms, int64_t period_ms, int64_t *held_back) {
    if (now_ms < limit->next_ms) {
        limit->held_back++;
        return false;
    }
    *held_back = limit->held_back;
    limit->held_back = 0;
    limit->next_ms = now_ms + period_ms;
    return true;
}
