/* One YAML file of a subscriber, as last read. Loop thread only; reading the file blocks. */
#ifndef ESS_INGEST_SUBSCRIBER_FILE_H
#define ESS_INGEST_SUBSCRIBER_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <uthash.h>

#include "common/model/spec.h"

/* A complaint about a file or folder, logged once and shown in the list of subscribers. */
struct complaint {
    char *error; /* NULL: no complaint */
    int64_t line;
};

struct subscriber_file {
    UT_hash_handle hh;
    char *path; /* "subscribers/mmis.yml" */
    struct timespec modified;
    off_t size;
    ino_t inode;
    bool seen; /* in this scan */
    bool good; /* `spec` is valid: the last good content */
    bool bad;  /* the present content is bad */
    /* read the file again even if unchanged: a file that it names may have changed, or reading
     * failed */
    bool again;
    struct spec spec; /* includes the secret */
    bool asking;      /* the start position is being resolved */
    /* offsets of the records last found equal to the file; -1: no such record */
    int64_t generation, keys_offset;
    struct complaint complaint;
};

/* Makes a file that has not been read yet. */
struct subscriber_file *subscriber_file_new(const char *path);
void subscriber_file_free(struct subscriber_file *file);

/* Reads the file if it looks changed. Returns true when the spec has changed, or is good again. A
 * bad or unreadable file keeps its last good spec and gets a complaint. */
bool subscriber_file_load(struct subscriber_file *file, const struct stat *now,
                          const struct spec_rules *rules);

/* Notes a complaint, and logs a new one as an error. `line` 0: no line to blame. `file` is a
 * path. */
void complain(struct complaint *complaint, const char *event, const char *file, int64_t line,
              const char *error);
void complaint_clear(struct complaint *complaint);

#endif
