/* Dead letters; see dead_letter.h. */
#include "dispatcher/dead_letter.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "dispatcher/delivery.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/partitions.h"
#include "dispatcher/progress.h"
#include "dispatcher/subscriber.h"

enum { AGAIN_MS = 1000 };

struct dead_letter {
    struct append append;
    struct subscriber *subscriber; /* NULL: forgotten */
    struct dispatcher *dispatcher;
    struct buf value;
    struct loop_timer again;
    bool on_its_way;
};

static void dead_letter_free(struct dead_letter *letter) {
    letter->dispatcher->dead_letters_pending--;
    loop_timer_clear(letter->dispatcher->loop, &letter->again);
    buf_fini(&letter->value);
    free(letter);
}

static void on_reported(struct append *append, const struct producer_report *report);

static void append_letter(void *arg) {
    struct dead_letter *letter = arg;
    struct dispatcher *d = letter->dispatcher;
    const char *id = letter->subscriber->id;
    struct error err;
    const struct producer_record record = {.topic = d->dlq_topic,
                                           .partition = kafka_partition_of(id, DEAD_LETTER_PARTITIONS),
                                           .key = span_of(id),
                                           .value = {letter->value.data, letter->value.len}};
    letter->append.reported = on_reported;
    letter->on_its_way = partitions_may_write(d->partitions, letter->subscriber->partition) &&
                         producer_send(d->producer, &record, &letter->append, &err) == 0;
    if (!letter->on_its_way)
        loop_timer_set(d->loop, &letter->again, clock_ms() + AGAIN_MS);
}

static void on_reported(struct append *append, const struct producer_report *report) {
    struct dead_letter *letter = (struct dead_letter *)append;
    struct subscriber *s = letter->subscriber;
    letter->on_its_way = false;
    if (s && report->fate != PRODUCER_WRITTEN) {
        log_warn("dead_letter_not_written", LOG_S("subscriber", s->id), LOG_S("reason", report->reason));
        loop_timer_set(letter->dispatcher->loop, &letter->again, clock_ms() + AGAIN_MS);
        return;
    }
    dead_letter_free(letter);
    if (!s)
        return;
    s->dead_letter = NULL;
    s->dispatcher->dead_letters[strcmp(s->lane.bury_reason, "refused") == 0 ? DEAD_LETTER_REFUSED : DEAD_LETTER_ATTEMPTS]++;
    log_warn("dead_letter", LOG_S("subscriber", s->id), LOG_N("cursor", s->lane.current), LOG_S("reason", s->lane.bury_reason));
    lane_buried(&s->lane);
    progress_made(s);
    delivery_step(s);
}

void dead_letter_write(struct subscriber *s, const struct webhook_result *result) {
    char at[CLOCK_TEXT_BYTES];
    struct dead_letter *letter = mem_zero(sizeof *letter);
    *letter = (struct dead_letter){.subscriber = s, .dispatcher = s->dispatcher};
    loop_timer_init(&letter->again, append_letter, letter);
    clock_format(clock_wall_ms(), at);
    buf_printf(&letter->value, "{\"v\":1,\"subscriber\":\"%s\",\"cursor\":%" PRId64 ",\"at\":\"%s\",\"reason\":\"%s\",\"attempts\":%" PRId64, s->id,
               s->lane.current, at, s->lane.bury_reason, s->lane.attempts);
    if (result->status)
        buf_printf(&letter->value, ",\"status\":%d", result->status);
    if (result->error) {
        buf_puts(&letter->value, ",\"error\":");
        buf_json_string(&letter->value, result->error, strlen(result->error));
    }
    buf_puts(&letter->value, ",\"event\":");
    buf_append(&letter->value, result->body.data, result->body.len);
    buf_puts(&letter->value, "}");
    s->dead_letter = letter;
    s->dispatcher->dead_letters_pending++;
    append_letter(letter);
}

void dead_letter_forget(struct subscriber *s) {
    struct dead_letter *letter = s->dead_letter;
    s->dead_letter = NULL;
    if (!letter)
        return;
    letter->subscriber = NULL;
    loop_timer_clear(letter->dispatcher->loop, &letter->again);
    if (!letter->on_its_way)
        dead_letter_free(letter);
}
