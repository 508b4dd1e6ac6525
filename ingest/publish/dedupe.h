/* The ids in the log's dedupe window: for each id the lowest cursor and a hash of the content.
 * Bounded by time and by count. Filled from the log alone, so every ingest has the same index,
 * before and after a restart. Pure; one thread.
 *
 * An id is kept as 128 bits of a hash under a random key of the process. If two ids had the same
 * hash, the second event would be treated as a repeat or a conflict, and never appended. A new id
 * collides with one of a million kept ids with a chance of 2^-108: at 100,000 events a second not
 * once in the age of the universe. Without the key nobody can construct a collision.
 *
 * The content (topic, key, stored data) is kept as 48 bits of the same hash: with a chance of
 * 2^-48 a conflict passes as a repeat. Another 16 bits are the version of the PII rules that
 * filtered the data. Data filtered by different versions cannot be compared, so there the id alone
 * decides.
 *
 * An id takes 48 bytes, and a million ids 48 MB. */
#ifndef ESS_INGEST_DEDUPE_H
#define ESS_INGEST_DEDUPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/siphash.h"
#include "common/base/span.h"

enum { DEDUPE_IDS_MAX = 1000000 };

struct dedupe;

/* Hashes of an event. */
struct dedupe_print {
    uint64_t id[2];
    uint64_t content;
};

/* Keeps the newest `ids_max` ids (1 to DEDUPE_IDS_MAX), each for `window_ms` at most. `key` is
 * random. */
struct dedupe *dedupe_new(size_t ids_max, int64_t window_ms,
                          const unsigned char key[SIPHASH_KEY_BYTES]);
void dedupe_free(struct dedupe *dedupe);

void dedupe_print_id(const struct dedupe *dedupe, struct span id, struct dedupe_print *print);
/* `key` without data: no key. `data` is as stored, after all filters. `rules` is the version of
 * the PII rules; 0: no rules. */
void dedupe_print_content(const struct dedupe *dedupe, struct span topic, struct span key,
                          struct span data, uint16_t rules, struct dedupe_print *print);

/* Adds an event that the log holds at `cursor`. Of several records with one id the lowest cursor
 * is kept. Returns whether a lower cursor was known: the log has the id twice. */
bool dedupe_add(struct dedupe *dedupe, const struct dedupe_print *print, int64_t cursor,
                int64_t appended_ms);
/* Whether the id is known with exactly this cursor; then the content need not be hashed. */
bool dedupe_holds(const struct dedupe *dedupe, const struct dedupe_print *print, int64_t cursor);

enum dedupe_found { DEDUPE_NEW, DEDUPE_REPEAT, DEDUPE_CONFLICT };
/* Looks an id up at the wall-clock time `now_ms`. Except for DEDUPE_NEW, `*cursor` is the cursor
 * of the first event. */
enum dedupe_found dedupe_find(struct dedupe *dedupe, const struct dedupe_print *print,
                              int64_t now_ms, int64_t *cursor);

/* The number of ids known at `now_ms`. */
size_t dedupe_count(struct dedupe *dedupe, int64_t now_ms);
/* The memory of the index. */
size_t dedupe_bytes(const struct dedupe *dedupe);

#endif
