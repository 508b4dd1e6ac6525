/* The record by which a dispatcher fences a partition of ess.tokens: its offset is the owner's
 * epoch, and what stands before it of older epochs stays what it is, what comes behind is void
 * (token_choose). Pure. */
#ifndef ESS_MODEL_FENCE_H
#define ESS_MODEL_FENCE_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/span.h"

/* One key in every partition, so that compaction keeps the newest. */
#define FENCE_KEY "\0claim"
enum { FENCE_KEY_BYTES = sizeof FENCE_KEY - 1 };
static inline struct span fence_key(void) { return (struct span){FENCE_KEY, FENCE_KEY_BYTES}; }

/* Appends the record's value. `owner` is never 0. */
void fence_to_json(uint64_t owner, uint64_t assignment, struct buf *out);

/* Reads one. Whatever cannot be read is a fence all the same: of somebody else, whose `owner` is 0.
 */
void fence_from_json(struct span text, uint64_t *owner, uint64_t *assignment);

#endif
