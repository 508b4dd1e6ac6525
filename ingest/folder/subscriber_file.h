/* One YAML file of a subscriber, as it was last read. Loop thread only; reading blocks as files do.
 */
#ifndef ESS_INGEST_SUBSCRIBER_FILE_H
#define ESS_INGEST_SUBSCRIBER_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <uthash.h>

#include "common/model/spec.h"

/* What is wrong with it, for the log (once) and the list of subscribers. */
struct complaint {
    char *error; /* NULL: nothing */
    int64_t line;
};

struct subscriber_file {
    UT_hash_handle hh;
    char *path; /* "subscribers/mmis.yml" */
    struct timespec modified;
    off_t size;
    ino_t inode;
    bool seen;  /* in this scan */
    bool good;  /* `spec` is its content, or was before it went bad */
    bool bad;   /* as it is now */
    bool again; /* read it again although it looks the same: a secret_file may have changed, or
                   reading failed */
    struct spec spec; /* with its secret */
    bool asking;      /* where it is to start is being looked up */
    int64_t generation,
        keys_offset; /* of the records that it was last found to be equal to; -1: none */
    struct complaint complaint;
};

/* A file that was not read yet. */
struct subscriber_file *subscriber_file_new(const char *path);
void subscriber_file_free(struct subscriber_file *file);

/* Reads it when it looks other than before. Returns true when its spec is another now, or good
 * again. One that cannot be read or is wrong keeps its last good spec, and complains. */
bool subscriber_file_load(struct subscriber_file *file, const struct stat *now,
                          const struct cidr *allowed, size_t allowed_count);

/* Notes what is wrong, and logs it as an error when that is new; `line` 0: none to blame. `file` is
 * a path. */
void complain(struct complaint *complaint, const char *event, const char *file, int64_t line,
              const char *error);
void complaint_clear(struct complaint *complaint);

#endif
