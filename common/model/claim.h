/* The record by which a dispatcher claims a partition of ess.tokens: its offset is the owner's
 * epoch, and what stands before it of older epochs stays what it is, what comes behind is void
 * (token_choose). Pure. */
#ifndef ESS_MODEL_CLAIM_H
#define ESS_MODEL_CLAIM_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/span.h"

/* One key in every partition, so that compaction keeps the newest. */
#define CLAIM_KEY "\0claim"
enum { CLAIM_KEY_BYTES = sizeof CLAIM_KEY - 1 };
static inline struct span claim_key(void) { return (struct span){CLAIM_KEY, CLAIM_KEY_BYTES}; }

/* Appends the record's value. `owner` is never 0. */
void claim_to_json(uint64_t owner, uint64_t assignment, struct buf *out);

/* Reads one. Whatever cannot be read is a claim all the same: of somebody else, whose `owner` is 0.
 */
void claim_from_json(struct span text, uint64_t *owner, uint64_t *assignment);

#endif
