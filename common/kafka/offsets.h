/* Offsets known only to a partition's leader: for times, by its index of append times, and the end.
 * Works while fetches fail, on a handle of its own. Loop thread only; nothing blocks. */
#ifndef ESS_KAFKA_OFFSETS_H
#define ESS_KAFKA_OFFSETS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/config.h"

struct offsets;
struct offsets_question;

struct offsets_answer {
    /* The offset of the partition's next record, at some moment after the question. */
    int64_t end;
    /* Per requested time, in order: the offset of the first record appended then or later, or
     * `end`. Records appended after the question are not below. */
    const int64_t *at;
};

struct offsets *offsets_new(struct loop *loop, const struct kafka_config *config,
                            struct error *err);
/* Cancels all questions. NULL is allowed. */
void offsets_free(struct offsets *offsets);

/* Asks for a partition's end, and for the offsets of `count` times (wall, ms). Calls `answered`
 * once, never within this call: with the answer, valid until the callback returns, or with NULL and
 * the reason after 4 s of silence. Questions about one partition share a thread and may wait for
 * earlier ones, so a waiting client needs a deadline of its own. The question is gone once
 * answered. */
struct offsets_question *offsets_ask(struct offsets *offsets, const char *topic, int32_t partition,
                                     const int64_t *times, size_t count,
                                     void (*answered)(void *arg,
                                                      const struct offsets_answer *answer,
                                                      const struct error *err),
                                     void *arg);
/* Cancels a question. NULL is allowed. */
void offsets_drop(struct offsets_question *question);

#endif
