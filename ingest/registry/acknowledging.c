/* Acknowledgements on their way to Kafka; see acknowledging.h. */
#include "ingest/registry/acknowledging.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "ingest/ingest.h"
#include "ingest/registry/registry.h"
#include "ingest/registry/registry_write.h"
#include "ingest/registry/registry_writer.h"
#include "ingest/registry/subscriber_status.h"

/* After a pause a consumer may acknowledge as fast as it likes for a moment. */
enum { PACE_MS = 1000 / ACKNOWLEDGING_PER_S, BURST_MS = 1000 };

static const char not_confirmed[] = "Kafka did not confirm the acknowledgement in time; it may "
                                    "still take effect: acknowledge again";

/* One call. */
struct acknowledging_call {
    char registration_id[37];
    int64_t rewinds, cursor; /* rewinds: a rewind since the call makes it void */
    void (*done)(void *arg, const char *refused);
    void *arg;
    struct acknowledging_call *prev, *next;
};

/* The acknowledgements of one subscriber. Exists while a call waits or a record is under way. */
struct acknowledging {
    UT_hash_handle hh;
    struct ingest *ingest;
    char id[SPEC_ID_BYTES_MAX + 1];
    struct acknowledging_call *waiting, *sent; /* sent: the record under way covers them */
    bool writing, late;                        /* late: too late for a client */
    struct loop_timer due;
};

static void acknowledging_free(struct acknowledging *a) {
    loop_timer_clear(a->ingest->service.loop, &a->due);
    HASH_DEL(a->ingest->acknowledging, a);
    free(a);
}

static void acknowledging_tell(struct acknowledging_call **calls, const char *refused) {
    while (*calls) {
        struct acknowledging_call *call = *calls;
        DL_DELETE(*calls, call);
        call->done(call->arg, refused);
        free(call);
    }
}

/* Sets when the next record is written: now, or later if records were written too fast. */
static void acknowledging_plan(struct acknowledging *a, const struct registry_entry *entry) {
    int64_t now_ms = clock_ms(), due_ms = entry->acknowledged_paced_ms - BURST_MS;
    loop_timer_set(a->ingest->service.loop, &a->due, due_ms > now_ms ? due_ms : now_ms);
}

static void acknowledging_on_late(void *arg) {
    struct acknowledging *a = arg;
    a->late = true;
    acknowledging_tell(&a->sent, not_confirmed);
    acknowledging_tell(&a->waiting, not_confirmed);
}

/* Erases a record that was written after the subscriber's deletion. */
static void acknowledging_clean_up(const struct acknowledging *a,
                                   const struct registry_entry *entry) {
    char key[ACKNOWLEDGEMENT_KEY_BYTES];
    acknowledgement_key(a->id, key);
    if (!entry || !entry->known)
        registry_writer_erase(a->ingest, a->id, key);
}

static void acknowledging_on_done(void *arg, const struct registry_write_result *result) {
    struct acknowledging *a = arg;
    const struct registry_entry *entry = registry_find(a->ingest->registry, a->id);
    bool written = result->fate == REGISTRY_WRITE_DONE;
    a->writing = a->late = false;
    acknowledging_tell(&a->sent, result->reason);
    if (!written)
        acknowledging_tell(&a->waiting, result->reason);
    else
        acknowledging_clean_up(a, entry);
    if (written && entry && (a->waiting || entry->acknowledged_shadowed)) {
        acknowledging_plan(a, entry);
    } else {
        acknowledging_tell(&a->waiting, NULL); /* the registration is gone */
        acknowledging_free(a);
    }
}

static int64_t acknowledging_rewinds(const struct ingest *ingest,
                                     const struct registry_entry *entry) {
    struct token token;
    if (!subscriber_status_token(ingest, entry, &token))
        return 0;
    int64_t rewinds = token.rewinds;
    token_fini(&token);
    return rewinds;
}

/* The acknowledgement that counts among the waiting ones and the one in force, which another
 * writer's record may have shadowed. */
static struct acknowledgement acknowledging_collect(const struct acknowledging *a,
                                                    const struct registry_entry *entry) {
    const char *feed = a->ingest->service.genesis.feed;
    struct acknowledgement all = {.rewinds = acknowledging_rewinds(a->ingest, entry)};
    const struct acknowledging_call *call;
    memcpy(all.registration_id, entry->registration_id, sizeof all.registration_id);
    memcpy(all.feed, feed, sizeof all.feed);
    DL_FOREACH(a->waiting, call) {
        if (call->cursor > all.cursor && call->rewinds == all.rewinds &&
            strcmp(call->registration_id, entry->registration_id) == 0)
            all.cursor = call->cursor;
    }
    acknowledgement_take(&all, &entry->acknowledged, entry->registration_id, feed);
    return all;
}

static void acknowledging_write(struct acknowledging *a, struct registry_entry *entry) {
    struct acknowledgement all = acknowledging_collect(a, entry);
    int64_t now_ms = clock_ms();
    char key[ACKNOWLEDGEMENT_KEY_BYTES];
    struct buf value = {0};
    struct registry_write *write = registry_write_new(a->ingest, a->id, entry->registration_id, -1);
    acknowledgement_key(a->id, key);
    acknowledgement_to_json(&all, &value);
    registry_write_add(write, key, (struct span){value.data, value.len});
    buf_fini(&value);
    if (entry->acknowledged_paced_ms < now_ms)
        entry->acknowledged_paced_ms = now_ms;
    entry->acknowledged_paced_ms += PACE_MS;
    a->writing = true;
    a->sent = a->waiting;
    a->waiting = NULL;
    registry_write_send(write, acknowledging_on_late, acknowledging_on_done, a);
}

static void acknowledging_on_due(void *arg) {
    struct acknowledging *a = arg;
    struct registry_entry *entry = registry_find(a->ingest->registry, a->id);
    if (registry_in_force(entry) && entry->readable) {
        acknowledging_write(a, entry);
    } else {
        acknowledging_tell(&a->waiting, NULL);
        acknowledging_free(a);
    }
}

static struct acknowledging *acknowledging_of(struct ingest *ingest, const char *id) {
    struct acknowledging *a;
    HASH_FIND_STR(ingest->acknowledging, id, a);
    if (a)
        return a;
    a = mem_zero(sizeof *a);
    a->ingest = ingest;
    snprintf(a->id, sizeof a->id, "%s", id);
    loop_timer_init(&a->due, acknowledging_on_due, a);
    HASH_ADD_STR(ingest->acknowledging, id, a);
    return a;
}

bool acknowledging_add(struct ingest *ingest, struct registry_entry *entry, int64_t cursor,
                       void (*done)(void *, const char *), void *arg) {
    struct acknowledging *a = acknowledging_of(ingest, entry->id);
    if (a->late)
        return false;
    struct acknowledging_call *call = mem_zero(sizeof *call);
    *call = (struct acknowledging_call){.rewinds = acknowledging_rewinds(ingest, entry),
                                        .cursor = cursor,
                                        .done = done,
                                        .arg = arg};
    memcpy(call->registration_id, entry->registration_id, sizeof call->registration_id);
    DL_APPEND(a->waiting, call);
    if (!a->writing && !a->due.slot)
        acknowledging_plan(a, entry);
    return true;
}

void acknowledging_end(struct ingest *ingest) {
    struct acknowledging *a, *next;
    HASH_ITER(hh, ingest->acknowledging, a, next) {
        acknowledging_tell(&a->waiting, "the log is being read again");
        if (!a->writing)
            acknowledging_free(a);
        /* otherwise the end of the write frees it */
    }
}
