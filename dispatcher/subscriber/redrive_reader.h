/* The process's reader of dead letters, shared by all redrives. Users are served in turn, and
 * each pass over a partition serves all users waiting for the partition. Loop thread only;
 * nothing blocks. */
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

/* A user reads a partition from an offset on; embedded, all zero at first. Callbacks must not
 * call the reader. */
struct redrive_reader_user {
    int32_t partition;
    int64_t read; /* everything up to here was taken; owned by the reader once asked */
    /* The next record. Returns whether the user wants the following record too. */
    bool (*take)(struct redrive_reader_user *user, const struct redrive_reader_record *record);
    void (*ended)(struct redrive_reader_user *user); /* there is no further record */
    bool waits, in_pass;                             /* the reader's */
    struct redrive_reader_user *prev, *next;
};

/* The dispatcher's reader, d->redrive_reader, made for the first user. NULL: librdkafka gave no
 * handle. */
struct redrive_reader *redrive_reader_join(struct dispatcher *d, struct error *err);
/* Frees the reader when the last user leaves. */
void redrive_reader_leave(struct redrive_reader *reader, struct redrive_reader_user *user);

/* Takes the records above user->read, until `take` returns false or `ended` is called. */
void redrive_reader_ask(struct redrive_reader *reader, struct redrive_reader_user *user);
/* The memory that one user may hold, so that all users together stay within bounds. */
size_t redrive_reader_share_bytes(const struct redrive_reader *reader);

#endif
