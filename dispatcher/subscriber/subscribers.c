/* All subscribers; see subscribers.h. A table by id, and a list for each partition. */
#include "dispatcher/subscriber/subscribers.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/base/container_of.h"
#include "common/crypto/seal.h"
#include "common/kafka/table.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/ownership/partitions.h"
#include "dispatcher/subscriber/commands.h"
#include "dispatcher/subscriber/pulled.h"
#include "dispatcher/subscriber/subscriber.h"

enum { SAID_MAX = 100, KEY_AGAIN_MS = 1000 };

struct subscribers {
    struct dispatcher *dispatcher;
    int said; /* lines of starts since the last stop: a take-over may start thousands */
    struct subscriber *all;
    struct subscriber *of[SUBSCRIBER_PARTITIONS_MAX];
    struct loop_timer key_due; /* something cannot be read: has a key come into the key file? */
    unsigned key_version;      /* the keyring's version when unreadable records were last tried */
};

static struct subscriber *subscribers_find(const struct subscribers *all, const char *id) {
    struct subscriber *s;
    HASH_FIND_STR(all->all, id, s);
    return s;
}

struct subscriber *subscribers_first(struct subscribers *all) { return all ? all->all : NULL; }

static struct subscriber *subscribers_find_or_add(struct subscribers *all, const char *id,
                                                  int32_t partition) {
    struct subscriber *s = subscribers_find(all, id);
    if (s)
        return s;
    s = subscriber_new(all->dispatcher, id, partition);
    HASH_ADD_STR(all->all, id, s);
    DL_APPEND2(all->of[s->partition], s, partition_prev, partition_next);
    return s;
}

static void subscribers_drop(struct subscribers *all, struct subscriber *s) {
    HASH_DEL(all->all, s);
    DL_DELETE2(all->of[s->partition], s, partition_prev, partition_next);
    subscriber_free(s);
}

/* Erases everything of a deleted subscriber from the log. (A new owner of the id would inherit
 * nothing anyway.) The commands stay known, without a subscriber, until their tombstones were
 * read back. */
static void subscribers_erase(struct subscribers *all, struct subscriber *s) {
    char id[SPEC_ID_BYTES_MAX + 1];
    int32_t partition = s->partition;
    memcpy(id, s->id, sizeof id);
    commands_erase(&s->commands);
    if (s->checkpoint.text && !s->checkpoint.erased)
        checkpoint_erase(&s->checkpoint);
    struct pending_command *left = commands_detach(&s->commands);
    subscribers_drop(all, s);
    if (left)
        commands_attach(&subscribers_find_or_add(all, id, partition)->commands, left);
}

/* Erases commands without a subscriber: the subscriber was deleted, and compaction may have taken
 * the spec's tombstone already. */
static void subscribers_erase_orphans(struct subscriber *s) {
    if (!s->listed)
        commands_erase(&s->commands);
}

static bool subscribers_is_empty(const struct subscriber *s) {
    return !s->listed && !s->commands.list && !s->checkpoint.text && !s->has_keys &&
           !s->unreadable[UNREADABLE_KEYS].value.len;
}

/* The spec is gone from the log. The next owner of the id may already have a token in the log,
 * read earlier: while the partition is loading, the token stays until everything is read. */
static void subscribers_remove_spec(struct subscribers *all, struct subscriber *s) {
    bool ran = s->running;
    subscriber_stop(s, false);
    subscriber_clear_record(s);
    s->deleted = true;
    s->listed = false;
    if (!partitions_may_write(all->dispatcher->partitions, s->partition))
        return;
    if (ran && !s->checkpoint.text)
        checkpoint_erase(&s->checkpoint); /* a token may be on its way */
    subscribers_erase(all, s);
}

static void subscribers_erase_deleted(struct subscribers *all, int32_t partition) {
    struct subscriber *s, *next;
    DL_FOREACH_SAFE2(all->of[partition], s, next, partition_next) {
        if (s->deleted)
            subscribers_erase(all, s);
    }
}

static void subscribers_note_bad(struct dispatcher *d, const struct kafka_record *record,
                                 const char *id, const struct error *err) {
    service_bad_record(&d->service, record->topic, record->partition, record->offset, id,
                       err->message);
}

static void subscribers_say_unreadable(struct subscriber *s) {
    for (struct unreadable *u = s->unreadable; u < s->unreadable + UNREADABLE_RECORDS; u++) {
        if (u->reason)
            service_bad_record(&s->dispatcher->service, s->dispatcher->service.subscribers_topic,
                               s->partition, u->offset, s->id, u->reason);
        free(u->reason);
        u->reason = NULL;
    }
}

/* Logs an unreadable record once all records were read: a newer record may follow, as after a key
 * was replaced in the key file. */
static void subscribers_note_unreadable(struct subscriber *s, int kind, int64_t offset,
                                        const char *reason) {
    struct unreadable *u = &s->unreadable[kind];
    free(u->reason);
    buf_fini(&u->value);
    *u = (struct unreadable){.offset = offset,
                             .reason = reason ? mem_copy_string(reason, strlen(reason)) : NULL};
    if (partitions_started(s->dispatcher->partitions, s->partition))
        subscribers_say_unreadable(s);
}

/* The record may be sealed by a key that has yet to come into the key file, as during a key
 * rotation. */
static void subscribers_wait_for_key(struct subscribers *all, struct unreadable *u,
                                     struct span value) {
    buf_append(&u->value, value.data, value.len);
    if (all->key_due.slot)
        return;
    all->key_version = keyring_version(all->dispatcher->keyring);
    loop_timer_set(all->dispatcher->service.loop, &all->key_due, clock_ms() + KEY_AGAIN_MS);
}

static void subscribers_read_again(struct subscribers *all, struct subscriber *s, int kind) {
    char key[SPEC_ID_BYTES_MAX + sizeof "/keys"];
    struct unreadable *u = &s->unreadable[kind];
    struct buf value = u->value;
    snprintf(key, sizeof key, "%s%s", s->id, kind == UNREADABLE_KEYS ? "/keys" : "");
    const struct kafka_record record = {.topic = all->dispatcher->service.subscribers_topic,
                                        .partition = s->partition,
                                        .offset = u->offset,
                                        .key = span_of(key),
                                        .value = {value.data, value.len}};
    u->value = (struct buf){0};
    subscribers_read(all, &record);
    buf_fini(&value);
}

static void subscribers_on_key_due(void *arg) {
    struct subscribers *all = arg;
    const struct keyring *ring = all->dispatcher->keyring;
    struct subscriber *s, *next;
    size_t unreadable = 0;
    keyring_refresh(ring);
    bool changed = keyring_version(ring) != all->key_version;
    all->key_version = keyring_version(ring);
    HASH_ITER(hh, all->all, s, next) {
        for (int kind = UNREADABLE_SPEC; kind <= UNREADABLE_KEYS; kind++) {
            if (changed && s->unreadable[kind].value.len)
                subscribers_read_again(all, s, kind);
            unreadable += s->unreadable[kind].value.len > 0;
        }
    }
    if (unreadable && !all->key_due.slot)
        loop_timer_set(all->dispatcher->service.loop, &all->key_due, clock_ms() + KEY_AGAIN_MS);
}

static void subscribers_read_spec(struct subscribers *all, const char *id,
                                  const struct kafka_record *record) {
    struct subscriber *s = subscribers_find(all, id);
    struct subscriber_record parsed;
    struct error err;
    bool newer;
    if (!record->value.data) {
        if (s)
            subscribers_remove_spec(all, s);
        return;
    }
    s = subscribers_find_or_add(all, id, record->partition);
    s->deleted = false;
    s->listed = true;
    if (subscriber_record_from_json(&parsed, id, record->value, all->dispatcher->keyring, &newer,
                                    NULL, &err) == 0) {
        subscribers_note_unreadable(s, UNREADABLE_SPEC, record->offset, NULL);
        subscriber_set_record(s, &parsed, record->offset);
        return;
    }
    subscribers_note_unreadable(s, UNREADABLE_SPEC, record->offset, err.message);
    subscribers_wait_for_key(all, &s->unreadable[UNREADABLE_SPEC], record->value);
    subscriber_clear_record(s);
}

static void subscribers_read_keys(struct subscribers *all, const char *id,
                                  const struct kafka_record *record) {
    struct subscriber_keys keys;
    struct error err;
    bool newer;
    if (!record->value.data)
        return;
    struct subscriber *s = subscribers_find_or_add(all, id, record->partition);
    if (subscriber_keys_from_json(&keys, id, record->value, all->dispatcher->keyring, &newer, NULL,
                                  &err) == 0) {
        subscribers_note_unreadable(s, UNREADABLE_KEYS, record->offset, NULL);
        subscriber_set_keys(s, &keys, record->offset);
    } else {
        subscribers_note_unreadable(s, UNREADABLE_KEYS, record->offset, err.message);
        subscribers_wait_for_key(all, &s->unreadable[UNREADABLE_KEYS], record->value);
        subscriber_clear_keys(s);
    }
}

static void subscribers_read_desired(struct subscribers *all, const char *id,
                                     const struct kafka_record *record) {
    struct subscriber *s = subscribers_find_or_add(all, id, record->partition);
    /* Only a deletion writes a tombstone, and the spec's tombstone follows: until then a paused
     * lane stays paused. */
    struct subscriber_desired desired = s->desired;
    struct error err;
    bool newer;
    s->desired_blocked = record->value.data &&
                         subscriber_desired_from_json(&desired, record->value, &newer, &err);
    subscribers_note_unreadable(s, UNREADABLE_DESIRED_STATE, record->offset,
                                s->desired_blocked ? err.message : NULL);
    if (!s->desired_blocked)
        subscriber_set_desired(s, &desired, record->offset);
}

static void subscribers_read_acknowledgement(struct subscribers *all, const char *id,
                                             const struct kafka_record *record) {
    struct acknowledgement acknowledged;
    struct error err;
    if (!record->value.data)
        return; /* the spec's tombstone follows */
    if (acknowledgement_from_json(&acknowledged, record->value, &err))
        subscribers_note_bad(all->dispatcher, record, id, &err);
    else
        pulled_acknowledge(subscribers_find_or_add(all, id, record->partition), &acknowledged);
}

static void subscribers_read_command(struct subscribers *all, const char *id,
                                     const struct kafka_record *record) {
    struct subscriber *s = record->value.data ? subscribers_find_or_add(all, id, record->partition)
                                              : subscribers_find(all, id);
    if (!s)
        return;
    commands_read(&s->commands, record->key, record->value, record->offset);
    commands_apply(&s->commands);
    if (!partitions_started(all->dispatcher->partitions, s->partition))
        return;
    subscribers_erase_orphans(s);
    if (subscribers_is_empty(s))
        subscribers_drop(all, s);
}

static void subscribers_read_token(struct subscribers *all, const char *id,
                                   const struct kafka_record *record) {
    struct subscriber *s = record->value.data ? subscribers_find_or_add(all, id, record->partition)
                                              : subscribers_find(all, id);
    struct token token;
    struct error err;
    bool newer;
    if (!s)
        return;
    if (!record->value.data) {
        s->blocked = false;
        checkpoint_erased(&s->checkpoint);
    } else if (token_from_json(&token, record->value, &newer, &err)) {
        subscribers_note_bad(all->dispatcher, record, s->id, &err);
        subscriber_block(s);
        return;
    } else {
        subscriber_read_token(s, record->value, &token);
        token_fini(&token);
    }
    checkpoint_rewrite_if_due(&s->checkpoint);
}

int subscribers_check_key(const struct dispatcher *d, struct span value, struct error *err) {
    if (!value.data || subscriber_check_from_json(value, d->keyring, NULL, err) == 0)
        return 0;
    return error_prefix(
        err, "%s does not fit the secrets in Kafka: ", d->service.settings.secrets_key_file);
}

/* An ingest seals by a key missing from our key file: subscribers with records sealed by that key
 * wait, the others continue. */
static void subscribers_read_check(const struct dispatcher *d, struct span value) {
    struct error err;
    if (subscribers_check_key(d, value, &err))
        log_warn("waiting_for_key_file", LOG_S("file", d->service.settings.secrets_key_file),
                 LOG_S("reason", err.message));
}

void subscribers_read(struct subscribers *all, const struct kafka_record *record) {
    struct dispatcher *d = all->dispatcher;
    char id[SPEC_ID_BYTES_MAX + 1];
    enum subscriber_key kind = subscriber_key_parse(record->key, id);
    bool token = strcmp(record->topic, d->service.tokens_topic) == 0;
    struct error err;
    if (kind == SUBSCRIBER_KEY_CHECK && !token &&
        partitions_started(d->partitions, record->partition))
        subscribers_read_check(d, record->value);
    if (kind == SUBSCRIBER_KEY_CHECK || kind == SUBSCRIBER_KEY_OTHER)
        return;
    int32_t partition = kafka_partition_of(id, d->service.genesis.subscriber_partitions);
    if (partition != record->partition) {
        error_set(&err, "the record belongs into partition %d", (int)partition);
        subscribers_note_bad(d, record, id, &err);
        return;
    }
    if (kind == SUBSCRIBER_KEY_SPEC && token)
        subscribers_read_token(all, id, record);
    else if (kind == SUBSCRIBER_KEY_SPEC)
        subscribers_read_spec(all, id, record);
    else if (kind == SUBSCRIBER_KEY_KEYS && !token)
        subscribers_read_keys(all, id, record);
    else if (kind == SUBSCRIBER_KEY_DESIRED && !token)
        subscribers_read_desired(all, id, record);
    else if (kind == SUBSCRIBER_KEY_ACKNOWLEDGEMENT && !token)
        subscribers_read_acknowledgement(all, id, record);
    else if (kind == SUBSCRIBER_KEY_COMMAND && !token)
        subscribers_read_command(all, id, record);
    else
        return;
    struct subscriber *s = subscribers_find(all, id);
    if (s && partitions_started(d->partitions, s->partition))
        subscriber_apply(s, LOG_LEVEL_INFO);
}

void subscribers_start(struct subscribers *all, int32_t partition) {
    struct subscriber *s;
    subscribers_erase_deleted(all, partition);
    DL_FOREACH2(all->of[partition], s, partition_next) {
        subscribers_say_unreadable(s);
        subscriber_apply(s, all->said++ < SAID_MAX ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG);
        if (s->checkpoint.choice.rewrite)
            checkpoint_rewrite(&s->checkpoint);
        subscribers_erase_orphans(s);
    }
}

/* Another owner had the partition meanwhile and wrote a valid token: what that owner settled and
 * applied stays done. */
static void subscribers_follow_another_owner(struct subscriber *s) {
    if (!s->running || !checkpoint_is_anothers(&s->checkpoint))
        return;
    subscriber_stop(s, false);
    subscriber_apply(s, LOG_LEVEL_INFO);
}

void subscribers_resume(struct subscribers *all, int32_t partition, bool rewrite) {
    int64_t window_ms = partitions_window_ms(all->dispatcher->partitions, partition);
    struct subscriber *s;
    subscribers_erase_deleted(all, partition);
    DL_FOREACH2(all->of[partition], s, partition_next) {
        subscribers_follow_another_owner(s);
        if (rewrite)
            checkpoint_rewrite(&s->checkpoint);
        subscribers_erase_orphans(s);
        if (!s->running)
            continue;
        throttle_fill(&s->throttle, window_ms);
        commands_apply(&s->commands);
        sender_step(&s->live);
        if (s->jobs.sender)
            sender_step(s->jobs.sender);
    }
}

void subscribers_close(struct subscribers *all) {
    for (struct subscriber *s = all->all; s; s = s->hh.next)
        if (s->running)
            subscriber_close(s);
}

void subscribers_write(struct subscribers *all) {
    for (struct subscriber *s = all->all; s; s = s->hh.next)
        if (s->running)
            checkpoint_hand_over(&s->checkpoint);
}

void subscribers_stop(struct subscribers *all) {
    if (!all)
        return;
    all->said = 0;
    for (struct subscriber *s = all->all; s; s = s->hh.next)
        subscriber_stop(s, false);
}

void subscribers_forget(struct subscribers *all, int32_t partition) {
    struct subscriber *s, *next;
    DL_FOREACH_SAFE2(all->of[partition], s, next, partition_next) { subscribers_drop(all, s); }
}

/* An appended event, and the subscribers that it found behind, which leave the index after the
 * walk. So a lane that is behind costs one event, not every event. */
struct waking {
    const struct feed_event *event;
    struct subscriber *behind;
};

static void subscribers_wake(void *arg, struct match_member *member) {
    struct waking *waking = arg;
    const struct feed_event *event = waking->event;
    struct subscriber *s = container_of(member, struct subscriber, member);
    if (!s->live.lane.at_end) { /* the lane will find the event itself */
        LL_PREPEND2(waking->behind, s, behind_next);
        return;
    }
    if (!subscription_wants_content(&s->record.spec.subscription, event->stored))
        return;
    lane_wake(&s->live.lane, event->cursor - 1);
    s->live.lane.appended_ms = event->appended_ms;
    checkpoint_soon(&s->checkpoint); /* the lane is behind: it may have to wait */
    sender_step(&s->live);
}

void subscribers_appended(struct dispatcher *d, const struct feed_event *event) {
    struct feed_event copy = *event;
    struct waking waking = {.event = &copy};
    match_each(d->match, event->topic, subscribers_wake, &waking);
    while (waking.behind) {
        struct subscriber *s = waking.behind;
        LL_DELETE2(waking.behind, s, behind_next);
        if (!s->live.lane.at_end)
            subscriber_behind(s);
    }
}

size_t subscribers_count(const struct subscribers *all) {
    size_t count = 0;
    for (const struct subscriber *s = all->all; s; s = s->hh.next)
        count += s->running;
    return count;
}

struct subscribers *subscribers_new(struct dispatcher *d) {
    struct subscribers *all = mem_zero(sizeof *all);
    all->dispatcher = d;
    loop_timer_init(&all->key_due, subscribers_on_key_due, all);
    return all;
}

void subscribers_free(struct subscribers *all) {
    if (!all)
        return;
    for (int32_t i = 0; i < SUBSCRIBER_PARTITIONS_MAX; i++)
        subscribers_forget(all, i);
    loop_timer_clear(all->dispatcher->service.loop, &all->key_due);
    free(all);
}
