/* Which ids the log has seen: for each, the cursor that it got first and what it stood for. Bounded
 * by a time and by a number of ids; filled from the log alone, so that it is the same after a
 * restart and in every ingest. Pure, one thread.
 *
 * An id is kept as 128 bits of a hash under the process's own random key. Two ids of one hash would
 * mean that the second is taken for a repeat (or refused as a conflict) and never appended. Among a
 * million kept ids a new one meets such a hash with a chance of 2^-108: at 100,000 events a second
 * that is not once in the age of the universe, and without the key nobody can prepare it. What the
 * id stood for (topic, key, stored data) is 48 bits of the same hash; a chance of 2^-48 that a
 * conflict is taken for a repeat. 16 more bits are the version of the PII rules that the data has
 * passed: what two versions have left cannot be compared, so there the id alone decides. 48 bytes
 * an id, 48 MB when a million are kept. */
#ifndef ESS_INGEST_DEDUPE_H
#define ESS_INGEST_DEDUPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/siphash.h"
#include "common/base/span.h"

enum { DEDUPE_IDS_MAX = 1000000 };

struct dedupe;

/* What is kept of an event. */
struct dedupe_print {
    uint64_t id[2];
    uint64_t content;
};

/* Keeps the newest `ids_max` ids (1 to DEDUPE_IDS_MAX), none of them longer than `window_ms`. `key`
 * is random. */
struct dedupe *dedupe_new(size_t ids_max, int64_t window_ms,
                          const unsigned char key[SIPHASH_KEY_BYTES]);
void dedupe_free(struct dedupe *dedupe);

void dedupe_print_id(const struct dedupe *dedupe, struct span id, struct dedupe_print *print);
/* `key` without data: none. `data` is as stored, after all filters; `rules` are the PII filter's,
 * 0: none. */
void dedupe_print_content(const struct dedupe *dedupe, struct span topic, struct span key,
                          struct span data, uint16_t rules, struct dedupe_print *print);
/* Whether the contents may be the same. */
bool dedupe_same_content(const struct dedupe_print *a, const struct dedupe_print *b);

/* The log holds it at `cursor`. Of several records of one id the one with the lowest cursor is
 * kept. Returns whether the id is kept with a lower one: it is in the log twice. */
bool dedupe_add(struct dedupe *dedupe, const struct dedupe_print *print, int64_t cursor,
                int64_t appended_ms);
/* Whether the id is kept with this very cursor: its content need not be computed. */
bool dedupe_holds(const struct dedupe *dedupe, const struct dedupe_print *print, int64_t cursor);

enum dedupe_found { DEDUPE_NEW, DEDUPE_REPEAT, DEDUPE_CONFLICT };
/* Looks the id up as of `now_ms` (since 1970, as the times of appending). Unless it is new,
 * `*cursor` is the first one's. */
enum dedupe_found dedupe_find(struct dedupe *dedupe, const struct dedupe_print *print,
                              int64_t now_ms, int64_t *cursor);

/* Ids that are kept as of `now_ms`. */
size_t dedupe_count(struct dedupe *dedupe, int64_t now_ms);
/* Memory that it takes. */
size_t dedupe_bytes(const struct dedupe *dedupe);

#endif
