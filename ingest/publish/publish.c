/* POST /ess/publish; see publish.h. 2xx means: in Kafka, on every in-sync replica.
 *
 * A try checks the whole body, then filters, encodes and looks up each event by id. It ends in one
 * of four ways:
 * - refused: an event is invalid, or an id is known with other content. 4xx; nothing is appended.
 * - written: every id is known with the same content. The answer has the cursors.
 * - waits: the outcome of an id is not known yet (inflight.h). Another try follows once it is.
 * - on its way: new events are appended. The answer follows when the last is written or one is
 * lost.
 *
 * A request without another answer at the deadline gets 503 with its ids. Records on their way
 * continue without the request. */
#include "ingest/publish/publish.h"

#include <stdlib.h>
#include <strings.h>
#include <sys/random.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/base/container_of.h"
#include "common/crypto/uuid.h"
#include "common/feed/record.h"
#include "ingest/access/auth.h"
#include "ingest/publish/filter.h"
#include "ingest/publish/publish_internal.h"

enum {
    FAILURE_LOG_PERIOD_MS = 10000,
    ANSWER_WITHIN_MS = 1800, /* documented: within 2 s */
    UNRESOLVED_MAX = 100000,
};

/* One event during a try. */
struct item {
    const struct event *event;
    struct buf filtered;      /* the filtered data; empty where nothing was filtered */
    struct filter_hits *hits; /* NULL where nothing was filtered */
    struct record_draft draft;
    struct dedupe_print print;
};

/* --- life */

static void publish_free(struct publish *p) {
    struct publisher *publisher = p->publisher;
    DL_DELETE(publisher->publishes, p);
    loop_timer_clear(publisher->ingest->service.loop, &p->deadline);
    for (size_t i = 0; i < p->waits_count; i++)
        inflight_leave(&p->waits[i]);
    for (size_t i = 0; i < p->count; i++)
        if (p->results[i].production)
            p->results[i].production->publish = NULL;
    free(p->waits);
    free(p->results);
    free(p);
}

static void publish_on_gone(void *arg) { publish_free(arg); }

static void publish_unavailable(struct publish *p, const char *reason) {
    publish_answer_unavailable(p, reason);
    publish_free(p);
}

static void publish_on_deadline(void *arg) {
    publish_unavailable(arg, "Kafka did not confirm the event in time");
}

/* --- records on their way */

static struct production *production_of(struct append *append) {
    return (struct production *)append;
}

/* Ends a production whose outcome is known, and wakes the waiting requests. */
static void production_end(struct production *production) {
    inflight_settle(&production->publisher->inflight, &production->record);
    inflight_wake(&production->record);
    free(production);
}

void production_written(struct production *production, int64_t cursor) {
    struct publish *p = production->publish;
    if (p) {
        p->results[production->number].cursor = cursor;
        p->results[production->number].production = NULL;
        if (--p->on_their_way == 0) {
            publish_answer_written(p);
            publish_free(p);
        }
    }
    production_end(production);
}

void production_lost(struct production *production, const char *reason) {
    if (production->publish)
        publish_unavailable(production->publish, reason);
    production_end(production);
}

/* Kafka refuses this record for good: the publisher need not try again. */
static void production_refused(struct production *production,
                               const struct producer_report *report) {
    struct publish *p = production->publish;
    struct error err;
    error_set_field(&err, "data", "is refused by Kafka: %s", report->reason);
    if (p) {
        publish_answer_refused(p, report->flaw == PRODUCER_FLAW_SIZE ? 413 : 500, &err, p->many,
                               production->number);
        publish_free(p);
    }
    production_end(production);
}

static void publish_note_rejected(struct publisher *publisher,
                                  const struct producer_report *report) {
    int64_t held_back;
    if (log_limit_pass(&publisher->failures, clock_ms(), FAILURE_LOG_PERIOD_MS, &held_back))
        log_warn("publish_not_written", LOG_S("topic", publisher->ingest->service.events_topic),
                 LOG_S("reason", report->reason), LOG_N("held_back", held_back));
}

static void publish_unresolve(struct production *production) {
    inflight_unresolve(&production->publisher->inflight, &production->record, clock_ms());
    unresolved_look(production->publisher);
}

static void publish_on_reported(struct append *append, const struct producer_report *report) {
    struct production *production = production_of(append);
    struct publisher *publisher = production->publisher;
    struct ingest *ingest = publisher->ingest;
    bool same_log = !production->record.before_start_over && !ingest->service.starting_over;
    if (report->fate == PRODUCER_REJECTED)
        publish_note_rejected(publisher, report);
    if (report->fate == PRODUCER_REJECTED && report->flaw) {
        production_refused(production, report);
    } else if (report->fate == PRODUCER_REJECTED) {
        production_lost(production, report->reason);
    } else if (report->fate == PRODUCER_UNRESOLVED || !same_log ||
               !feed_sure(ingest->service.feed)) {
        /* cursors of an unsure log mean nothing: the tail will find the record */
        publish_unresolve(production);
    } else if (report->offset <= ingest->acknowledged) {
        publish_unresolve(production);
        service_start_over(&ingest->service, "a delivery report was not above the previous one");
    } else {
        ingest->acknowledged = report->offset;
        dedupe_add(publisher->dedupe, &production->record.print, report->offset, clock_wall_ms());
        production_written(production, report->offset);
    }
}

void publisher_appended(struct publisher *publisher, const struct feed_event *event) {
    struct dedupe_print print;
    int64_t cursor;
    dedupe_print_id(publisher->dedupe, event->id, &print);
    if (!dedupe_holds(publisher->dedupe, &print, event->cursor)) {
        dedupe_print_content(publisher->dedupe, event->topic, event->key,
                             event_stored_data(event->stored), event->rules, &print);
        publisher->doubled += dedupe_add(publisher->dedupe, &print, event->cursor,
                                         event->appended_ms);
    }
    struct inflight_record *record = inflight_find(&publisher->inflight, &print);
    if (!record)
        return;
    struct production *production = container_of(record, struct production, record);
    /* the delivery report is still due, but the index has the id already */
    if (record->state == INFLIGHT_SENT)
        inflight_wake(record);
    else if (dedupe_find(publisher->dedupe, &record->print, clock_wall_ms(), &cursor) ==
             DEDUPE_REPEAT)
        production_written(production, cursor);
    else
        production_lost(production, "another event with this id was published at the same time");
}

/* --- one try of a request */

static void publish_make_id(void *arg, char out[37]) {
    struct publish_random *random = arg;
    if (random->left == 0) {
        if (getrandom(random->bytes, sizeof random->bytes, 0) != sizeof random->bytes)
            abort();
        random->left = sizeof random->bytes;
    }
    random->left -= PUBLISH_RANDOM_BYTES;
    uuid_v7(clock_wall_ms(), random->bytes + random->left, out);
}

/* The publisher's W3C trace context, if it fits into a header. */
static const char *publish_traceparent_of(const struct http_request *request) {
    const char *value = http_request_header(request, "traceparent");
    size_t len = value ? strlen(value) : 0;
    if (len == 0 || len > EVENT_TRACEPARENT_BYTES_MAX)
        return NULL;
    for (size_t i = 0; i < len; i++)
        if (value[i] < 0x21 || value[i] > 0x7e)
            return NULL;
    return value;
}

static bool publish_is_ndjson(const struct http_request *request) {
    static const char ndjson[] = "application/x-ndjson";
    const char *type = http_request_header(request, "Content-Type");
    return type && strncasecmp(type, ndjson, sizeof ndjson - 1) == 0 &&
           strchr(" ;", type[sizeof ndjson - 1]);
}

size_t publish_body_max(void *arg, const struct http_request *request, const char **field) {
    const struct ingest *ingest = arg;
    size_t all = (size_t)ingest->service.settings.ingest.max_body,
           single = (size_t)ingest->max_event + EVENT_BODY_SLACK_BYTES;
    if (single >= all || !http_request_body(request).len || publish_is_ndjson(request) ||
        batch_is_array(http_request_body(request)))
        return all;
    *field = "data";
    return single;
}

static int publish_read_body(struct publish *p, struct batch *batch) {
    static const char *const no_parameters[] = {NULL};
    char ts[CLOCK_TEXT_BYTES];
    struct batch_fault fault = {0};
    struct error err;
    clock_format(clock_wall_ms(), ts);
    const struct batch_options options = {.ndjson = publish_is_ndjson(p->request),
                                          .data_max = (size_t)p->publisher->ingest->max_event,
                                          .ts = ts,
                                          .make_id = publish_make_id,
                                          .arg = &p->publisher->random};
    if (http_request_query_check(p->request, no_parameters, &err) == 0 &&
        batch_read(batch, http_request_body(p->request), &options, &fault, &err) == 0)
        return 0;
    publish_answer_refused(p, fault.too_large ? 413 : 400, &err, fault.at_event, fault.index);
    return -1;
}

/* A proxy routes by X-ESS-Id, so that a repeat reaches the same ingest. A header without a
 * matching id in the body would route the repeat elsewhere. */
static int publish_check_header(const struct publish *p, const struct batch *batch) {
    const char *id = http_request_header(p->request, "X-ESS-Id");
    struct error err;
    for (size_t i = 0; id && i < batch->count; i++)
        if (strcmp(batch->events[i].id, id) == 0)
            return 0;
    if (!id)
        return 0;
    error_set_field(&err, "X-ESS-Id", "must be the id of %s",
                    batch->many ? "one of the events" : "the event in the body");
    publish_answer_refused(p, 400, &err, false, 0);
    return -1;
}

static int publish_check_allowed(const struct publish *p, const struct batch *batch) {
    struct error err;
    for (size_t i = 0; i < batch->count; i++) {
        if (auth_publish(p->publisher->ingest, p->request, batch->events[i].topic,
                         batch->events[i].id, &err) == 0)
            continue;
        publish_answer_refused(p, 403, &err, batch->many, i);
        return -1;
    }
    return 0;
}

/* Resets the results of an earlier try to the ids. */
static void publish_begin_results(struct publish *p, const struct batch *batch) {
    p->many = batch->many;
    p->count = batch->count;
    p->results = mem_resize(p->results, p->count * sizeof *p->results);
    for (size_t i = 0; i < p->count; i++) {
        p->results[i] = (struct publish_result){.cursor = -1, .first = -1};
        memcpy(p->results[i].id, batch->events[i].id, sizeof p->results[i].id);
    }
}

/* Filters an event before anything is stored or compared. Returns -1 when the data has grown too
 * large. */
static int publish_filter_item(const struct publish *p, struct event *event, struct item *item,
                               struct error *err) {
    struct filter_hits hits = {.values = 0};
    if (!filter_event(p->publisher->ingest->filter, event, &item->filtered, &hits))
        return 0;
    item->hits = mem_alloc(sizeof hits);
    *item->hits = hits;
    if (event->data.len <= EVENT_DATA_BYTES_MAX)
        return 0;
    return error_set_field(err, "data",
                           "is %zu bytes after the PII filter, above the limit of %d: publish a "
                           "link to large data instead",
                           event->data.len, EVENT_DATA_BYTES_MAX);
}

static int publish_make_item(const struct publish *p, struct event *event, struct item *item,
                             struct error *err) {
    item->event = event;
    if (publish_filter_item(p, event, item, err))
        return -1;
    record_draft_init(&item->draft, event, p->publisher->ingest->service.genesis.feed,
                      publish_traceparent_of(p->request));
    const struct span data = event_stored_data(
        (struct span){item->draft.stored.data, item->draft.stored.len});
    const struct span key = {event->has_key ? event->key : NULL, event->key_len};
    dedupe_print_id(p->publisher->dedupe, span_of(event->id), &item->print);
    dedupe_print_content(p->publisher->dedupe, span_of(event->topic), key, data, event->rules,
                         &item->print);
    return 0;
}

static int publish_make_items(const struct publish *p, const struct batch *batch,
                              struct item *items) {
    struct error err;
    for (size_t i = 0; i < batch->count; i++) {
        if (publish_make_item(p, &batch->events[i], &items[i], &err) == 0)
            continue;
        publish_answer_refused(p, 413, &err, batch->many, i);
        return -1;
    }
    return 0;
}

static void publish_free_item(struct item *item) {
    record_draft_fini(&item->draft);
    buf_fini(&item->filtered);
    if (item->hits)
        filter_hits_fini(item->hits);
    free(item->hits);
}

/* Finds repeated ids within a batch: a hash table of event numbers, from 1, at most half full. */
struct batch_ids {
    const struct item *items;
    uint16_t *numbers;
    size_t size;
};

static void publish_batch_ids_init(struct batch_ids *ids, const struct item *items, size_t count) {
    *ids = (struct batch_ids){.items = items, .size = 2};
    while (ids->size < 2 * count)
        ids->size *= 2;
    ids->numbers = mem_zero(ids->size * sizeof *ids->numbers);
}

/* The number of the first item with this item's id. */
static size_t publish_first_of_id(struct batch_ids *ids, size_t number) {
    const struct dedupe_print *print = &ids->items[number].print;
    size_t slot = print->id[0] & (ids->size - 1);
    for (; ids->numbers[slot]; slot = (slot + 1) & (ids->size - 1)) {
        const struct dedupe_print *other = &ids->items[ids->numbers[slot] - 1].print;
        if (memcmp(other->id, print->id, sizeof print->id) == 0)
            return ids->numbers[slot] - 1U;
    }
    ids->numbers[slot] = (uint16_t)(number + 1);
    return number;
}

static void publish_try(void *arg);

static void publish_on_settled(void *arg) {
    struct publish *p = arg;
    if (--p->waiting == 0)
        publish_try(p);
}

static void publish_wait_for(struct publish *p, struct inflight_record *record) {
    if (!p->waits)
        p->waits = mem_zero(p->count * sizeof *p->waits);
    struct inflight_wait *wait = &p->waits[p->waits_count++];
    *wait = (struct inflight_wait){.settled = publish_on_settled, .arg = p};
    inflight_wait(record, wait);
    p->waiting++;
}

static bool publish_conflict(const struct publish *p, size_t number, int64_t cursor) {
    publish_answer_conflict(p, number, cursor);
    return false;
}

/* Looks up one event's id. False: the request was answered. */
static bool publish_look_up(struct publish *p, struct batch_ids *ids, size_t number) {
    struct publisher *publisher = p->publisher;
    struct publish_result *result = &p->results[number];
    const struct dedupe_print *print = &ids->items[number].print;
    struct inflight_record *record;
    int64_t cursor = -1;
    enum dedupe_found found = dedupe_find(publisher->dedupe, print, clock_wall_ms(), &cursor);
    size_t first = found == DEDUPE_NEW ? publish_first_of_id(ids, number) : number;
    if (found == DEDUPE_CONFLICT || ids->items[first].print.content != print->content)
        return publish_conflict(p, number, cursor);
    result->cursor = cursor;
    result->duplicate = found == DEDUPE_REPEAT || first < number;
    result->first = first < number ? (int)first : -1;
    if (!result->duplicate && (record = inflight_find(&publisher->inflight, print)))
        publish_wait_for(p, record);
    return true;
}

static bool publish_look_up_all(struct publish *p, const struct item *items) {
    struct batch_ids ids;
    bool going_on = true;
    publish_batch_ids_init(&ids, items, p->count);
    for (size_t i = 0; going_on && i < p->count; i++)
        going_on = publish_look_up(p, &ids, i);
    free(ids.numbers);
    return going_on;
}

static int publish_send_one(struct publish *p, size_t number, const struct item *item,
                            struct error *err) {
    struct publisher *publisher = p->publisher;
    const struct producer_record record = record_draft_record(
        &item->draft, publisher->ingest->service.events_topic);
    struct production *production = mem_zero(sizeof *production);
    *production = (struct production){.append.reported = publish_on_reported,
                                      .record.print = item->print,
                                      .publisher = publisher,
                                      .publish = p,
                                      .number = number};
    if (producer_send(publisher->ingest->service.producer, &record, &production->append, err)) {
        free(production);
        return -1;
    }
    inflight_add(&publisher->inflight, &production->record, clock_ms());
    if (item->hits)
        filter_count(publisher->ingest->filter, item->event, item->hits);
    p->results[number].production = production;
    p->on_their_way++;
    return 0;
}

/* Appends the new events. Returns whether the request waits. */
static bool publish_send_all(struct publish *p, const struct item *items) {
    struct error err;
    for (size_t i = 0; i < p->count; i++) {
        if (!p->results[i].duplicate && publish_send_one(p, i, &items[i], &err)) {
            publish_answer_unavailable(p, err.message);
            return false;
        }
    }
    if (p->on_their_way)
        return true;
    publish_answer_written(p);
    return false;
}

/* Tries valid events. Returns whether the request waits. */
static bool publish_try_events(struct publish *p, const struct batch *batch) {
    struct item *items = mem_zero(batch->count * sizeof *items);
    bool waits = publish_make_items(p, batch, items) == 0 && publish_look_up_all(p, items) &&
                 (p->waiting || publish_send_all(p, items));
    for (size_t i = 0; i < batch->count; i++)
        publish_free_item(&items[i]);
    free(items);
    return waits;
}

static const char *publish_why_unavailable(const struct publisher *publisher) {
    const char *fault = producer_fault(publisher->ingest->service.producer);
    if (fault)
        return fault;
    if (!ingest_ready(publisher->ingest))
        return "Kafka does not answer, or the log has not been read yet";
    return publisher->inflight.unresolved_count > UNRESOLVED_MAX
               ? "too many events have an unknown outcome"
               : NULL;
}

/* Tries a valid body. Returns whether the request waits. */
static bool publish_try_batch(struct publish *p, const struct batch *batch) {
    publish_begin_results(p, batch);
    if (publish_check_header(p, batch) || publish_check_allowed(p, batch))
        return false;
    const char *reason = publish_why_unavailable(p->publisher);
    if (!reason)
        return publish_try_events(p, batch);
    publish_answer_unavailable(p, reason);
    return false;
}

static void publish_try(void *arg) {
    struct publish *p = arg;
    struct batch batch;
    p->waits_count = 0;
    bool good = publish_read_body(p, &batch) == 0, waits = good && publish_try_batch(p, &batch);
    if (good)
        batch_fini(&batch);
    if (!waits)
        publish_free(p);
}

void publish_handle(void *arg, struct http_request *request) {
    struct ingest *ingest = arg;
    struct publish *p = mem_zero(sizeof *p);
    *p = (struct publish){
        .publisher = ingest->publisher, .request = request, .began_us = clock_us()};
    DL_APPEND(ingest->publisher->publishes, p);
    loop_timer_init(&p->deadline, publish_on_deadline, p);
    loop_timer_set(ingest->service.loop, &p->deadline, clock_ms() + ANSWER_WITHIN_MS);
    http_request_on_gone(request, publish_on_gone, p);
    publish_try(p);
}

/* --- the publisher */

static struct dedupe *publish_new_dedupe(const struct publisher *publisher) {
    return dedupe_new(DEDUPE_IDS_MAX, publisher->ingest->service.settings.ingest.dedupe_window_ms,
                      publisher->key);
}

struct publisher *publisher_new(struct ingest *ingest) {
    struct publisher *publisher = mem_zero(sizeof *publisher);
    publisher->ingest = ingest;
    if (getrandom(publisher->key, sizeof publisher->key, 0) != sizeof publisher->key)
        abort();
    publisher->dedupe = publish_new_dedupe(publisher);
    unresolved_init(publisher);
    return publisher;
}

void publisher_free(struct publisher *publisher) {
    struct inflight_record *record, *next;
    if (!publisher)
        return;
    DL_FOREACH_SAFE(publisher->inflight.unresolved, record, next) {
        inflight_settle(&publisher->inflight, record);
        free(container_of(record, struct production, record));
    }
    dedupe_free(publisher->dedupe);
    free(publisher);
}

void publisher_start_over(struct publisher *publisher) {
    struct publish *p, *next;
    DL_FOREACH_SAFE(publisher->publishes, p, next)
        publish_unavailable(p, "the log is being read again");
    dedupe_free(publisher->dedupe);
    publisher->dedupe = publish_new_dedupe(publisher);
    inflight_start_over(&publisher->inflight);
}

size_t publisher_ids(struct publisher *publisher) {
    return dedupe_count(publisher->dedupe, clock_wall_ms());
}
