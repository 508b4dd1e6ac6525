/* The events of a delivery; see delivery.h. */
#include "dispatcher/channel/delivery.h"

#include <stdlib.h>

#include "common/json/writer.h"

void delivery_begin_event(struct delivery *d, int64_t cursor) {
    d->cursor = cursor;
    if (!d->batch)
        return;
    if (d->events_count == d->events_cap) {
        d->events_cap = d->events_cap ? d->events_cap * 2 : 8;
        d->events = mem_resize(d->events, d->events_cap * sizeof *d->events);
    }
    if (d->events_count == 0) {
        json_put_object(&d->body);
        json_member_list(&d->body, "events");
    }
    json_put_comma(&d->body);
    d->events[d->events_count++] = (struct delivery_event){.cursor = cursor, .at = d->body.len};
}

void delivery_end_event(struct delivery *d) {
    if (!d->batch)
        return;
    struct delivery_event *event = &d->events[d->events_count - 1];
    event->len = d->body.len - event->at;
}

void delivery_end(struct delivery *d) {
    if (!d->batch)
        return;
    json_end_list(&d->body);
    json_end_object(&d->body);
}

void delivery_fini(struct delivery *d) {
    buf_fini(&d->body);
    free(d->events);
    d->events = NULL;
    d->events_count = d->events_cap = 0;
}

size_t delivery_count(const struct delivery *d) { return d->batch ? d->events_count : 1; }

int64_t delivery_first_cursor(const struct delivery *d) {
    return d->batch ? d->events[0].cursor : d->cursor;
}

struct span delivery_event_body(const struct delivery *d, size_t number) {
    if (!d->batch)
        return (struct span){d->body.data, d->body.len};
    return (struct span){d->body.data + d->events[number].at, d->events[number].len};
}
