/* Dead letters on their way back: a subscriber's, at the offsets in (from, to] of their partition
 * of ess.dlq, one after the other. Loop thread only; nothing blocks. */
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
    int64_t offset; /* in its partition */
    int64_t cursor; /* of the event */
    struct span topic, id;
    struct span body; /* the event as it was delivered, without prev_cursor */
};

enum redrive_result {
    REDRIVE_LETTER, /* the next one above the position; valid until one above it is asked for */
    REDRIVE_END,    /* there is none up to `to` */
    REDRIVE_LATER,  /* `ready` is called when the answer is known */
};

/* Of the letters of `id` and this registration id; of those only job->cursors, when it has some.
 * `job` must outlive it. */
struct redrive *redrive_new(struct dispatcher *d, const char *id, const char *registration_id,
                            const struct token_job *job, void (*ready)(void *arg), void *arg,
                            struct error *err);
void redrive_free(struct redrive *redrive);

/* REDRIVE_LATER was the last answer, and `ready` was not called yet. */
bool redrive_waits(const struct redrive *redrive);
/* The next letter above `position`; `passed`: nothing is there up to it. */
enum redrive_result redrive_next(struct redrive *redrive, int64_t position,
                                 struct redrive_letter *letter, int64_t *passed);

#endif
