/* Claims to ids; see claims.h. */
#include "ingest/registry/claims.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/kafka/table.h"
#include "ingest/ingest.h"
#include "ingest/registry/change.h"
#include "ingest/registry/records.h"

struct claim {
    struct claim *prev, *next;
    char key[CLAIMS_KEY_BYTES];
    int64_t read_ms;
    bool stale; /* it was old when this ingest started */
};

/* Those of one id. */
struct claims_of {
    UT_hash_handle hh;
    char id[SPEC_ID_BYTES_MAX + 1];
    struct claim *list;
};

void claims_key(const char *id, const char *registration_id, char out[CLAIMS_KEY_BYTES]) {
    snprintf(out, CLAIMS_KEY_BYTES, "%s/claim/%s", id, registration_id);
}

struct claims {
    struct claims_of *by_id;
};

static struct claims_of *claims_of(const struct claims *claims, const char *id) {
    struct claims_of *of;
    HASH_FIND_STR(claims->by_id, id, of);
    return of;
}

static struct claim *claim_find(const struct claims_of *of, struct span key) {
    struct claim *claim = of ? of->list : NULL;
    while (claim && !span_equal(span_of(claim->key), key))
        claim = claim->next;
    return claim;
}

static void claim_forget(struct claims *claims, struct claims_of *of, struct claim *claim) {
    DL_DELETE(of->list, claim);
    free(claim);
    if (of->list)
        return;
    HASH_DEL(claims->by_id, of);
    free(of);
}

static struct claims_of *claims_find_or_add(struct claims *claims, const char *id) {
    struct claims_of *of = claims_of(claims, id);
    if (of)
        return of;
    of = mem_zero(sizeof *of);
    snprintf(of->id, sizeof of->id, "%s", id);
    HASH_ADD_STR(claims->by_id, id, of);
    return of;
}

void claims_read(struct claims *claims, const char *id, const struct table_record *record,
                 bool past) {
    struct claim *claim = claim_find(claims_of(claims, id), record->key);
    if (claim && !record->value.data)
        claim_forget(claims, claims_of(claims, id), claim);
    if (claim || !record->value.data || record->key.len >= CLAIMS_KEY_BYTES)
        return;
    claim = mem_zero(sizeof *claim);
    *claim = (struct claim){.read_ms = clock_ms()};
    claim->stale = past && clock_wall_ms() - record->appended_ms > CLAIMS_STALE_MS;
    snprintf(claim->key, sizeof claim->key, "%.*s", (int)record->key.len, record->key.data);
    DL_APPEND(claims_find_or_add(claims, id)->list, claim);
}

bool claims_first(const struct claims *claims, const char *id, const char *registration_id) {
    char key[CLAIMS_KEY_BYTES];
    claims_key(id, registration_id, key);
    const struct claims_of *of = claims_of(claims, id);
    const struct claim *ours = claim_find(of, span_of(key));
    for (const struct claim *claim = ours ? of->list : NULL; claim && claim != ours;
         claim = claim->next) /* in the log's order */
        if (!claim->stale && clock_ms() - claim->read_ms < CLAIMS_LIVE_MS)
            return false;
    return ours != NULL;
}

void claims_drop(struct ingest *ingest, const char *id, const char *registration_id) {
    char key[CLAIMS_KEY_BYTES];
    claims_key(id, registration_id, key);
    records_erase(ingest, id, key);
}

void claims_tidy(struct ingest *ingest) {
    for (const struct claims_of *of = ingest->claims->by_id; of; of = of->hh.next)
        for (const struct claim *claim = of->list; claim; claim = claim->next)
            if (claim->stale)
                records_erase(ingest, of->id, claim->key);
}

struct claims *claims_new(void) { return mem_zero(sizeof(struct claims)); }

void claims_free(struct claims *claims) {
    while (claims && claims->by_id)
        claim_forget(claims, claims->by_id, claims->by_id->list);
    free(claims);
}
