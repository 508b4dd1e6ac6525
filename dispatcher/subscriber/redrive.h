/* Reads a subscriber's dead letters for a redrive: the offsets in (from, to] of the partition in
 * ess.dlq, in order. Loop thread only; nothing blocks. */
#ifndef ESS_DISPATCHER_REDRIVE_H
#define ESS_DISPATCHER_REDRIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/span.h"
#include "common/model/token.h"

struct dispatcher;
struct redrive;

struct redrive_letter {
    int64_t offset; /* offset in the partition */
    int64_t cursor; /* of the event */
    struct span topic, id;
    struct span body; /* the event as delivered, without prev_cursor */
};

enum redrive_result {
    /* the next dead letter above the position; valid until it is released */
    REDRIVE_LETTER,
    REDRIVE_FULL,  /* none of those in memory; no more are read before some are released */
    REDRIVE_END,   /* there is none up to `to` */
    REDRIVE_LATER, /* `ready` is called when the answer is known */
};

/* Reads the dead letters of `id` and this registration id; only job->cursors if the job has
 * cursors. `job` must outlive the redrive. */
struct redrive *redrive_new(struct dispatcher *d, const char *id, const char *registration_id,
                            const struct token_job *job, void (*ready)(void *arg), void *arg,
                            struct error *err);
void redrive_free(struct redrive *redrive);

/* REDRIVE_LATER was the last answer, and `ready` was not called yet. */
bool redrive_waits(const struct redrive *redrive);
/* Dead letters up to `settled` are not asked for again. */
void redrive_release(struct redrive *redrive, int64_t settled);
/* The next dead letter above `position`; `passed`: no dead letter up to there. */
enum redrive_result redrive_next(struct redrive *redrive, int64_t position,
                                 struct redrive_letter *letter, int64_t *passed);

#endif
