/* Reservations of ids; see reservations.h. */
#include "ingest/registry/reservations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/kafka/table.h"
#include "ingest/ingest.h"
#include "ingest/registry/registry_write.h"
#include "ingest/registry/registry_writer.h"

struct reservation {
    struct reservation *prev, *next;
    char key[RESERVATIONS_KEY_BYTES];
    int64_t read_ms;
    bool stale; /* already older than RESERVATIONS_STALE_MS when this ingest started */
};

/* The reservations of one id. */
struct reservations_of {
    UT_hash_handle hh;
    char id[SPEC_ID_BYTES_MAX + 1];
    struct reservation *list;
};

void reservations_key(const char *id, const char *registration_id,
                      char out[RESERVATIONS_KEY_BYTES]) {
    snprintf(out, RESERVATIONS_KEY_BYTES, "%s/claim/%s", id, registration_id);
}

struct reservations {
    struct reservations_of *by_id;
};

static struct reservations_of *reservations_of(const struct reservations *reservations,
                                               const char *id) {
    struct reservations_of *of;
    HASH_FIND_STR(reservations->by_id, id, of);
    return of;
}

static struct reservation *reservation_find(const struct reservations_of *of, struct span key) {
    struct reservation *reservation = of ? of->list : NULL;
    while (reservation && !span_equal(span_of(reservation->key), key))
        reservation = reservation->next;
    return reservation;
}

static void reservation_forget(struct reservations *reservations, struct reservations_of *of,
                               struct reservation *reservation) {
    DL_DELETE(of->list, reservation);
    free(reservation);
    if (of->list)
        return;
    HASH_DEL(reservations->by_id, of);
    free(of);
}

static struct reservations_of *reservations_find_or_add(struct reservations *reservations,
                                                        const char *id) {
    struct reservations_of *of = reservations_of(reservations, id);
    if (of)
        return of;
    of = mem_zero(sizeof *of);
    snprintf(of->id, sizeof of->id, "%s", id);
    HASH_ADD_STR(reservations->by_id, id, of);
    return of;
}

void reservations_read(struct reservations *reservations, const char *id,
                       const struct kafka_record *record, bool past) {
    struct reservation *reservation = reservation_find(reservations_of(reservations, id),
                                                       record->key);
    if (reservation && !record->value.data)
        reservation_forget(reservations, reservations_of(reservations, id), reservation);
    if (reservation || !record->value.data || record->key.len >= RESERVATIONS_KEY_BYTES)
        return;
    reservation = mem_zero(sizeof *reservation);
    *reservation = (struct reservation){.read_ms = clock_ms()};
    reservation->stale = past && clock_wall_ms() - record->appended_ms > RESERVATIONS_STALE_MS;
    snprintf(reservation->key, sizeof reservation->key, "%.*s", (int)record->key.len,
             record->key.data);
    DL_APPEND(reservations_find_or_add(reservations, id)->list, reservation);
}

bool reservations_first(const struct reservations *reservations, const char *id,
                        const char *registration_id) {
    char key[RESERVATIONS_KEY_BYTES];
    reservations_key(id, registration_id, key);
    const struct reservations_of *of = reservations_of(reservations, id);
    const struct reservation *ours = reservation_find(of, span_of(key));
    for (const struct reservation *reservation = ours ? of->list : NULL;
         reservation && reservation != ours; reservation = reservation->next) /* in log order */
        if (!reservation->stale && clock_ms() - reservation->read_ms < RESERVATIONS_LIVE_MS)
            return false;
    return ours != NULL;
}

void reservations_drop(struct ingest *ingest, const char *id, const char *registration_id) {
    char key[RESERVATIONS_KEY_BYTES];
    reservations_key(id, registration_id, key);
    registry_writer_erase(ingest, id, key);
}

void reservations_tidy(struct ingest *ingest) {
    for (const struct reservations_of *of = ingest->reservations->by_id; of; of = of->hh.next)
        for (const struct reservation *reservation = of->list; reservation;
             reservation = reservation->next)
            if (reservation->stale)
                registry_writer_erase(ingest, of->id, reservation->key);
}

struct reservations *reservations_new(void) { return mem_zero(sizeof(struct reservations)); }

void reservations_free(struct reservations *reservations) {
    while (reservations && reservations->by_id)
        reservation_forget(reservations, reservations->by_id, reservations->by_id->list);
    free(reservations);
}
