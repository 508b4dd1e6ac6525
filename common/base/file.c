/* Files that people write; see file.h. A watch compares bytes: modification times are too coarse to
 * trust, and small files are cheap to read. */
#include "common/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"

enum { PIECE_BYTES = 4096 };

static int file_fail(struct error *err, int code) {
    error_set(err, "%s", strerror(code));
    return code;
}

int file_check_secret(int fd, struct error *err) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return error_set(err, "%s", strerror(errno));
    if (st.st_mode & (st.st_uid == 0 ? 037 : 077))
        return error_set(err, "others than its owner may read it; chmod 600 it (640 will do where "
                              "root owns it), and make a new key if it was exposed");
    return 0;
}

/* Returns 0, or an errno with its reason. */
static int file_append_open(int fd, size_t max, struct buf *out, struct error *err) {
    size_t before = out->len;
    ssize_t n;
    do {
        n = read(fd, buf_reserve(out, PIECE_BYTES), PIECE_BYTES);
        if (n > 0)
            buf_commit(out, (size_t)n);
    } while (n > 0 && out->len - before <= max);
    if (n < 0)
        return file_fail(err, errno);
    if (out->len - before <= max)
        return 0;
    error_set(err, "larger than %zu bytes", max);
    return EFBIG;
}

static int file_append(const char *path, size_t max, bool secret, struct buf *out,
                       struct error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return file_fail(err, errno);
    int result = secret && file_check_secret(fd, err) ? EACCES
                                                      : file_append_open(fd, max, out, err);
    close(fd);
    return result;
}

int file_read(const char *path, size_t max, struct buf *out, struct error *err) {
    return file_append(path, max, false, out, err) ? -1 : 0;
}

int file_read_secret(const char *path, size_t max, struct buf *out, struct error *err) {
    return file_append(path, max, true, out, err) ? -1 : 0;
}

/* A lack of descriptors or memory says nothing about the file. */
static bool file_watch_blames(int code) {
    return code != EMFILE && code != ENFILE && code != ENOMEM;
}

static void file_watch_look(void *arg) {
    struct file_watch *w = arg;
    struct buf now = {0};
    struct error err;
    loop_timer_set(w->loop, &w->timer, clock_ms() + FILE_WATCH_MS);
    int code = file_append(w->path, w->max, w->secret, &now, &err);
    if (code) {
        buf_wipe(&now);
        if (!file_watch_blames(code) || strcmp(w->error.message, err.message) == 0)
            return;
        w->error = err;
        w->changed(w->arg, (struct span){"", 0}, &err);
        return;
    }
    bool same = !w->again && !*w->error.message &&
                span_equal((struct span){now.data, now.len},
                           (struct span){w->content.data, w->content.len});
    buf_wipe(&w->content);
    w->content = now;
    w->error = (struct error){0};
    w->again = false;
    if (!same)
        w->changed(w->arg, (struct span){buf_string(&w->content), w->content.len}, NULL);
}

void file_watch_init(struct file_watch *w, struct loop *loop, const char *path, size_t max,
                     struct span content,
                     void (*changed)(void *, struct span, const struct error *), void *arg) {
    *w = (struct file_watch){
        .loop = loop, .path = path, .max = max, .changed = changed, .arg = arg};
    buf_append(&w->content, content.data, content.len);
    loop_timer_init(&w->timer, file_watch_look, w);
    loop_timer_set(loop, &w->timer, clock_ms() + FILE_WATCH_MS);
}

void file_watch_again(struct file_watch *w) { w->again = true; }

void file_watch_fini(struct file_watch *w) {
    if (!w->loop)
        return;
    loop_timer_clear(w->loop, &w->timer);
    buf_wipe(&w->content);
    *w = (struct file_watch){0};
}
