/* Files that people write: read whole, and read again when they change. */
#ifndef ESS_BASE_FILE_H
#define ESS_BASE_FILE_H

#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/loop.h"
#include "common/base/span.h"

/* Appends the whole of a file of at most `max` bytes. Returns 0, or -1 with the reason (which does
 * not name the file). Blocks as long as the disk does; never on a pipe. */
int file_read(const char *path, size_t max, struct buf *out, struct error *err);

enum { FILE_WATCH_MS = 2000 };

/* Reads a file every FILE_WATCH_MS and tells when its bytes are others than before, however that
 * came about (written in place, renamed over, another mount). The struct is the caller's (embedded,
 * all zero at first). On the loop's thread. */
struct file_watch {
    struct loop *loop;
    struct loop_timer timer;
    const char *path;
    size_t max;
    struct buf content; /* as it was last told; wiped in the end */
    struct error error; /* why it cannot be read, as it was last told; no message when it can */
    /* `content` is empty and `err` not NULL when the file cannot be read; told once for each
     * reason. */
    void (*changed)(void *arg, struct span content, const struct error *err);
    void *arg;
};

/* Begins with what the caller has read already. `path` stays the caller's and must stay. */
void file_watch_init(struct file_watch *watch, struct loop *loop, const char *path, size_t max,
                     struct span content,
                     void (*changed)(void *arg, struct span content, const struct error *err),
                     void *arg);
void file_watch_fini(struct file_watch *watch);

#endif
