/* While there are records without a fate, asks the log's leader for its end again and again, until
 * each was found by the tail or is proven absent; when it is, tells inflight.h. The question
 * blocks, so it is asked on a thread of its own. */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/kafka/times.h"
#include "ingest/publish/publish_internal.h"

enum { LOOK_MS = 500 };

static void ask(void *arg) {
    struct look *look = arg;
    struct error err;
    if (kafka_end_of(look->kafka, look->topic, 0, &look->end, &err))
        look->end = -1;
}

static struct production *next_absent(struct publisher *publisher) {
    const struct look *look = &publisher->look;
    struct inflight_record *record = inflight_look(&publisher->inflight, look->asked_ms, clock_ms(),
                                                   look->end - 1,
                                                   feed_end(publisher->ingest->feed));
    return record ? (struct production *)((char *)record - offsetof(struct production, record))
                  : NULL;
}

static void on_answer(void *arg) {
    struct look *look = arg;
    struct production *absent;
    look->under_way = false;
    const struct ingest *ingest = look->publisher->ingest;
    while (look->end >= 0 && ingest->feed && !ingest->starting_over &&
           (absent = next_absent(look->publisher))) {
        log_info("produce_lost",
                 LOG_S("reason",
                       "not in the log after an unknown outcome; its id may be published again"));
        production_lost(absent, "Kafka lost the event");
    }
    unresolved_look(look->publisher);
}

static void on_due(void *arg) {
    struct look *look = arg;
    look->asked_ms = clock_ms();
    look->under_way = true;
    loop_task(look->publisher->ingest->loop, ask, on_answer, look);
}

void unresolved_look(struct publisher *publisher) {
    struct look *look = &publisher->look;
    if (publisher->inflight.unresolved_count && !look->under_way && !look->timer.slot)
        loop_timer_set(publisher->ingest->loop, &look->timer, clock_ms() + LOOK_MS);
}

void unresolved_init(struct publisher *publisher) {
    struct look *look = &publisher->look;
    look->publisher = publisher;
    look->kafka = &publisher->ingest->settings.kafka;
    look->topic = publisher->ingest->events_topic;
    loop_timer_init(&look->timer, on_due, look);
}
