/* One subscriber's delivery: the position in the log, the attempts under way, the retries.
 *
 * A state machine without I/O and without a clock. A lane knows cursors, not events. The owner
 * asks lane_next what to do, looks in the log for the subscriber's next event (lane_found,
 * lane_passed, lane_at_end), makes the attempts that lane_start counts, and reports outcomes by
 * lane_finish. A retry reads the event again by the cursor. With batches an attempt is at several
 * events (lane_batch.h): it goes by the cursor of its first.
 *
 * The window holds events that were found and are not settled, LANE_WINDOW_MAX at most.
 * Everything up to `position` is settled: answered 2xx, or dead-lettered in Kafka. Everything up
 * to `scanned` was found or passed, and is settled unless the window holds it. A replay job is a
 * lane with an `until` beside the live lane, and shares the live lane's throttle. */
#ifndef ESS_DISPATCHER_LANE_H
#define ESS_DISPATCHER_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/spec.h"
#include "common/model/token.h"
#include "dispatcher/channel/channel.h"
#include "dispatcher/lane/endpoint.h"
#include "dispatcher/lane/lane_batch.h"
#include "dispatcher/lane/throttle.h"
#include "dispatcher/lane/window.h"

/* The token holds one range of settled events above each unsettled event. */
enum { LANE_REFUSED_MAX = 20, LANE_WINDOW_MAX = TOKEN_SETTLED_MAX };

struct lane_policy {
    enum spec_ordering ordering;
    int64_t max_in_flight; /* 1 for strict */
    int64_t max_attempts;
    int64_t backoff_min_ms, backoff_max_ms;
    int64_t disable_after_ms;
    struct batch_limits batch;
    /* every event that has used up its attempts is given up, however many before */
    bool dead_letters_all;
    double adaptive_per_sec; /* the ceiling of an adaptive rate; 0: not adaptive */
    /* a redrive: a refused event stays a dead letter, however many were refused before */
    bool redrive;
    /* The consumer fetches the events and acknowledges them: the lane finds the next event and
     * starts nothing. */
    bool pulled;
};

struct lane {
    struct lane_policy policy;
    struct throttle *throttle; /* shared with the subscriber's jobs and tests, as is endpoint */
    struct endpoint *endpoint;
    bool paused, disabled;
    bool pending;                     /* the endpoint has yet to answer a handshake */
    char reason[TOKEN_REASON_BYTES];  /* why the lane is disabled; "" if it is not */
    int64_t position, scanned, until; /* until: INT64_MAX, or the last cursor of a job */
    int64_t appended_ms;              /* wall: append time of the newest known event; 0: unknown */
    bool at_end;           /* nothing more is in the log: lane_wake tells of the next event */
    int64_t last;          /* newest event found at or below position; or the position asked for */
    uint64_t last_id_hash; /* 0: none yet */
    int64_t rewinds;       /* so far; as in the token */
    int64_t newest;        /* newest event found; or the position asked for */
    uint64_t newest_id_hash; /* 0: not known */
    /* compaction took records between newest and scanned; between last and position */
    bool compacted, last_compacted;
    struct window window;
    struct lane_batch batch; /* the events that wait for the next batch */
    int64_t expected_bytes;  /* of the event about to be found */
    /* from the token, ascending, above scanned: events found in these ranges are settled */
    struct token_range *settled;
    int64_t settled_at, settled_count; /* ranges before settled_at were passed */
    bool given_up;    /* an event was dead-lettered for its attempts since the last 2xx */
    size_t giving_up; /* in DEAD_LETTERING for their attempts */
    int64_t refused_in_row;
    int64_t skipping; /* skipped by an operator, until settled; 0: none */
    int64_t delivered, dead_lettered;
    struct token_attempt
        *failed; /* the last failed attempts, oldest first; NULL before the first */
    int64_t failed_count;
};

/* Starts a lane with everything up to `position` settled. The caller keeps `throttle` and
 * `endpoint`. */
void lane_init(struct lane *lane, const struct lane_policy *policy, struct throttle *throttle,
               struct endpoint *endpoint, int64_t position);
/* Starts a lane where the token stands, with the endpoint's failing time from the token. Attempts
 * count from zero. The caller has compared registration id and feed. */
void lane_init_from_token(struct lane *lane, const struct lane_policy *policy,
                          struct throttle *throttle, struct endpoint *endpoint,
                          const struct token *token);
void lane_fini(struct lane *lane);

/* Writes the lane's part into an empty token: all but registration id, feed, generation, applied,
 * epoch, redriven and jobs. `wall_ms - now_ms` converts the deadline to wall time. */
void lane_to_token(const struct lane *lane, int64_t now_ms, int64_t wall_ms, struct token *token);
/* Why the lane is disabled; else the event that blocks the lane, and what helps; "" if nothing
 * blocks. */
void lane_reason(const struct lane *lane, const char *help, char reason[TOKEN_REASON_BYTES]);

/* The settled events above `position` as ascending ranges, each ending with an event of the
 * subscriber, TOKEN_SETTLED_MAX at most. The caller frees *ranges (NULL for none). Returns the
 * count. */
int64_t lane_settled(const struct lane *lane, struct token_range **ranges);
/* Copies ranges of settled events into a lane that has found nothing yet. */
void lane_set_settled(struct lane *lane, const struct token_range *ranges, int64_t count);

/* Replaces the policy. Waiting events keep their deadlines. The caller changes the throttle. */
void lane_set_policy(struct lane *lane, const struct lane_policy *policy);

/* --- what to do */

enum lane_todo {
    /* Nothing to do until *due_ms (INT64_MAX: until something happens). */
    LANE_NOTHING,
    /* Start the event at *cursor, which stands in the window: fetch it, then call lane_start or
     * lane_missing. With batches: lane_fix first, then fetch each event of the request. */
    LANE_SEND,
    /* The event at *cursor was skipped, whatever the lane's state: fetch it, then call
     * lane_dead_letter or lane_missing. */
    LANE_DEAD_LETTER,
    /* Look for the next event above lane->scanned, then call lane_found, lane_passed or
     * lane_at_end. While the log has to be waited for, ask again at *due_ms: an event of the window
     * is due. */
    LANE_SCAN,
};
/* When the throttle and the rate let the next attempt start: possibly in the past. */
int64_t lane_paced_ms(const struct lane *lane, int64_t now_ms);
enum lane_todo lane_next(struct lane *lane, int64_t now_ms, int64_t *cursor, int64_t *due_ms);

/* The next event above `scanned` is at `cursor`; `compacted`: records between are missing.
 * Returns true if the event may start now (lane_start), false if it was settled before or must
 * wait. */
bool lane_found(struct lane *lane, int64_t cursor, uint64_t id_hash, uint64_t key_hash,
                bool compacted);
/* Sets the most bytes that the body of the next event found may have, for the bounds of a batch.
 * Call before lane_found, also while the lane makes no batches: it may make some later. */
void lane_expect(struct lane *lane, int64_t bytes);
/* No further event can be found before some of those found are settled: the next batch grows no
 * more. */
void lane_close_batch(struct lane *lane);
/* Whether several events go in one request. */
bool lane_makes_batches(const struct lane *lane);
/* Decides which events go with the one at `cursor`, from lane_next, unless it is decided. */
void lane_fix(struct lane *lane, int64_t cursor, int64_t now_ms);

/* Notes when the event at `cursor` was appended, in wall time. */
void lane_note_appended(struct lane *lane, int64_t cursor, int64_t appended_ms);
/* Append time of the oldest unsettled event, or of an event before it; 0: nothing waits, or
 * unknown. */
int64_t lane_oldest_ms(const struct lane *lane);
/* The log has no event for the lane up to `cursor`. */
void lane_passed(struct lane *lane, int64_t cursor, bool compacted);
/* The log has no event for the lane up to `cursor`, the end of the log. */
void lane_at_end(struct lane *lane, int64_t cursor, bool compacted);
/* The log has no event for the lane up to `passed`, and one right after. Only while at_end. */
void lane_wake(struct lane *lane, int64_t passed);

/* Starts an attempt at an event from lane_next or lane_found, and at those that go with it. Returns
 * the entry with the attempt counted, valid until the next call. */
const struct window_entry *lane_start(struct lane *lane, int64_t cursor);
/* Starts dead-lettering: the caller writes the dead letter, then calls lane_dead_lettered.
 * Returns the entry, valid until the next call. */
const struct window_entry *lane_dead_letter(struct lane *lane, int64_t cursor);
/* Settles an event that has left the log or is no longer wanted. If compaction took the event,
 * the next event is marked `compacted`. The rest of its batch stays together. */
void lane_missing(struct lane *lane, int64_t cursor, bool compacted);

/* Reports the outcome of an attempt, except a called-off one. Returns the first entry's new state.
 * Where a request with several events is refused, or has used up its attempts and one could be
 * given up, it is halved in place of a dead letter, until the event that fails stands alone.
 * ENTRY_DEAD_LETTERING: the caller writes the dead letter (with the entry's `reason`), then calls
 * lane_dead_lettered. Once an event was given up for its attempts, or LANE_REFUSED_MAX in a row
 * were refused, nothing more is given up before a 2xx: the lane waits, the log is the queue.
 * dead_letters_all lifts this limit. */
enum entry_state lane_finish(struct lane *lane, int64_t cursor, const struct outcome *outcome,
                             int64_t now_ms, int64_t wall_ms, uint64_t random);
/* The same for a request whose events were judged one by one (outcome->each). Delivered events are
 * settled, refused ones begin to be dead-lettered where they may be given up; the others stay
 * together as a request. An event to be dead-lettered stays in the window (lane_entry). */
void lane_finish_each(struct lane *lane, int64_t cursor, const struct outcome *outcome,
                      int64_t now_ms, int64_t wall_ms, uint64_t random);
/* Reports the outcome of a test delivery, given the endpoint's number of the attempt. A 2xx frees
 * the endpoint, a failure joins the token's list of failed attempts. */
void lane_tested(struct lane *lane, uint64_t endpoint_number, const struct outcome *outcome,
                 int64_t now_ms, int64_t wall_ms, uint64_t random);
/* Reports the outcome of attempt number `attempt` at a handshake. A failure joins the token's list
 * and counts for disable_after; 410 disables. Returns when the next attempt may start. */
int64_t lane_handshaken(struct lane *lane, uint64_t endpoint_number, int64_t attempt,
                        const struct outcome *outcome, int64_t now_ms, int64_t wall_ms,
                        uint64_t random);
/* Reports the outcome of a heartbeat. A failure joins the token's list, and does nothing else. */
void lane_heartbeat_answered(struct lane *lane, const struct outcome *outcome, int64_t wall_ms);
/* ESS called the attempt off. The attempt counts for the throttle only. */
void lane_abort(struct lane *lane, int64_t cursor, int64_t now_ms);
/* Further attempts at the event use new connections. */
void lane_wants_fresh(struct lane *lane, int64_t cursor);
/* The dead letter is in Kafka; the event is settled. */
void lane_dead_lettered(struct lane *lane, int64_t cursor);

/* Whether an event that was refused or has used up its attempts becomes a dead letter. If not,
 * the event waits for a 2xx. */
bool lane_may_give_up(const struct lane *lane);

/* The event at `cursor` in the window; NULL: not there. */
const struct window_entry *lane_entry(const struct lane *lane, int64_t cursor);

/* --- operator commands */

void lane_pause(struct lane *lane, bool paused);
/* While pending, nothing is sent. */
void lane_await_handshake(struct lane *lane, bool pending);
void lane_disable(struct lane *lane, const char *reason);
/* Dead-letters the oldest event with a failed attempt, after any attempt under way. Returns the
 * event's cursor; 0: no such event, or a skip is already waiting. */
int64_t lane_skip(struct lane *lane);
/* Resets all counts and ends any back-off. An attempt under way counts as the first. */
void lane_resume(struct lane *lane);
/* Sets everything up to `position` as settled and nothing above. No attempt may be under way:
 * call lane_abort first. */
void lane_rewind(struct lane *lane, int64_t position);
/* The consumer has everything up to `cursor`, which is above the position. The lane reads the event
 * there once more, for its id. No attempt may be under way. */
void lane_acknowledge(struct lane *lane, int64_t cursor);
/* A pulled lane forgets what it has found above the position, and looks again. No attempt may be
 * under way. */
void lane_look_again(struct lane *lane);

/* Nothing is under way or waits, and the log holds no further event for the lane. */
bool lane_idle(const struct lane *lane);
/* A job's: everything up to `until` is settled. */
bool lane_done(const struct lane *lane);
/* The state shown in status: disabled, else paused, else pending, else retrying or active. */
enum token_state lane_state(const struct lane *lane);

#endif
