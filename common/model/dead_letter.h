/* A dead letter: an event that was given up for one subscriber. One record in ess.dlq, in the
 * partition of the subscriber's id, with the id as its key. Value, JSON with "v":
 *   {"v":1,"subscriber":…,"born":…,"cursor":N,"at":…,"reason":…,"attempts":N,"status"?:N,
 *    "error"?:…,"event":{…}}
 * `event` is the event as it was last sent to the subscriber. Where Kafka does not take a record
 * with the event in it, "event_left_out", a reason, stands in its place. Pure, any thread. */
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

/* Its attempts failed, the endpoint refused it, or an operator skipped it. */
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
    const char *subscriber;      /* its id */
    const char *registration_id; /* of its registration */
    int64_t cursor;              /* of the event */
    int64_t at_ms;               /* wall: when it was given up */
    enum dead_letter_reason reason;
    int64_t attempts;  /* made */
    int status;        /* that the last attempt was answered with; 0: none */
    const char *error; /* of the last attempt; NULL: none */
    struct span event; /* JSON object */
};

/* Appends the record's value. Returns the length of what stands before the event. */
size_t dead_letter_to_json(const struct dead_letter *letter, struct buf *out);
/* Puts the reason why the event is not in the record in the event's place, which is behind the
 * first `before_event` bytes of `value`. */
void dead_letter_leave_event_out(struct buf *value, size_t before_event, const char *reason);

/* --- reading */

/* What was read; all of it points into the text. */
struct dead_letter_record {
    int64_t cursor;
    struct span registration_id; /* empty where the record has none */
    struct span event;           /* empty where it was left out */
    struct json_member members[DEAD_LETTER_MEMBERS_MAX];
    size_t count;
};

/* Reads a record's value. Unknown members are ignored, and so is the version: what is known of a
 * newer one is used. Returns 0, or -1 with the reason. */
int dead_letter_from_json(struct dead_letter_record *record, struct span text, struct error *err);

/* Appends the members that users see as a JSON object, with their values byte for byte, and
 * "redriven":true where it was. */
void dead_letter_show(const struct dead_letter_record *record, bool redriven, struct buf *out);

/* Copies the event into `out`, which must be empty, without its prev_cursor: prev_cursor belongs to
 * the live stream, and a redrive is outside of it. `topic` and `id` point into the copy. Returns 0,
 * or -1 when the record holds no event. */
int dead_letter_copy_event(const struct dead_letter_record *record, struct buf *out,
                           struct span *topic, struct span *id);

#endif
