/* One subscriber's delivery: where it stands in the log, its attempts under way, its retries.
 *
 * A state machine without I/O, memory of events, or a clock: it knows cursors only. Its owner asks
 * lane_next what to do; it looks in the log for the next event that the subscriber wants
 * (lane_found, lane_passed, lane_at_end), makes the attempts that lane_start counts, and tells
 * their outcomes by lane_finish. A retry finds its event again by its cursor.
 *
 * The window holds the events that were found and are not settled, LANE_WINDOW_MAX at most.
 * Everything up to `position` is settled (a 2xx, or a dead letter that is in Kafka); everything up
 * to `scanned` was found or passed, and what of it is not in the window is settled. A replay job is
 * a lane with an `until`, beside the subscriber's own, whose throttle it shares. */
#ifndef ESS_DISPATCHER_LANE_H
#define ESS_DISPATCHER_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/spec.h"
#include "common/model/token.h"
#include "dispatcher/channel/channel.h"
#include "dispatcher/lane/endpoint.h"
#include "dispatcher/lane/throttle.h"
#include "dispatcher/lane/window.h"

/* The token holds one range of settled events above each unsettled one. */
enum { LANE_REFUSED_MAX = 20, LANE_WINDOW_MAX = TOKEN_SETTLED_MAX };

struct lane_policy {
    enum spec_ordering ordering;
    int64_t max_in_flight; /* 1 for strict */
    int64_t max_attempts;
    int64_t backoff_min_ms, backoff_max_ms;
    int64_t disable_after_ms;
    bool dead_letters_all; /* every event is given up after its attempts, however many before it */
    bool redrive; /* its events are dead letters: one that is refused stays one, however many were
                     before it */
};

struct lane {
    struct lane_policy policy;
    struct throttle *throttle; /* the subscriber's; its jobs and tests share both */
    struct endpoint *endpoint;
    bool paused, disabled;
    char reason[TOKEN_REASON_BYTES];  /* why it is disabled; "" else */
    int64_t position, scanned, until; /* until: INT64_MAX, or the last cursor of a job */
    int64_t
        appended_ms; /* wall: when the newest event that it knows of was appended; 0: not known */
    bool at_end;     /* nothing more is in the log: lane_wake tells of the next event */
    int64_t last;    /* newest event for it at or below position; or the position asked for */
    uint64_t last_id_hash;          /* 0: none yet */
    int64_t newest;                 /* newest event found; or the position asked for */
    uint64_t newest_id_hash;        /* 0: not known */
    bool compacted, last_compacted; /* compaction took records between newest and scanned; between
                                       last and position */
    struct window window;
    struct token_range
        *settled; /* of the token, above scanned: events found among these are settled; ascending */
    int64_t settled_at, settled_count; /* those before settled_at were passed */
    bool given_up;    /* one was dead-lettered for its attempts since the last 2xx */
    size_t giving_up; /* in DEAD_LETTERING for their attempts */
    int64_t refused_in_row;
    int64_t skipping; /* an operator skipped it; until it is settled. 0: none */
    int64_t delivered, dead_lettered;
    struct token_attempt
        *failed; /* the last failed attempts, oldest first; NULL until there was one */
    int64_t failed_count;
};

/* A lane that has everything up to `position`. `throttle` and `endpoint` stay the caller's. */
void lane_init(struct lane *lane, const struct lane_policy *policy, struct throttle *throttle,
               struct endpoint *endpoint, int64_t position);
/* Goes on where the token stands, and takes the endpoint's failing time from it (registration id
 * and feed were compared by the caller); attempts count anew. */
void lane_init_from_token(struct lane *lane, const struct lane_policy *policy,
                          struct throttle *throttle, struct endpoint *endpoint,
                          const struct token *token);
void lane_fini(struct lane *lane);

/* Writes the lane's part of a token that holds nothing: all but registration id, feed, generation,
 * applied, epoch, redriven and jobs. `wall_ms - now_ms` turns its deadline into the wall's time. */
void lane_to_token(const struct lane *lane, int64_t now_ms, int64_t wall_ms, struct token *token);
/* Why the lane is disabled, or else which event it waits for and what helps; "" where it waits for
 * none. */
void lane_reason(const struct lane *lane, const char *help, char reason[TOKEN_REASON_BYTES]);

/* Of the events above `position`, those that are settled, as ascending ranges, each up to one of
 * the subscriber's events: TOKEN_SETTLED_MAX at most, *ranges the caller's to free (NULL when there
 * are none). Returns how many. */
int64_t lane_settled(const struct lane *lane, struct token_range **ranges);
/* Events that will be found among these ranges are settled; copied. To a lane that has found none.
 */
void lane_set_settled(struct lane *lane, const struct token_range *ranges, int64_t count);

/* Replaces the policy; what waits keeps its deadline. The throttle is the caller's to change. */
void lane_set_policy(struct lane *lane, const struct lane_policy *policy);

/* --- what to do */

enum lane_todo {
    /* Nothing to do until *due_ms (INT64_MAX: until something happens). */
    LANE_NOTHING,
    /* Start the event at *cursor, which stands in the window: fetch it, then call lane_start or
     * lane_missing. */
    LANE_SEND,
    /* The event at *cursor was skipped, whatever the lane's state: fetch it, then call
     * lane_dead_letter or lane_missing. */
    LANE_DEAD_LETTER,
    /* Look for the next event above lane->scanned, then call lane_found, lane_passed or
     * lane_at_end. While the log has to be waited for, ask again at *due_ms: an event of the window
     * is due. */
    LANE_SCAN,
};
enum lane_todo lane_next(struct lane *lane, int64_t now_ms, int64_t *cursor, int64_t *due_ms);

/* The next event above `scanned` stands at `cursor`; `compacted` when records between are missing.
 * Returns true when it may start now (lane_start), false when it was settled before or must wait.
 */
bool lane_found(struct lane *lane, int64_t cursor, uint64_t id_hash, uint64_t key_hash,
                bool compacted);
/* When that event was appended, of the wall. */
void lane_note_appended(struct lane *lane, int64_t cursor, int64_t appended_ms);
/* When the oldest event was appended that is not settled, or one before it; 0: none waits, or it is
 * not known. */
int64_t lane_oldest_ms(const struct lane *lane);
/* There is nothing for it up to `cursor`. */
void lane_passed(struct lane *lane, int64_t cursor, bool compacted);
/* The same, and `cursor` is the log's end. */
void lane_at_end(struct lane *lane, int64_t cursor, bool compacted);
/* The next event for it stands right after `passed`, up to which there was none. Only while at_end.
 */
void lane_wake(struct lane *lane, int64_t passed);

/* An attempt at an event that lane_next or lane_found gave. Returns it, with the attempt counted;
 * valid until the next call. */
const struct window_entry *lane_start(struct lane *lane, int64_t cursor);
/* Its dead letter is written, and then lane_dead_lettered called. Valid until the next call. */
const struct window_entry *lane_dead_letter(struct lane *lane, int64_t cursor);
/* The event is in the log no more, or is not wanted any more: settled. When compaction took it, the
 * next event says `compacted`. */
void lane_missing(struct lane *lane, int64_t cursor, bool compacted);

/* What came of an attempt that was not called off. Returns the state that the event is in now.
 * ENTRY_DEAD_LETTERING: the caller writes the dead letter
 * (for the entry's `reason`) and then calls lane_dead_lettered. After an event that was given up
 * for its attempts, or LANE_REFUSED_MAX refused in a row, nothing more is given up before a 2xx,
 * unless the policy is dead_letters_all: the lane waits, the log is its queue. */
enum entry_state lane_finish(struct lane *lane, int64_t cursor, const struct outcome *outcome,
                             int64_t now_ms, int64_t wall_ms, uint64_t random);
/* What came of a test delivery, whose attempt at the endpoint had that number: a delivery frees the
 * endpoint, a failure is kept for the token's list. */
void lane_tested(struct lane *lane, uint64_t endpoint_number, const struct outcome *outcome,
                 int64_t now_ms, int64_t wall_ms, uint64_t random);
/* The attempt was called off by us. It counts for the throttle only. */
void lane_abort(struct lane *lane, int64_t cursor, int64_t now_ms);
/* From now on its attempts are made on new connections. */
void lane_wants_fresh(struct lane *lane, int64_t cursor);
/* The dead letter is in Kafka; the event is settled. */
void lane_dead_lettered(struct lane *lane, int64_t cursor);

/* Whether an event whose attempts are used up, or that was refused, becomes a dead letter: else it
 * waits for a 2xx. */
bool lane_may_give_up(const struct lane *lane);

/* The event at a cursor of the window; NULL when it is not (any more) in it. */
const struct window_entry *lane_entry(const struct lane *lane, int64_t cursor);

/* --- what its operator wants */

void lane_pause(struct lane *lane, bool paused);
void lane_disable(struct lane *lane, const char *reason);
/* The oldest event with a failed attempt is to be dead-lettered, after the attempt that is under
 * way. Returns its cursor; 0: there is none, or one is skipped already. */
int64_t lane_skip(struct lane *lane);
/* All goes on with clean counts; any back-off ends. An attempt that is under way is the first. */
void lane_resume(struct lane *lane);
/* Everything up to `position` counts as settled and nothing above it. No attempt may be under way:
 * lane_abort them. */
void lane_rewind(struct lane *lane, int64_t position);

/* Nothing is under way or waits, and the log holds nothing more for it. */
bool lane_idle(const struct lane *lane);
/* A job's: everything up to `until` is settled. */
bool lane_done(const struct lane *lane);
/* As status shows it: disabled, else paused, else retrying or active. */
enum token_state lane_state(const struct lane *lane);

#endif
