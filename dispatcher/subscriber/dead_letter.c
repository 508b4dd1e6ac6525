/* Dead letters; see dead_letter.h. */
#include "dispatcher/subscriber/dead_letter.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/ownership/partitions.h"
#include "dispatcher/subscriber/sender.h"
#include "dispatcher/subscriber/subscriber.h"

enum { AGAIN_MIN_MS = 1000, AGAIN_MAX_MS = 60 * 1000 };

static const char *const reason_names[DEAD_LETTER_REASONS] = {"attempts", "refused", "skipped"};

struct dead_letter {
    struct append append;
    struct sender *sender; /* NULL: forgotten */
    struct dispatcher *dispatcher;
    int64_t flight; /* in the lane */
    int64_t cursor; /* in the log */
    enum dead_letter_reason reason;
    struct buf value;
    size_t
        event_at; /* where the event begins in it; 0: Kafka has not taken it, and it was left out */
    int64_t again_ms;
    struct loop_timer again;
    bool on_its_way;
    struct dead_letter *prev, *next; /* of the sender */
};

static void dead_letter_free(struct dead_letter *letter) {
    letter->dispatcher->dead_letters_pending--;
    loop_timer_clear(letter->dispatcher->loop, &letter->again);
    buf_fini(&letter->value);
    free(letter);
}

static void on_reported(struct append *append, const struct producer_report *report);

static void dead_letter_again(struct dead_letter *letter) {
    loop_timer_set(letter->dispatcher->loop, &letter->again, clock_ms() + letter->again_ms);
    letter->again_ms = letter->again_ms * 2 > AGAIN_MAX_MS ? AGAIN_MAX_MS : letter->again_ms * 2;
}

/* Kafka never takes it as it is: rather a letter that only names the event than a lane that stands
 * still. */
static void dead_letter_shorten(struct dead_letter *letter, const char *reason) {
    letter->value.len = letter->event_at;
    letter->event_at = 0;
    letter->again_ms = 0;
    buf_puts(&letter->value, ",\"event_left_out\":");
    buf_json_string(&letter->value, reason, strlen(reason));
    buf_puts(&letter->value, "}");
}

static void append_letter(void *arg) {
    struct dead_letter *letter = arg;
    struct dispatcher *d = letter->dispatcher;
    const struct subscriber *s = letter->sender->subscriber;
    struct error err;
    const struct producer_record record = {
        .topic = d->dlq_topic,
        .partition = kafka_partition_of(s->id, DEAD_LETTER_PARTITIONS),
        .key = span_of(s->id),
        .value = {letter->value.data, letter->value.len}};
    letter->append.reported = on_reported;
    letter->on_its_way = partitions_may_write(d->partitions, s->partition) &&
                         producer_send(d->producer, &record, &letter->append, &err) == 0;
    if (!letter->on_its_way)
        dead_letter_again(letter);
}

static void on_reported(struct append *append, const struct producer_report *report) {
    struct dead_letter *letter = (struct dead_letter *)append;
    struct sender *sender = letter->sender;
    struct dispatcher *d = letter->dispatcher;
    letter->on_its_way = false;
    if (sender && report->fate != PRODUCER_WRITTEN) {
        log_warn("dead_letter_not_written", LOG_S("subscriber", sender->subscriber->id),
                 LOG_S("reason", report->reason));
        if (report->flaw && letter->event_at)
            dead_letter_shorten(letter, report->reason);
        dead_letter_again(letter);
        letter->again_ms = letter->again_ms ? letter->again_ms : AGAIN_MIN_MS;
        return;
    }
    int64_t flight = letter->flight, cursor = letter->cursor;
    enum dead_letter_reason reason = letter->reason;
    if (sender)
        DL_DELETE(sender->letters, letter);
    dead_letter_free(letter);
    if (!sender)
        return;
    d->dead_letters[reason]++;
    log_warn("dead_letter", LOG_S("subscriber", sender->subscriber->id), LOG_N("cursor", cursor),
             LOG_S("reason", reason_names[reason]));
    sender_buried(sender, flight);
}

void dead_letter_write(struct sender *sender, const struct flight *flight, int64_t cursor,
                       const struct webhook_result *result) {
    char at[CLOCK_TEXT_BYTES];
    struct subscriber *s = sender->subscriber;
    struct dead_letter *letter = mem_zero(sizeof *letter);
    *letter = (struct dead_letter){.sender = sender,
                                   .dispatcher = s->dispatcher,
                                   .flight = flight->cursor,
                                   .cursor = cursor,
                                   .reason = flight->reason,
                                   .again_ms = AGAIN_MIN_MS};
    loop_timer_init(&letter->again, append_letter, letter);
    clock_format(clock_wall_ms(), at);
    buf_printf(&letter->value,
               "{\"v\":1,\"subscriber\":\"%s\",\"born\":\"%s\",\"cursor\":%" PRId64
               ",\"at\":\"%s\",\"reason\":\"%s\",\"attempts\":%" PRId64,
               s->id, s->record.born, cursor, at, reason_names[flight->reason], flight->attempts);
    if (result->status)
        buf_printf(&letter->value, ",\"status\":%d", result->status);
    if (result->error) {
        buf_puts(&letter->value, ",\"error\":");
        buf_json_string(&letter->value, result->error, strlen(result->error));
    }
    letter->event_at = letter->value.len;
    buf_puts(&letter->value, ",\"event\":");
    buf_append(&letter->value, result->body.data, result->body.len);
    buf_puts(&letter->value, "}");
    DL_APPEND(sender->letters, letter);
    s->dispatcher->dead_letters_pending++;
    append_letter(letter);
}

void dead_letters_forget(struct sender *sender) {
    struct dead_letter *letter, *next;
    DL_FOREACH_SAFE(sender->letters, letter, next) {
        DL_DELETE(sender->letters, letter);
        letter->sender = NULL;
        loop_timer_clear(letter->dispatcher->loop, &letter->again);
        if (!letter->on_its_way)
            dead_letter_free(letter);
    }
}
