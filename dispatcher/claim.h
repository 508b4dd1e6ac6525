/* The record by which a dispatcher claims a partition of ess.tokens; see ownership.h. Its offset is the owner's epoch. Pure. */
#ifndef ESS_DISPATCHER_CLAIM_H
#define ESS_DISPATCHER_CLAIM_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/span.h"

/* One key in every partition, so that compaction keeps the newest. */
#define CLAIM_KEY "\0claim"
enum { CLAIM_KEY_BYTES = sizeof CLAIM_KEY - 1 };
static inline struct span claim_key(void) { return (struct span){CLAIM_KEY, CLAIM_KEY_BYTES}; }

/* Appends the record's value. `owner` is never 0. */
void claim_to_json(uint64_t owner, uint64_t assignment, struct buf *out);

/* Reads one. Whatever cannot be read is a claim all the same: of somebody else, whose `owner` is 0. */
void claim_from_json(struct span text, uint64_t *owner, uint64_t *assignment);

#endif
