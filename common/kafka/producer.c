/* The idempotent producer; see producer.h. One active librdkafka handle. A handle that went fatal
 * is drained (its records are reported as far as known) and closed on a thread of its own, while
 * its successor already works. */
#include "common/kafka/producer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/kafka/handle.h"
#include "common/kafka/queue.h"

enum {
    PAUSE_MIN_MS = 500,
    PAUSE_MAX_MS = 30000,
    HEALTHY_MS = 3000,
    PROBE_AGAIN_MS = 500,
    ONCE_MS = 4000
};
enum {
    RECORD_OVERHEAD_BYTES = 1024, /* what librdkafka keeps beside a record's key and value: its own
                                     struct, and the headers of an event */
};

struct handle {
    struct producer *producer;
    rd_kafka_t *rk;
    struct kafka_queue queue;
    size_t pending;
    bool retired; /* fatal: waits only for its last reports */
    struct loop_timer ended;
};

struct producer {
    struct loop *loop;
    struct producer_options options;
    struct handle *current;
    size_t pending, pending_bytes; /* of retired handles too */
    enum { LINK_UNKNOWN, LINK_DOWN, LINK_UP } link;
    bool doubted; /* all connections ended while up: probe */
    struct loop_timer probe_timer;
    bool probing;
    bool stopped;
    /* For handles that go fatal repeatedly: */
    struct loop_timer replace_timer, healthy_timer;
    int64_t pause_ms; /* until the next successor; 0: none */
    char fault[256];
};

static void set_link(struct producer *p, bool up) {
    if (p->link == (up ? LINK_UP : LINK_DOWN))
        return;
    p->link = up ? LINK_UP : LINK_DOWN;
    if (p->options.link)
        p->options.link(p->options.arg, up);
}

static enum producer_flaw flaw_of(rd_kafka_resp_err_t code) {
    switch (code) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        return PRODUCER_FLAW_SIZE;
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
        return PRODUCER_FLAW_OTHER;
    default:
        return PRODUCER_FLAW_NONE;
    }
}

static struct producer_report producer_judge(const rd_kafka_message_t *message, bool alone) {
    if (!message->err && message->offset >= 0)
        return (struct producer_report){.fate = PRODUCER_WRITTEN, .offset = message->offset};
    /* Neither an error nor an offset: the broker acknowledged a duplicate sequence. */
    const char *reason = message->err ? rd_kafka_err2str(message->err)
                                      : "acknowledged without an offset";
    bool certain = message->err &&
                   rd_kafka_message_status(message) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
    return (struct producer_report){.fate = certain ? PRODUCER_REJECTED : PRODUCER_UNRESOLVED,
                                    .offset = -1,
                                    .reason = reason,
                                    .flaw = certain && alone ? flaw_of(message->err)
                                                             : PRODUCER_FLAW_NONE};
}

/* The last event of a retired handle was returned. */
static void producer_on_ended(void *arg) {
    struct handle *h = arg;
    kafka_queue_close(&h->queue);
    kafka_handle_destroy(h->producer->loop, h->rk, free, h);
}

static void end_when_empty(struct handle *h) {
    if (h->retired && h->pending == 0)
        loop_timer_set(h->producer->loop, &h->ended, clock_ms());
}

/* Kafka accepts writes of this producer. */
static void on_healthy(void *arg) {
    struct producer *p = arg;
    loop_timer_clear(p->loop, &p->healthy_timer);
    p->pause_ms = 0;
    *p->fault = 0;
}

static void note_written(struct producer *p) {
    p->doubted = false;
    set_link(p, true);
    if (p->pause_ms)
        on_healthy(p);
}

static void report_all(struct handle *h, rd_kafka_event_t *event) {
    struct producer *p = h->producer;
    const rd_kafka_message_t *message;
    const bool alone = rd_kafka_event_message_count(event) == 1;
    while ((message = rd_kafka_event_message_next(event))) {
        struct producer_report report = producer_judge(message, alone);
        h->pending--;
        p->pending--;
        p->pending_bytes -= message->len + message->key_len + RECORD_OVERHEAD_BYTES;
        if (report.fate == PRODUCER_WRITTEN)
            note_written(p);
        struct append *append = message->_private;
        append->reported(append, &report);
    }
    end_when_empty(h);
}

static struct handle *handle_new(struct producer *p, struct error *err);

static void producer_replace(void *arg) {
    struct producer *p = arg;
    struct error err;
    struct handle *next = handle_new(p, &err);
    if (!next) { /* no memory or threads: the same settings worked before */
        loop_timer_set(p->loop, &p->replace_timer, clock_ms() + PAUSE_MIN_MS);
        return;
    }
    p->current = next;
    loop_timer_set(p->loop, &p->healthy_timer, clock_ms() + HEALTHY_MS);
}

/* A fatal handle accepts no record. Its unreported records may be in the log or not. */
static void producer_retire(struct handle *h) {
    struct producer *p = h->producer;
    int64_t pause_ms = p->pause_ms;
    loop_timer_clear(p->loop, &p->healthy_timer);
    rd_kafka_fatal_error(h->rk, p->fault, sizeof p->fault);
    h->retired = true;
    p->current = NULL;
    p->pause_ms = pause_ms == 0                 ? PAUSE_MIN_MS
                  : pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS
                                                : pause_ms * 2;
    rd_kafka_purge(h->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                              RD_KAFKA_PURGE_F_NON_BLOCKING);
    end_when_empty(h);
    if (pause_ms)
        loop_timer_set(p->loop, &p->replace_timer, clock_ms() + pause_ms);
    else
        producer_replace(p);
    if (p->options.replaced)
        p->options.replaced(p->options.arg, p->fault, pause_ms);
}

static void producer_probe(void *arg);

static void producer_on_error(struct handle *h, rd_kafka_event_t *event) {
    struct producer *p = h->producer;
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (h->retired)
        return;
    if (code == RD_KAFKA_RESP_ERR__FATAL || rd_kafka_event_error_is_fatal(event)) {
        producer_retire(h);
    } else if (code ==
               RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) { /* or brokers closed idle connections */
        p->doubted = true;
        producer_probe(p);
    }
}

static void producer_on_event(void *arg, rd_kafka_event_t *event) {
    struct handle *h = arg;
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR)
        report_all(h, event);
    else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
        producer_on_error(h, event);
}

static struct handle *handle_new(struct producer *p, struct error *err) {
    char timeout[24];
    snprintf(timeout, sizeof timeout, "%" PRId64, p->options.timeout_ms);
    const struct kafka_setting settings[] = {
        {"acks", "all"},
        {"enable.idempotence", "true"},
        {"linger.ms", "0"},
        {"message.timeout.ms", timeout},
        {"queue.buffering.max.kbytes",
         "2097151"}, /* producer_send bounds the queue: librdkafka ignores headers */
        {"queue.buffering.max.messages", "10000000"},
        {"message.max.bytes", "100000000"}, /* the topic's max.message.bytes decides */
        {NULL, NULL},
    };
    struct handle *h = mem_zero(sizeof *h);
    h->producer = p;
    if (kafka_queue_reserve(&h->queue, err) ||
        !(h->rk = kafka_handle_new(RD_KAFKA_PRODUCER, p->options.kafka, settings, err))) {
        kafka_queue_unreserve(&h->queue);
        free(h);
        return NULL;
    }
    loop_timer_init(&h->ended, producer_on_ended, h);
    kafka_queue_open(&h->queue, p->loop, rd_kafka_queue_get_main(h->rk), producer_on_event, h);
    return h;
}

/* Asks on a thread of its own whether a broker answers, until one does. */
struct probe {
    struct producer *producer;
    rd_kafka_t *rk;
    bool up;
};

static void probe_work(void *arg) {
    struct probe *probe = arg;
    const struct rd_kafka_metadata *metadata;
    probe->up = rd_kafka_metadata(probe->rk, 0, NULL, &metadata, 1000) ==
                RD_KAFKA_RESP_ERR_NO_ERROR;
    if (probe->up)
        rd_kafka_metadata_destroy(metadata);
    kafka_handle_leave(probe->rk);
}

static void probe_done(void *arg) {
    struct probe *probe = arg;
    struct producer *p = probe->producer;
    p->probing = false;
    if (probe->up || (p->link == LINK_UP && !p->doubted)) {
        p->doubted = false;
        set_link(p, true);
    } else {
        set_link(p, false);
        loop_timer_set(p->loop, &p->probe_timer, clock_ms() + PROBE_AGAIN_MS);
    }
    free(probe);
}

static void producer_probe(void *arg) {
    struct producer *p = arg;
    struct error err;
    if (p->probing || (p->link == LINK_UP && !p->doubted))
        return;
    static const struct kafka_setting none[] = {{NULL, NULL}};
    rd_kafka_t *rk = kafka_handle_new(RD_KAFKA_PRODUCER, p->options.kafka, none, &err);
    if (!rk) { /* no memory or threads: the same settings worked before */
        loop_timer_set(p->loop, &p->probe_timer, clock_ms() + PROBE_AGAIN_MS);
        return;
    }
    struct probe *probe = mem_zero(sizeof *probe);
    *probe = (struct probe){.producer = p, .rk = rk};
    p->probing = true;
    loop_task(p->loop, probe_work, probe_done, probe);
}

struct producer *producer_new(struct loop *loop, const struct producer_options *options,
                              struct error *err) {
    struct producer *p = mem_zero(sizeof *p);
    p->loop = loop;
    p->options = *options;
    loop_timer_init(&p->probe_timer, producer_probe, p);
    loop_timer_init(&p->replace_timer, producer_replace, p);
    loop_timer_init(&p->healthy_timer, on_healthy, p);
    p->current = handle_new(p, err);
    if (!p->current) {
        free(p);
        return NULL;
    }
    producer_probe(p);
    return p;
}

void producer_warm(struct producer *p, const char *topic) {
    rd_kafka_topic_t *rkt = p->current ? rd_kafka_topic_new(p->current->rk, topic, NULL) : NULL;
    if (rkt)
        rd_kafka_topic_destroy(rkt); /* the handle keeps its state */
}

static rd_kafka_headers_t *make_headers(const struct producer_record *record) {
    rd_kafka_headers_t *headers = rd_kafka_headers_new(record->headers_count);
    for (size_t i = 0; i < record->headers_count; i++)
        rd_kafka_header_add(headers, record->headers[i].name, -1, record->headers[i].value.data,
                            (ssize_t)record->headers[i].value.len);
    return headers;
}

static rd_kafka_resp_err_t producer_produce(rd_kafka_t *rk, const struct producer_record *record,
                                            void *opaque) {
    rd_kafka_headers_t *headers = record->headers_count ? make_headers(record) : NULL;
    rd_kafka_resp_err_t code = rd_kafka_producev(
        rk, RD_KAFKA_V_TOPIC(record->topic), RD_KAFKA_V_PARTITION(record->partition),
        RD_KAFKA_V_KEY(record->key.data, record->key.len),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)record->value.data, record->value.len),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(opaque),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    if (code && headers)
        rd_kafka_headers_destroy(headers);
    return code;
}

int producer_send(struct producer *p, const struct producer_record *record, struct append *append,
                  struct error *err) {
    struct handle *h = p->current;
    size_t bytes = record->key.len + record->value.len + RECORD_OVERHEAD_BYTES;
    if (p->stopped)
        return error_set(err, "the service is stopping");
    if (!h)
        return error_set(err, "Kafka accepts no writes: %s", p->fault);
    if (p->pending_bytes + bytes > (size_t)p->options.queue_bytes)
        return error_set(err, "too many records wait for Kafka");
    rd_kafka_resp_err_t code = producer_produce(h->rk, record, append);
    if (code)
        return error_set(err, "%s", rd_kafka_err2str(code));
    h->pending++;
    p->pending++;
    p->pending_bytes += bytes;
    return 0;
}

const char *producer_fault(const struct producer *p) {
    return p->pause_ms > PAUSE_MIN_MS ? p->fault : NULL;
}

size_t producer_pending(const struct producer *p) { return p->pending; }

void producer_stop(struct producer *p, int64_t timeout_ms) {
    if (!p || p->stopped)
        return;
    struct handle *h = p->current;
    int64_t deadline = clock_ms() + timeout_ms;
    rd_kafka_event_t *event;
    bool purged = false;
    p->stopped = true;
    while (h && h->pending && !(purged && clock_ms() > deadline + 1000)) {
        if (!purged && clock_ms() >= deadline) {
            rd_kafka_purge(h->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
            purged = true;
        }
        if ((event = rd_kafka_queue_poll(h->queue.queue, 20))) {
            if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR)
                report_all(h, event);
            rd_kafka_event_destroy(event);
        }
    }
    loop_timer_clear(p->loop, &p->probe_timer);
    loop_timer_clear(p->loop, &p->replace_timer);
    loop_timer_clear(p->loop, &p->healthy_timer);
    if (!h)
        return;
    kafka_queue_close(&h->queue);
    kafka_handle_destroy(p->loop, h->rk, NULL, NULL);
}

void producer_free(struct producer *p) {
    if (!p)
        return;
    producer_stop(p, 0);
    free(p->current);
    free(p);
}

void producer_break(struct producer *p) {
    if (p->current)
        rd_kafka_test_fatal_error(p->current->rk, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                                  "broken by a test");
}

/* --- a single record */

/* The fate of the only record. (rd_kafka_flush waits until reports are taken, so would time
 * out.) */
static rd_kafka_resp_err_t await_report(rd_kafka_t *rk) {
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(rk);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    int64_t deadline = clock_ms() + ONCE_MS;
    const rd_kafka_message_t *report = NULL;
    while (!report && clock_ms() < deadline) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 100);
        if (event && rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR &&
            (report = rd_kafka_event_message_next(event)))
            code = report->err;
        if (event)
            rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    return code;
}

int producer_append_once(const struct kafka_config *config, const struct producer_record *record,
                         struct error *err) {
    static const struct kafka_setting settings[] = {{"acks", "all"},
                                                    {"enable.idempotence", "true"},
                                                    {"message.timeout.ms", "4000"},
                                                    {NULL, NULL}};
    rd_kafka_t *rk = kafka_handle_new(RD_KAFKA_PRODUCER, config, settings, err);
    if (!rk)
        return -1;
    rd_kafka_resp_err_t code = producer_produce(rk, record, NULL);
    if (!code)
        code = await_report(rk);
    kafka_handle_end(rk, 0);
    return code ? error_set(err, "%s", rd_kafka_err2str(code)) : 0;
}
