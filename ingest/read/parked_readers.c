/* Readers parked at the log's end; see parked_readers.h. An event marks the matching readers. A
 * few are woken in each turn of the loop, so an event with thousands of readers does not block. */
#include "ingest/read/parked_readers.h"

#include <stdlib.h>
#include <utlist.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/container_of.h"

enum { WAKES_A_TURN = 64 };

struct parked_readers {
    struct loop *loop;
    struct match *match;
    struct parked_reader *woken; /* in order */
    struct loop_timer turn;
};

static void parked_readers_wake_some(void *arg) {
    struct parked_readers *parked = arg;
    for (int i = 0; i < WAKES_A_TURN && parked->woken; i++) {
        struct parked_reader *reader = parked->woken;
        DL_DELETE(parked->woken, reader);
        reader->woken = false;
        reader->wake(reader->arg, reader->cursor);
    }
    if (parked->woken)
        loop_timer_set(parked->loop, &parked->turn, clock_ms());
}

struct parked_readers *parked_readers_new(struct loop *loop) {
    struct parked_readers *parked = mem_zero(sizeof *parked);
    parked->loop = loop;
    parked->match = match_new();
    loop_timer_init(&parked->turn, parked_readers_wake_some, parked);
    return parked;
}

void parked_readers_free(struct parked_readers *parked) {
    if (!parked)
        return;
    loop_timer_clear(parked->loop, &parked->turn);
    match_free(parked->match);
    free(parked);
}

void parked_readers_add(struct parked_readers *parked, struct parked_reader *reader,
                        const struct subscription *subscription) {
    reader->subscription = subscription;
    match_add_all(parked->match, subscription, &reader->member);
}

void parked_readers_remove(struct parked_readers *parked, struct parked_reader *reader) {
    match_remove_all(parked->match, reader->subscription, &reader->member);
    if (reader->woken)
        DL_DELETE(parked->woken, reader);
    reader->parked = reader->woken = false;
}

void parked_readers_park(struct parked_reader *reader) { reader->parked = true; }

struct arrival {
    struct parked_readers *parked_readers;
    const struct feed_event *event;
};

static void parked_readers_mark(void *arg, struct match_member *member) {
    struct arrival *arrival = arg;
    struct parked_reader *reader = container_of(member, struct parked_reader, member);
    /* not parked: the reader will read the event itself */
    if (!reader->parked)
        return;
    if (!subscription_wants_content(reader->subscription, arrival->event->stored))
        return;
    reader->parked = false;
    reader->woken = true;
    reader->cursor = arrival->event->cursor;
    DL_APPEND(arrival->parked_readers->woken, reader);
}

void parked_readers_appended(struct parked_readers *parked, const struct feed_event *event) {
    struct arrival arrival = {parked, event};
    match_each(parked->match, event->topic, parked_readers_mark, &arrival);
    if (parked->woken && parked->turn.slot == 0)
        loop_timer_set(parked->loop, &parked->turn, clock_ms());
}
