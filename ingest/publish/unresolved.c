/* While a record is unresolved, asks the log's leader for the log's end every LOOK_MS, until the
 * tail has found the record or inflight.h has proven it absent. */
#include "common/base/clock.h"
#include "common/base/container_of.h"
#include "common/base/log.h"
#include "common/kafka/offsets.h"
#include "ingest/publish/publish_internal.h"

enum { LOOK_MS = 500 };

static struct production *unresolved_next_absent(struct publisher *publisher, int64_t end) {
    const struct look *look = &publisher->look;
    struct inflight_record *record = inflight_look(&publisher->inflight, look->asked_ms, clock_ms(),
                                                   end - 1,
                                                   feed_end(publisher->ingest->service.feed));
    return record ? container_of(record, struct production, record) : NULL;
}

static void unresolved_on_answer(void *arg, const struct offsets_answer *answer,
                                 const struct error *err) {
    struct look *look = arg;
    struct production *absent;
    (void)err;
    look->question = NULL;
    const struct ingest *ingest = look->publisher->ingest;
    while (answer && ingest->service.feed && !ingest->service.starting_over &&
           (absent = unresolved_next_absent(look->publisher, answer->end))) {
        log_info("produce_lost", LOG_S("reason", "the event is not in the log after an unknown "
                                                 "outcome; the id can be published again"));
        production_lost(absent, "Kafka lost the event");
    }
    unresolved_look(look->publisher);
}

static void unresolved_on_due(void *arg) {
    struct look *look = arg;
    look->asked_ms = clock_ms();
    look->question = offsets_ask(look->publisher->ingest->service.offsets,
                                 look->publisher->ingest->service.events_topic, 0, NULL, 0,
                                 unresolved_on_answer, look);
}

void unresolved_look(struct publisher *publisher) {
    struct look *look = &publisher->look;
    if (publisher->inflight.unresolved_count && !look->question && !look->timer.slot)
        loop_timer_set(publisher->ingest->service.loop, &look->timer, clock_ms() + LOOK_MS);
}

void unresolved_init(struct publisher *publisher) {
    struct look *look = &publisher->look;
    look->publisher = publisher;
    loop_timer_init(&look->timer, unresolved_on_due, look);
}
