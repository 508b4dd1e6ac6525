/* Registrations; see registration.h. The id is reserved first. Once that reservation is read back
 * as the first and the id is free, keys and spec are appended. The keys precede the spec, so every
 * reader of the spec can sign. */
#include "ingest/registry/registration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/crypto/uuid.h"
#include "ingest/ingest.h"
#include "ingest/registry/registry.h"
#include "ingest/registry/registry_write.h"
#include "ingest/registry/registry_writer.h"
#include "ingest/registry/reservations.h"

struct registration {
    struct ingest *ingest;
    char id[SPEC_ID_BYTES_MAX + 1], registration_id[37];
    struct registry_write *write; /* keys and spec, not sent yet */
    int64_t began_ms;
    void (*done)(void *arg, enum registration_outcome outcome,
                 const char *reason); /* NULL: the client has gone */
    void *arg;
};

static void registration_tell(struct registration *r, enum registration_outcome outcome,
                              const char *reason) {
    void (*done)(void *, enum registration_outcome, const char *) = r->done;
    r->done = NULL;
    if (done)
        done(r->arg, outcome, reason);
}

static void registration_end(struct registration *r, enum registration_outcome outcome,
                             const char *reason) {
    registration_tell(r, outcome, reason);
    registry_write_drop(r->write);
    free(r);
}

static void registration_on_late(void *arg) {
    registration_tell(arg, REGISTRATION_FAILED, "Kafka did not confirm the registration in time");
}

/* The write of keys and spec has ended. */
static void registration_on_written(void *arg, const struct registry_write_result *result) {
    struct registration *r = arg;
    struct registry_entry *entry = registry_find(r->ingest->registry, r->id);
    bool ours = entry && entry->readable && strcmp(entry->registration_id, r->registration_id) == 0;
    if (ours && (result->fate != REGISTRY_WRITE_DONE || !r->done))
        registry_writer_delete(r->ingest, entry); /* no keys, or nobody knows the secret */
    else if (ours)
        log_info("subscriber_registered", LOG_S("subscriber", r->id),
                 LOG_N("generation", entry->generation), LOG_N("start", entry->start),
                 LOG_S("source", entry->source));
    if (result->fate != REGISTRY_WRITE_DONE)
        registration_end(r, REGISTRATION_FAILED, result->reason);
    else if (ours)
        registration_end(r, REGISTRATION_IN_FORCE, NULL);
    else
        registration_end(r, REGISTRATION_TAKEN, "the subscriber was deleted again at once");
}

/* The write of the reservation has ended. A subscriber whose file is gone is deleted for good when
 * the id is registered again. */
static void registration_on_reserved(void *arg, const struct registry_write_result *result) {
    struct registration *r = arg;
    struct registry_entry *entry = registry_find(r->ingest->registry, r->id);
    if (result->fate != REGISTRY_WRITE_DONE) {
        registration_end(r, REGISTRATION_FAILED, result->reason);
        return;
    }
    bool taken = registry_in_force(entry) ||
                 !reservations_first(r->ingest->reservations, r->id, r->registration_id);
    if (!taken && r->done && clock_ms() - r->began_ms < RESERVATIONS_USE_MS) {
        struct registry_write *write = r->write;
        r->write = NULL;
        if (entry && entry->known)
            registry_writer_delete(r->ingest, entry);
        registry_write_send(write, registration_on_late, registration_on_written, r);
        return;
    }
    reservations_drop(r->ingest, r->id, r->registration_id);
    registration_end(r, taken ? REGISTRATION_TAKEN : REGISTRATION_FAILED,
                     taken ? "another registration was first"
                           : "Kafka did not confirm the registration in time");
}

static struct registry_write *registration_make_write(const struct registration *r,
                                                      const struct spec *spec, const char *source,
                                                      const char *by, const char *token_hash,
                                                      int64_t start) {
    char reservation[RESERVATIONS_KEY_BYTES];
    struct registry_write *write = registry_write_new(r->ingest, r->id, "", -1);
    struct subscriber_record record = {.start = start, .spec = *spec};
    struct subscriber_keys keys = {.secret = spec->secret};
    memcpy(record.registration_id, r->registration_id, sizeof record.registration_id);
    memcpy(keys.registration_id, r->registration_id, sizeof keys.registration_id);
    snprintf(record.source, sizeof record.source, "%s", source);
    snprintf(record.by, sizeof record.by, "%s", by);
    snprintf(keys.token, sizeof keys.token, "%s", token_hash);
    registry_writer_add_keys(r->ingest, write, r->id, &keys);
    registry_writer_add_spec(r->ingest, write, &record);
    reservations_key(r->id, r->registration_id, reservation);
    registry_write_add(write, reservation, (struct span){NULL, 0});
    return write;
}

struct registration *registration_begin(
    struct ingest *ingest, const struct spec *spec, const char *source, const char *by,
    const char *token_hash, int64_t start,
    void (*done)(void *, enum registration_outcome, const char *), void *arg) {
    char reservation[RESERVATIONS_KEY_BYTES];
    struct registration *r = mem_zero(sizeof *r);
    *r = (struct registration){.ingest = ingest, .began_ms = clock_ms(), .done = done, .arg = arg};
    snprintf(r->id, sizeof r->id, "%s", spec->id);
    uuid_v4(r->registration_id);
    r->write = registration_make_write(r, spec, source, by, token_hash, start);
    reservations_key(r->id, r->registration_id, reservation);
    struct registry_write *write = registry_write_new(ingest, r->id, "", -1);
    registry_write_add(write, reservation, span_of("{\"v\":1}"));
    registry_write_send(write, registration_on_late, registration_on_reserved, r);
    return r;
}

void registration_disown(struct registration *r) { r->done = NULL; }
