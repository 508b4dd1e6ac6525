/* Log lines in logfmt; see log.h. Each line goes out in one write(2) of at most PIPE_BUF bytes, so
 * lines from two threads, or from two programs on one pipe, never mix. A line that stderr does not
 * accept at once is dropped and counted. */
#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/names.h"
#include "common/base/utf8.h"

#define CUT " cut=1" /* ends a line that lacks fields */

static const char *const names[] = {"debug", "info", "warn", "error"};
static _Atomic enum log_level least = LOG_LEVEL_INFO;
/* Lines dropped: since the start, and since the last report. */
static _Atomic int64_t dropped, dropped_unreported;

void log_set_level(enum log_level level) { least = level; }

int log_level_parse(const char *text, enum log_level *level) {
    int found = names_find(names, sizeof names / sizeof *names, text);
    if (found < 0)
        return -1;
    *level = (enum log_level)found;
    return 0;
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
    buf_json_string(line, text, utf8_fit(text, len, LOG_VALUE_BYTES_MAX));
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

/* Reopens stderr, so that O_NONBLOCK is set for no other process. The kernel refuses to reopen a
 * socket or another user's pipe: there, log_put relies on poll(). */
void log_open(void) {
    struct stat is;
    signal(SIGPIPE, SIG_IGN);
    if (fstat(STDERR_FILENO, &is) || !(S_ISFIFO(is.st_mode) || S_ISCHR(is.st_mode)))
        return; /* writing to a file never waits for a reader */
    int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return;
    dup2(fd, STDERR_FILENO);
    close(fd);
}

/* Returns false when stderr is full, closed or broken. Never waits. */
static bool log_put(const char *data, size_t len) {
    struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&fd, 1, 0) != 1 || !(fd.revents & POLLOUT))
        return false;
    ssize_t written = send(STDERR_FILENO, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (written < 0 && errno == ENOTSOCK)
        written = write(STDERR_FILENO, data, len);
    return written >= 0;
}

static void log_begin_line(struct buf *line, enum log_level level, const char *event) {
    char now[CLOCK_TEXT_BYTES];
    clock_format(clock_wall_ms(), now);
    buf_printf(line, "ts=%s level=%s event=%s", now, names[level], event);
}

static void log_report_dropped(void) {
    struct buf line = {0};
    int64_t count = atomic_exchange(&dropped_unreported, 0);
    if (count == 0)
        return;
    log_begin_line(&line, LOG_LEVEL_WARN, "log_lines_dropped");
    buf_printf(&line, " count=%" PRId64 "\n", count);
    if (!log_put(line.data, line.len))
        dropped_unreported += count;
    buf_fini(&line);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields) {
    struct buf line = {0};
    if (level < least)
        return;
    log_begin_line(&line, level, event);
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
    log_report_dropped();
    if (!log_put(line.data, line.len)) {
        dropped++;
        dropped_unreported++;
    }
    buf_fini(&line);
}

int64_t log_dropped(void) { return dropped; }

bool log_limit_pass(struct log_limit *limit, int64_t now_ms, int64_t period_ms,
                    int64_t *held_back) {
    if (now_ms < limit->next_ms) {
        limit->held_back++;
        return false;
    }
    *held_back = limit->held_back;
    limit->held_back = 0;
    limit->next_ms = now_ms + period_ms;
    return true;
}

bool log_burst_pass(struct log_burst *burst, int64_t now_ms, int64_t period_ms, int most,
                    int64_t *held_back) {
    *held_back = 0;
    if (now_ms >= burst->until_ms) {
        *held_back = burst->held_back;
        *burst = (struct log_burst){.until_ms = now_ms + period_ms};
    }
    if (burst->passed == most) {
        burst->held_back++;
        return false;
    }
    burst->passed++;
    return true;
}
