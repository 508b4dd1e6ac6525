/* One logfmt line an event; see log.h. The line is built whole and written by one write(2) of at most PIPE_BUF bytes, so
 * that lines of two threads, or of two programs on one pipe, never mix. */
#include "common/base/log.h"

#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"

#define CUT " cut=1" /* and what is left out before it */

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

static bool is_plain(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~' || text[i] == '"' || text[i] == '=' || text[i] == '\\')
            return false;
    return len > 0;
}

static void add_value(struct buf *line, const char *text) {
    size_t len = strnlen(text, LOG_VALUE_BYTES_MAX + 1);
    bool cut = len > LOG_VALUE_BYTES_MAX;
    if (!cut && is_plain(text, len)) {
        buf_append(line, text, len);
        return;
    }
    if (cut)
        len = LOG_VALUE_BYTES_MAX;
    while (cut && len && (text[len] & 0xc0) == 0x80) /* within a character */
        len--;
    buf_json_string(line, text, len);
    if (cut) {
        line->len--;
        buf_puts(line, "…\"");
    }
}

static void add_field(struct buf *line, const struct log_field *field) {
    if (field->type == LOG_FIELD_NUMBER) {
        buf_printf(line, " %s=%" PRId64, field->name, field->number);
    } else if (field->string) {
        buf_printf(line, " %s=", field->name);
        add_value(line, field->string);
    }
}

void log_write(enum log_level level, const char *event, const struct log_field *fields) {
    struct buf line = {0};
    char now[CLOCK_TEXT_BYTES];
    if (level < least)
        return;
    clock_format(clock_wall_ms(), now);
    buf_printf(&line, "ts=%s level=%s event=%s", now, names[level], event);
    for (const struct log_field *f = fields; f->type != LOG_FIELD_END; f++) {
        size_t before = line.len;
        add_field(&line, f);
        if (line.len > PIPE_BUF - sizeof CUT) {
            line.len = before;
            buf_puts(&line, CUT);
            break;
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
