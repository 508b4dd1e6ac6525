/* One subscriber's delivery: where it stands in the log, its attempt under way, its retries, its throttle.
 *
 * A state machine without I/O, memory of events, or a clock: it knows cursors only. Its owner asks lane_due_ms when an
 * attempt may start, finds the next event for the subscriber above lane->position, tells lane_start, makes the attempt,
 * and tells lane_finish, which says what follows. Strict order: one event at a time, the next only when this one is
 * settled (a 2xx, or a dead letter that is in Kafka). A retry finds its event again by the same search, so that the
 * lane holds no bytes. */
#ifndef ESS_DISPATCHER_LANE_H
#define ESS_DISPATCHER_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/model/token.h"
#include "dispatcher/throttle.h"

/*                    from → to
 *   LANE_WAITING     READY                                  everything up to the log's end is settled
 *   LANE_READY       WAITING IN_FLIGHT                      the next event is to be looked for
 *   LANE_IN_FLIGHT   READY BACKOFF BURYING                  an attempt is under way
 *   LANE_BACKOFF     READY IN_FLIGHT                        an attempt failed; due_ms says when the next may start
 *   LANE_BURYING     READY                                  its dead letter is being written
 *   LANE_DISABLED    READY                                  nothing is sent until it is resumed
 * and every one → DISABLED. */
enum lane_state { LANE_WAITING, LANE_READY, LANE_IN_FLIGHT, LANE_BACKOFF, LANE_BURYING, LANE_DISABLED, LANE_STATES };

enum { LANE_REFUSED_MAX = 20 };

struct lane_policy {
    double throttle_per_sec; /* 0: unlimited */
    int64_t max_attempts;
    int64_t backoff_min_ms, backoff_max_ms;
    int64_t disable_after_ms;
};

struct lane {
    enum lane_state state;
    struct lane_policy policy;
    struct throttle throttle;
    int64_t position;      /* settled up to here */
    int64_t last;          /* newest event for it at or below position; or the position asked for */
    uint64_t last_id_hash; /* 0: none yet */
    bool compacted;        /* between last and position the owner met cursors without a record */
    int64_t current;       /* the event in flight, in backoff or being buried; -1: none */
    uint64_t current_id_hash;
    int64_t attempts;      /* made for `current` */
    uint64_t throttle_slot;
    int64_t retry_at_ms;
    int64_t failing_since_ms; /* wall; 0: not failing */
    bool given_up;            /* one was dead-lettered for its attempts since the last 2xx */
    int64_t refused_in_row;
    int64_t delivered, dead_lettered;
    const char *bury_reason;  /* "attempts" or "refused", while LANE_BURYING */
    char reason[TOKEN_REASON_BYTES]; /* why it is disabled; "" else */
    struct token_attempt *failed; /* the last failed attempts, oldest first; NULL until there was one */
    int64_t failed_count;
};

/* A lane that has everything up to `position`. Its state is READY. */
void lane_init(struct lane *lane, const struct lane_policy *policy, int64_t position);
/* Goes on where the token stands (born and feed were compared by the caller). READY or DISABLED; attempts count anew. */
void lane_init_from_token(struct lane *lane, const struct lane_policy *policy, const struct token *token);
void lane_fini(struct lane *lane);

/* Writes the lane's part of a token: all but born, feed, generation and epoch. `wall_ms - now_ms` turns its deadline
 * into the wall's time. */
void lane_to_token(const struct lane *lane, int64_t now_ms, int64_t wall_ms, struct token *token);

/* Replaces the policy; the throttle keeps its history. A lane in backoff keeps its deadline. */
void lane_set_policy(struct lane *lane, const struct lane_policy *policy);

/* When the next attempt may start (in READY and BACKOFF, by throttle and backoff): a time, which may have passed, or
 * INT64_MAX in every other state. */
int64_t lane_due_ms(const struct lane *lane);

/* WAITING → READY: the next event for it stands right after `passed`, up to which there was none. */
void lane_wake(struct lane *lane, int64_t passed);
/* READY or BACKOFF: there is nothing for it up to `cursor`. A backoff whose event is not there any more ends. */
void lane_pass(struct lane *lane, int64_t cursor);
/* The same, and `cursor` is the log's end: → WAITING. */
void lane_wait(struct lane *lane, int64_t cursor);

/* READY or BACKOFF → IN_FLIGHT with the next event for it above position. Another event than the one that failed starts
 * counting at 1. Returns the attempt's number. lane->last is the prev_cursor to send. */
int64_t lane_start(struct lane *lane, int64_t cursor, uint64_t id_hash);

struct lane_outcome {
    int status;             /* HTTP status; 0: no whole answer, then `error` says why */
    const char *error;      /* NULL, or a short text */
    int64_t retry_after_ms; /* 0: none */
    int64_t duration_ms;
    const char *excerpt; /* beginning of the answer's body, printable; NULL: none */
};
/* IN_FLIGHT → READY (settled: position has moved), BACKOFF, BURYING (the caller writes the dead letter and then calls
 * lane_buried) or DISABLED. After an event that was given up for its attempts no other is given up before a 2xx, and after
 * LANE_REFUSED_MAX refused in a row nothing at all is: the lane waits, the log is its queue. */
void lane_finish(struct lane *lane, const struct lane_outcome *outcome, int64_t now_ms, int64_t wall_ms, uint64_t random);
/* IN_FLIGHT → READY without an outcome: the attempt was called off by us. It counts for the throttle only. */
void lane_abort(struct lane *lane, int64_t now_ms);
/* BURYING → READY: the dead letter is in Kafka; the event is settled. */
void lane_buried(struct lane *lane);

void lane_disable(struct lane *lane, const char *reason);
/* DISABLED → READY, with clean counts. Does nothing in another state but end a backoff. */
void lane_resume(struct lane *lane);

/* "active", "retrying" or "disabled", as status shows it. */
enum token_state lane_token_state(const struct lane *lane);

#endif
