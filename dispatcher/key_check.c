/* Checks the key file against the secrets in Kafka; see key_check.h. */
#include "dispatcher/key_check.h"

#include "common/base/clock.h"
#include "common/crypto/seal.h"
#include "common/kafka/table.h"
#include "common/model/subscriber.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/subscriber/subscribers.h"

enum { KEY_AGAIN_MS = 300 };

static void key_check_on_record(void *arg, const struct kafka_record *record) {
    struct dispatcher *d = arg;
    struct buf *value = &d->key_check.value;
    char id[SPEC_ID_BYTES_MAX + 1];
    if (subscriber_key_parse(record->key, id) != SUBSCRIBER_KEY_CHECK)
        return;
    buf_clear(value); /* forget an older check record: its key may no longer be in the key file */
    if (record->value.data)
        buf_append(value, record->value.data, record->value.len);
}

static void key_check_on_trouble(void *arg, const char *reason) {
    (void)arg;
    if (reason)
        log_warn("subscribers_not_read", LOG_S("reason", reason));
}

static void key_check_on_broken(void *arg, const char *reason) {
    struct dispatcher *d = arg;
    service_start_over(&d->service, reason);
}

/* A table cannot be freed from its own callback. */
static void key_check_on_loaded(void *arg) {
    struct dispatcher *d = arg;
    loop_timer_set(d->service.loop, &d->key_check.read, clock_ms());
}

static void key_check_on_read(void *arg) {
    struct dispatcher *d = arg;
    struct key_check *check = &d->key_check;
    struct error err;
    table_free(check->table);
    check->table = NULL;
    bool fits = subscribers_check_key(d, (struct span){check->value.data, check->value.len},
                                      &err) == 0;
    buf_fini(&check->value);
    if (!fits)
        service_refuse(&d->service, "bad_key_file", err.message);
    else if (!d->service.stopping)
        check->fits(d);
}

static void key_check_read(struct dispatcher *d) {
    struct key_check *check = &d->key_check;
    struct error err;
    check->topics[0] = d->service.subscribers_topic;
    const struct table_options options = {.kafka = &d->service.settings.kafka,
                                          .topics = check->topics,
                                          .partitions = 1,
                                          .record = key_check_on_record,
                                          .loaded = key_check_on_loaded,
                                          .trouble = key_check_on_trouble,
                                          .failed = key_check_on_broken,
                                          .arg = d};
    check->table = table_new(d->service.loop, &options, &err);
    if (!check->table)
        service_refuse(&d->service, "kafka_handle", err.message);
}

static void key_check_await_file(struct dispatcher *d) {
    struct key_check *check = &d->key_check;
    if (!check->said_no_key)
        log_warn("waiting_for_key_file", LOG_S("file", d->service.settings.secrets_key_file),
                 LOG_S("reason", "the file does not exist yet; ess-ingest creates it"));
    check->said_no_key = true;
    loop_timer_set(d->service.loop, &check->again, clock_ms() + KEY_AGAIN_MS);
}

static void key_check_load(void *arg) {
    struct dispatcher *d = arg;
    struct error err;
    bool missing = false;
    keyring_free(d->keyring);
    d->keyring = keyring_load(d->service.settings.secrets_key_file, &missing, &err);
    if (d->keyring)
        key_check_read(d);
    else if (missing)
        key_check_await_file(d);
    else
        service_refuse(&d->service, "bad_key_file", err.message);
}

void key_check_begin(struct dispatcher *d, void (*fits)(struct dispatcher *)) {
    d->key_check.fits = fits;
    loop_timer_init(&d->key_check.again, key_check_load, d);
    loop_timer_init(&d->key_check.read, key_check_on_read, d);
    key_check_load(d);
}

void key_check_end(struct dispatcher *d) {
    loop_timer_clear(d->service.loop, &d->key_check.again);
    loop_timer_clear(d->service.loop, &d->key_check.read);
    table_free(d->key_check.table);
    d->key_check.table = NULL;
    buf_fini(&d->key_check.value);
}

const char *key_check_trouble(const struct key_check *check) {
    return check->table ? table_trouble(check->table) : NULL;
}
