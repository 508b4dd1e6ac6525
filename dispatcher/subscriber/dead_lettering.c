/* The writing of dead letters to Kafka; see dead_lettering.h. */
#include "dispatcher/subscriber/dead_lettering.h"

#include <stdlib.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/model/dead_letter.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/ownership/partitions.h"
#include "dispatcher/subscriber/sender.h"
#include "dispatcher/subscriber/subscriber.h"

enum { AGAIN_MIN_MS = 1000, AGAIN_MAX_MS = 60 * 1000 };

struct dead_lettering {
    struct append append;
    struct sender *sender; /* NULL: forgotten */
    struct dispatcher *dispatcher;
    int64_t lane_cursor; /* in the lane */
    int64_t cursor;      /* in the log */
    enum dead_letter_reason reason;
    struct buf value;
    size_t before_event; /* length of the value before the event; 0: the event was left out */
    int64_t again_ms;
    struct loop_timer again;
    bool on_its_way;
    struct dead_lettering *prev, *next; /* of the sender */
};

static void dead_lettering_free(struct dead_lettering *letter) {
    letter->dispatcher->dead_letters_pending--;
    loop_timer_clear(letter->dispatcher->service.loop, &letter->again);
    buf_fini(&letter->value);
    free(letter);
}

static void dead_lettering_on_reported(struct append *append, const struct producer_report *report);

static void dead_lettering_again(struct dead_lettering *letter) {
    loop_timer_set(letter->dispatcher->service.loop, &letter->again, clock_ms() + letter->again_ms);
    letter->again_ms = letter->again_ms * 2 > AGAIN_MAX_MS ? AGAIN_MAX_MS : letter->again_ms * 2;
}

/* Kafka will never take this record: a dead letter that only names the event is better than a
 * blocked lane. */
static void dead_lettering_shorten(struct dead_lettering *letter, const char *reason) {
    dead_letter_leave_event_out(&letter->value, letter->before_event, reason);
    letter->before_event = 0;
    letter->again_ms = 0;
}

static void dead_lettering_append(void *arg) {
    struct dead_lettering *letter = arg;
    struct dispatcher *d = letter->dispatcher;
    const struct subscriber *s = letter->sender->subscriber;
    struct error err;
    const struct producer_record record = {
        .topic = d->dlq_topic,
        .partition = kafka_partition_of(s->id, DEAD_LETTER_PARTITIONS),
        .key = span_of(s->id),
        .value = {letter->value.data, letter->value.len}};
    letter->append.reported = dead_lettering_on_reported;
    letter->on_its_way = partitions_may_write(d->partitions, s->partition) &&
                         producer_send(d->service.producer, &record, &letter->append, &err) == 0;
    if (!letter->on_its_way)
        dead_lettering_again(letter);
}

static void dead_lettering_on_reported(struct append *append,
                                       const struct producer_report *report) {
    struct dead_lettering *letter = (struct dead_lettering *)append;
    struct sender *sender = letter->sender;
    struct dispatcher *d = letter->dispatcher;
    letter->on_its_way = false;
    if (sender && report->fate != PRODUCER_WRITTEN) {
        log_warn("dead_letter_not_written", LOG_S("subscriber", sender->subscriber->id),
                 LOG_S("reason", report->reason));
        if (report->flaw && letter->before_event)
            dead_lettering_shorten(letter, report->reason);
        dead_lettering_again(letter);
        letter->again_ms = letter->again_ms ? letter->again_ms : AGAIN_MIN_MS;
        return;
    }
    int64_t lane_cursor = letter->lane_cursor, cursor = letter->cursor;
    enum dead_letter_reason reason = letter->reason;
    if (sender)
        DL_DELETE(sender->dead_letterings, letter);
    dead_lettering_free(letter);
    if (!sender)
        return;
    d->dead_letters[reason]++;
    log_warn("dead_letter", LOG_S("subscriber", sender->subscriber->id), LOG_N("cursor", cursor),
             LOG_S("reason", dead_letter_reason_name(reason)));
    sender_dead_lettered(sender, lane_cursor);
}

void dead_lettering_begin(struct sender *sender, const struct window_entry *entry, int64_t cursor,
                          struct span event, const struct outcome *last) {
    struct subscriber *s = sender->subscriber;
    const struct dead_letter record = {.subscriber = s->id,
                                       .registration_id = s->record.registration_id,
                                       .cursor = cursor,
                                       .at_ms = clock_wall_ms(),
                                       .reason = entry->reason,
                                       .attempts = entry->attempts,
                                       .status = last ? last->status : 0,
                                       .error = last ? last->error : NULL,
                                       .event = event};
    struct dead_lettering *letter = mem_zero(sizeof *letter);
    *letter = (struct dead_lettering){.sender = sender,
                                      .dispatcher = s->dispatcher,
                                      .lane_cursor = entry->cursor,
                                      .cursor = cursor,
                                      .reason = entry->reason,
                                      .again_ms = AGAIN_MIN_MS};
    loop_timer_init(&letter->again, dead_lettering_append, letter);
    letter->before_event = dead_letter_to_json(&record, &letter->value);
    DL_APPEND(sender->dead_letterings, letter);
    s->dispatcher->dead_letters_pending++;
    dead_lettering_append(letter);
}

void dead_lettering_forget(struct sender *sender) {
    struct dead_lettering *letter, *next;
    DL_FOREACH_SAFE(sender->dead_letterings, letter, next) {
        DL_DELETE(sender->dead_letterings, letter);
        letter->sender = NULL;
        loop_timer_clear(letter->dispatcher->service.loop, &letter->again);
        if (!letter->on_its_way)
            dead_lettering_free(letter);
    }
}
