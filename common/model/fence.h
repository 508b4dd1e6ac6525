/* The record by which a dispatcher fences a partition of ess.tokens (key and log events call it a
 * claim). The record's offset is the owner's epoch: checkpoints of an older epoch count before the
 * fence and are void behind it (token_choose). Pure. */
#ifndef ESS_MODEL_FENCE_H
#define ESS_MODEL_FENCE_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/span.h"

/* The same key in every partition, so that compaction keeps the newest fence. */
#define FENCE_KEY "\0claim"
enum { FENCE_KEY_BYTES = sizeof FENCE_KEY - 1 };
static inline struct span fence_key(void) { return (struct span){FENCE_KEY, FENCE_KEY_BYTES}; }

/* Appends the record's value. `owner` is never 0. */
void fence_to_json(uint64_t owner, uint64_t assignment, struct buf *out);

/* Reads a fence. An unreadable value is still a fence, by an unknown owner: `owner` is 0. */
void fence_from_json(struct span text, uint64_t *owner, uint64_t *assignment);

#endif
