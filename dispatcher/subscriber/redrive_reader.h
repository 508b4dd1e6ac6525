/* The one reader of the dead letters for all redrives of the process. It serves those who wait in
 * their order, and each pass over a partition serves all who wait for it. Loop thread only; nothing
 * blocks. */
#ifndef ESS_DISPATCHER_REDRIVE_READER_H
#define ESS_DISPATCHER_REDRIVE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/span.h"

struct dispatcher;
struct redrive_reader;

struct redrive_reader_record {
    int64_t offset;
    struct span key, value; /* valid until `take` returns */
};

/* Who reads a partition from one offset on; embedded, all zero at first. Callbacks may ask nothing
 * of the reader. */
struct redrive_reader_user {
    int32_t partition;
    int64_t read; /* all up to here was taken; the reader's, once it was asked */
    /* The next record. Returns whether it wants the one behind it too. */
    bool (*take)(struct redrive_reader_user *user, const struct redrive_reader_record *record);
    void (*ended)(struct redrive_reader_user *user); /* there is no further record */
    bool waits, in_pass;                             /* the reader's */
    struct redrive_reader_user *prev, *next;
};

/* The dispatcher's reader, d->redrive_reader, made for its first user. NULL: librdkafka gave no
 * handle. */
struct redrive_reader *redrive_reader_join(struct dispatcher *d, struct error *err);
/* The last user's leaving frees it. */
void redrive_reader_leave(struct redrive_reader *letters, struct redrive_reader_user *user);

/* Takes what stands behind user->read, until `take` wants no more or `ended` was called. */
void redrive_reader_ask(struct redrive_reader *letters, struct redrive_reader_user *user);
/* As much as one user may keep, so that all together keep within bounds. */
size_t redrive_reader_share_bytes(const struct redrive_reader *letters);

#endif
