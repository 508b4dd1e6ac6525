/* Reads files that people write, and watches files for changes. */
#ifndef ESS_BASE_FILE_H
#define ESS_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/loop.h"
#include "common/base/span.h"

/* Appends a whole file of at most `max` bytes. Returns 0, or -1 with a reason that does not name
 * the file. Blocks as long as the disk does; never on a pipe. */
int file_read(const char *path, size_t max, struct buf *out, struct error *err);

/* Refuses an open file that others than its owner may read, except that the group may read root's
 * file (PostgreSQL's rule: Kubernetes mounts secrets as root's, with the pod's group). */
int file_check_secret(int fd, struct error *err);
/* file_read for a secret: with file_check_secret. */
int file_read_secret(const char *path, size_t max, struct buf *out, struct error *err);

enum { FILE_WATCH_MS = 2000 };

/* Reads a file every FILE_WATCH_MS and reports changed bytes, whatever the change was (written in
 * place, renamed over, another mount). Reports nothing while no descriptor or memory is left to
 * read the file. The caller embeds the struct, all zero at first. Loop thread only. */
struct file_watch {
    struct loop *loop;
    struct loop_timer timer;
    const char *path;
    size_t max;
    struct buf content; /* as last reported; wiped at the end */
    struct error error; /* last reported reason; "" while the file can be read */
    bool again;         /* report the content once more */
    bool secret;        /* set after file_watch_init: read by file_read_secret */
    /* Reports new content, or a read error with empty content. Each reason is reported once. */
    void (*changed)(void *arg, struct span content, const struct error *err);
    void *arg;
};

/* Starts with `content`, which the caller has just read. The caller keeps `path` alive. */
void file_watch_init(struct file_watch *watch, struct loop *loop, const char *path, size_t max,
                     struct span content,
                     void (*changed)(void *arg, struct span content, const struct error *err),
                     void *arg);
/* Call when the reported content cannot be used yet: the next look reports the content again. */
void file_watch_again(struct file_watch *watch);
void file_watch_fini(struct file_watch *watch);

#endif
