/* Registrations; see registration.h. The keys go before the spec, so that whoever sees the spec can sign. When its spec is read
 * back, a registration knows whether it was the first. Then it sees to it that its keys are the ones under their key, which
 * another's may have replaced; or, when it was not the first, that nothing of its own stays above what it has hidden. */
#include "ingest/registration.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/model/event.h"
#include "ingest/change.h"
#include "ingest/ingest.h"
#include "ingest/records.h"
#include "ingest/registry.h"

struct registration {
    struct ingest *ingest;
    char id[SPEC_ID_BYTES_MAX + 1];
    struct subscriber_keys keys;
    void (*done)(void *arg, enum registration_outcome outcome, const char *reason); /* NULL: nobody waits any more */
    void *arg;
};

static void registration_free(struct registration *r) {
    subscriber_keys_fini(&r->keys);
    free(r);
}

static void tell(struct registration *r, enum registration_outcome outcome, const char *reason) {
    void (*done)(void *, enum registration_outcome, const char *) = r->done;
    r->done = NULL;
    if (done)
        done(r->arg, outcome, reason);
}

static void on_read(void *arg, const struct change_result *result);

static void on_late(void *arg) { tell(arg, REGISTRATION_FAILED, "Kafka did not confirm it in time"); }

static void write_keys(struct registration *r, const struct registry_entry *entry) {
    struct change *change = change_new(r->ingest, r->id, r->keys.born, entry->keys_offset);
    records_add_keys(r->ingest, change, r->id, &r->keys);
    change_send(change, on_late, on_read, r);
}

/* Its spec is in the log. What has become of it? */
static void judge(struct registration *r, int64_t generation) {
    struct registry_entry *entry = registry_find(r->ingest->registry, r->id);
    if (!entry || !entry->readable || strcmp(entry->born, r->keys.born) != 0) {
        if (entry && entry->readable && entry->hidden)
            records_repair(r->ingest, entry);
        tell(r, REGISTRATION_TAKEN, "it was registered by another at the same moment");
    } else if (!r->done) {
        records_delete(r->ingest, entry);
    } else if (!registry_keys(entry)) {
        write_keys(r, entry);
        return;
    } else {
        log_info("subscriber_registered", LOG_S("subscriber", r->id), LOG_N("generation", generation), LOG_N("start", entry->start),
                 LOG_S("source", entry->source));
        tell(r, REGISTRATION_IN_FORCE, NULL);
    }
    registration_free(r);
}

static void on_read(void *arg, const struct change_result *result) {
    struct registration *r = arg;
    if (result->fate == CHANGE_READ) {
        judge(r, result->generation);
        return;
    }
    tell(r, REGISTRATION_FAILED, result->reason);
    registration_free(r);
}

static void add_records(struct registration *r, struct change *change, const struct spec *spec, const char *source, int64_t start) {
    struct subscriber_record record = {.start = start, .registered = -1, .spec = *spec};
    memcpy(record.born, r->keys.born, sizeof record.born);
    snprintf(record.source, sizeof record.source, "%s", source);
    records_add_keys(r->ingest, change, r->id, &r->keys);
    records_add_spec(r->ingest, change, &record);
}

struct registration *registration_begin(struct ingest *ingest, const struct spec *spec, const char *source, const char *token_hash,
                                        int64_t start, void (*done)(void *, enum registration_outcome, const char *), void *arg) {
    const struct registry_entry *removed = registry_find(ingest->registry, spec->id);
    struct registration *r = mem_zero(sizeof *r);
    *r = (struct registration){.ingest = ingest, .done = done, .arg = arg};
    snprintf(r->id, sizeof r->id, "%s", spec->id);
    snprintf(r->keys.token, sizeof r->keys.token, "%s", token_hash);
    r->keys.secret = mem_copy_string(spec->secret, strlen(spec->secret));
    uuid_v4(r->keys.born);
    struct change *change = change_new(ingest, r->id, r->keys.born, -1);
    if (removed && removed->known) /* its file is gone: it is forgotten for good */
        records_add_tombstones(change, r->id);
    add_records(r, change, spec, source, start);
    change_send(change, on_late, on_read, r);
    return r;
}

void registration_disown(struct registration *r) { r->done = NULL; }
