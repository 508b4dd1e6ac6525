/* The form in which a subscriber gets an event: ESS's own or CloudEvents 1.0 (structured JSON),
 * with or without the event's data. Everything inside ESS (log, window, dead letters, redrives)
 * keeps ESS's own form; a channel makes the subscriber's form when it sends. Values are copied byte
 * for byte, so numbers keep their digits. Pure; any thread. */
#ifndef ESS_MODEL_EVENT_FORM_H
#define ESS_MODEL_EVENT_FORM_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/span.h"

enum event_format { EVENT_FORMAT_ESS, EVENT_FORMAT_CLOUDEVENTS };

struct event_form {
    enum event_format format;
    bool without_data; /* content: id */
};

/* Whether event_form_put would change the body. ESS's own messages (a handshake, a heartbeat) are
 * not events, and stay as they are. */
bool event_form_changes(struct event_form form, struct span body);
/* Appends an event, given in ESS's own form as event_splice writes it; in a list, with the comma
 * before it. `feed` is the log's id. A body that is no event is appended as it is. */
void event_form_put(struct event_form form, const char *feed, struct span body, struct buf *out);
/* The media type of the result of event_form_put for this body. */
const char *event_form_type(struct event_form form, struct span body);

/* Several events in one body, each by event_form_put: {"events":[…]}, or the list of CloudEvents'
 * JSON batch format. */
void event_form_begin_batch(struct event_form form, struct buf *out);
void event_form_end_batch(struct event_form form, struct buf *out);
const char *event_form_batch_type(struct event_form form);

#endif
