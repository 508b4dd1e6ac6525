/* All subscribers; see subscribers.h. Nothing runs before every record is read; then each record counts at once. */
#include "dispatcher/subscribers.h"

#include <stdlib.h>

#include "common/kafka/table.h"
#include "common/model/seal.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/subscriber.h"

struct subscribers {
    struct dispatcher *dispatcher;
    struct table *table;
    const char *topics[3];
    struct subscriber *all;
};

struct subscriber *subscribers_find(struct subscribers *all, const char *id) {
    struct subscriber *s = NULL;
    if (all)
        HASH_FIND_STR(all->all, id, s);
    return s;
}

struct subscriber *subscribers_first(struct subscribers *all) { return all ? all->all : NULL; }

static struct subscriber *find_or_add(struct subscribers *all, const char *id) {
    struct subscriber *s = subscribers_find(all, id);
    if (s)
        return s;
    s = subscriber_new(all->dispatcher, id);
    HASH_ADD_STR(all->all, id, s);
    return s;
}

static void drop(struct subscribers *all, struct subscriber *s) {
    HASH_DEL(all->all, s);
    subscriber_free(s);
}

static void log_bad(const struct table_record *record, const char *id, const struct error *err) {
    log_error("bad_record", LOG_S("topic", record->topic), LOG_N("partition", record->partition), LOG_N("offset", record->offset),
              LOG_S("subscriber", id), LOG_S("reason", err->message));
}

static void read_spec(struct subscribers *all, const char *id, const struct table_record *record) {
    struct subscriber *s = subscribers_find(all, id);
    struct subscriber_record parsed;
    struct error err;
    bool newer;
    if (!record->value.data) {
        if (s)
            drop(all, s);
        return;
    }
    s = find_or_add(all, id);
    if (subscriber_record_from_json(&parsed, id, record->value, all->dispatcher->keyring, &newer, NULL, &err) == 0) {
        if (s->has_record && subscriber_record_void(&parsed, record->offset, s->record.born, s->record.registered)) {
            spec_fini(&parsed.spec); /* the loser of two registrations of one id */
            return;
        }
        if (parsed.registered < 0)
            parsed.registered = record->offset;
        subscriber_set_record(s, &parsed, record->offset);
        return;
    }
    log_bad(record, id, &err);
    subscriber_clear_record(s);
}

static void read_keys(struct subscribers *all, const char *id, const struct table_record *record) {
    struct subscriber_keys keys;
    struct error err;
    bool newer;
    if (!record->value.data)
        return;
    if (subscriber_keys_from_json(&keys, id, record->value, all->dispatcher->keyring, &newer, NULL, &err) == 0)
        subscriber_set_keys(find_or_add(all, id), &keys);
    else
        log_bad(record, id, &err);
}

/* A running subscriber's token is its own; one that is read then was written by this process. */
static void read_token(struct subscribers *all, const char *id, const struct table_record *record) {
    struct subscriber *s = record->value.data ? find_or_add(all, id) : subscribers_find(all, id);
    struct error err;
    bool newer;
    if (!s || s->running)
        return;
    s->blocked = false;
    free(s->token);
    s->token = NULL;
    if (!record->value.data)
        return;
    s->token = mem_zero(sizeof *s->token);
    if (token_from_json(s->token, record->value, &newer, &err) == 0)
        return;
    log_bad(record, id, &err);
    free(s->token);
    s->token = NULL;
    s->blocked = true;
}

static void check_key(struct subscribers *all, const struct table_record *record) {
    struct error err;
    bool old_key;
    if (record->value.data && subscriber_check_from_json(record->value, all->dispatcher->keyring, &old_key, &err)) {
        error_prefix(&err, "%s does not fit the secrets in Kafka: ", all->dispatcher->settings.secrets_key_file);
        dispatcher_refuse(all->dispatcher, "bad_key_file", err.message);
    }
}

static void on_record(void *arg, const struct table_record *record) {
    struct subscribers *all = arg;
    char id[SPEC_ID_BYTES_MAX + 1];
    enum subscriber_key kind = subscriber_key_parse(record->key, id);
    if (record->topic == all->topics[1]) {
        if (kind == SUBSCRIBER_KEY_SPEC)
            read_token(all, id, record);
        return;
    }
    if (kind == SUBSCRIBER_KEY_CHECK)
        check_key(all, record);
    else if (kind == SUBSCRIBER_KEY_SPEC)
        read_spec(all, id, record);
    else if (kind == SUBSCRIBER_KEY_KEYS)
        read_keys(all, id, record);
    struct subscriber *s = subscribers_find(all, id);
    if (s && kind != SUBSCRIBER_KEY_OTHER && kind != SUBSCRIBER_KEY_CHECK && table_loaded(all->table))
        subscriber_apply(s, false);
}

static void on_loaded(void *arg) {
    struct subscribers *all = arg;
    for (struct subscriber *s = all->all; s; s = s->hh.next)
        subscriber_apply(s, true);
    log_info("ready", LOG_S("feed", all->dispatcher->genesis.feed), LOG_N("end", feed_end(all->dispatcher->feed)),
             LOG_N("subscribers", HASH_COUNT(all->all)));
}

static void on_failed(void *arg, const char *reason) {
    struct subscribers *all = arg;
    dispatcher_start_over(all->dispatcher, reason);
}

struct subscribers *subscribers_new(struct dispatcher *d, struct error *err) {
    struct subscribers *all = mem_zero(sizeof *all);
    *all = (struct subscribers){.dispatcher = d, .topics = {d->subscribers_topic, d->tokens_topic, NULL}};
    const struct table_options options = {.kafka = &d->settings.kafka,
                                          .topics = all->topics,
                                          .partitions = SUBSCRIBER_PARTITIONS,
                                          .record = on_record,
                                          .loaded = on_loaded,
                                          .failed = on_failed,
                                          .arg = all};
    all->table = table_new(d->loop, &options, err);
    if (!all->table) {
        free(all);
        return NULL;
    }
    return all;
}

void subscribers_free(struct subscribers *all, bool keep) {
    struct subscriber *s, *next;
    if (!all)
        return;
    table_free(all->table);
    HASH_ITER(hh, all->all, s, next) {
        subscriber_stop(s, keep);
        drop(all, s);
    }
    free(all);
}

bool subscribers_loaded(const struct subscribers *all) { return all && table_loaded(all->table); }
