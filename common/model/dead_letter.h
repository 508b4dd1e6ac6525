/* A dead letter: an event given up for one subscriber. One record in ess.dlq, in the partition of
 * the subscriber's id, with the id as key. Value, JSON with "v":
 *   {"v":1,"subscriber":…,"born":…,"cursor":N,"at":…,"reason":…,"attempts":N,"status"?:N,
 *    "error"?:…,"event":{…}}
 * `event` is the event as last sent to the subscriber. Where Kafka refuses a record with the event
 * inside, "event_left_out" holds the reason instead. Pure, any thread. */
#ifndef ESS_MODEL_DEAD_LETTER_H
#define ESS_MODEL_DEAD_LETTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/span.h"
#include "common/json/json_scan.h"

enum { DEAD_LETTER_VERSION = 1, DEAD_LETTER_MEMBERS_MAX = 64 };

/* Attempts failed, the endpoint refused the event, or an operator skipped the event. */
enum dead_letter_reason {
    DEAD_LETTER_ATTEMPTS,
    DEAD_LETTER_REFUSED,
    DEAD_LETTER_SKIPPED,
    DEAD_LETTER_REASONS
};

/* "attempts", "refused", "skipped" */
const char *dead_letter_reason_name(enum dead_letter_reason reason);

/* --- writing */

struct dead_letter {
    const char *subscriber;      /* id */
    const char *registration_id; /* "born" in the record */
    int64_t cursor;              /* of the event */
    int64_t at_ms;               /* wall: when the event was given up */
    enum dead_letter_reason reason;
    int64_t attempts;
    int status;        /* HTTP status of the last attempt; 0: none */
    const char *error; /* of the last attempt; NULL: none */
    struct span event; /* JSON object */
};

/* Appends the record's value. Returns the length before the event. */
size_t dead_letter_to_json(const struct dead_letter *letter, struct buf *out);
/* Replaces the event, `before_event` bytes into `value`, by the reason for its absence. */
void dead_letter_leave_event_out(struct buf *value, size_t before_event, const char *reason);

/* --- reading */

/* A record as read; all members point into the text. */
struct dead_letter_record {
    int64_t cursor;
    struct span registration_id; /* empty if absent */
    struct span event;           /* empty if left out */
    struct json_member members[DEAD_LETTER_MEMBERS_MAX];
    size_t count;
};

/* Reads a record's value, of any version. Unknown members are ignored. Returns 0, or -1 with the
 * reason. */
int dead_letter_from_json(struct dead_letter_record *record, struct span text, struct error *err);

/* Appends the members shown to users as a JSON object, with their values byte for byte, and
 * "redriven":true for a redriven letter. */
void dead_letter_show(const struct dead_letter_record *record, bool redriven, struct buf *out);

/* Copies the event into the empty buffer `out`, without prev_cursor: prev_cursor belongs to the
 * live stream, and a redrive is outside of it. `topic` and `id` point into the copy. Returns 0, or
 * -1 when the record holds no event. */
int dead_letter_copy_event(const struct dead_letter_record *record, struct buf *out,
                           struct span *topic, struct span *id);

#endif
