/* Offsets that only a partition's leader knows: of times, by its own index of append times; and the
 * end. Asked by a way that works although fetches fail, on a handle of its own. Loop thread only;
 * nothing blocks. */
#ifndef ESS_KAFKA_OFFSETS_H
#define ESS_KAFKA_OFFSETS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/config.h"

struct offsets;
struct offsets_question;

struct offsets_answer {
    /* The offset that the partition's next record gets, as of some moment after the question. */
    int64_t end;
    /* For each time that was asked for, in its order: the offset of the first record that was
     * appended then or later, `end` where there is none. Nothing that is appended after the
     * question lies below. */
    const int64_t *at;
};

struct offsets *offsets_new(struct loop *loop, const struct kafka_config *config,
                            struct error *err);
/* No answer comes any more; the questions are gone. NULL is allowed. */
void offsets_free(struct offsets *offsets);

/* Asks for the end of a partition, and for the offsets of `count` times (wall, ms). `answered` is
 * called once, never from within this call: with the answer, which is valid until it returns; or
 * with NULL and the reason, when the leader has told nothing for 4 s. Questions about one partition
 * share a thread: one may have to wait for those before it, so a client who waits needs a deadline
 * of its own. The question is gone once it is answered. */
struct offsets_question *offsets_ask(struct offsets *offsets, const char *topic, int32_t partition,
                                     const int64_t *times, size_t count,
                                     void (*answered)(void *arg,
                                                      const struct offsets_answer *answer,
                                                      const struct error *err),
                                     void *arg);
/* The answer is not wanted any more. NULL is allowed. */
void offsets_drop(struct offsets_question *question);

#endif
