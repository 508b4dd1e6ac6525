/* When to write a subscriber's token, and the age of the oldest unwritten change: at most one
 * token a second, and progress within a second. Pure; times are of one monotonic clock, and above
 * 0. */
#ifndef ESS_DISPATCHER_CHECKPOINT_PACE_H
#define ESS_DISPATCHER_CHECKPOINT_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum { CHECKPOINT_PACE_EVERY_MS = 1000, CHECKPOINT_PACE_WITHIN_MS = 900 };

/* All zero: nothing was written yet, and nothing is to be. */
struct checkpoint_pace {
    int64_t sent_ms;    /* when the newest token was sent */
    int64_t number;     /* of the newest token */
    int64_t changed_ms; /* the oldest change not in any token sent; 0: none */
    int64_t covered_ms; /* the oldest change only in tokens not yet reported; 0: none */
};

/* The token has news. Returns when to write: at once if `urgent`, unless a token was sent within
 * a second. */
int64_t checkpoint_pace_changed(struct checkpoint_pace *pace, bool urgent, int64_t now_ms);
/* A token with all changes so far was sent. */
void checkpoint_pace_sent(struct checkpoint_pace *pace, int64_t number, int64_t now_ms);
/* Kafka has the token sent at `sent_ms`, or the token's fate is unknown. */
void checkpoint_pace_reported(struct checkpoint_pace *pace, int64_t number, int64_t sent_ms,
                              bool written);
/* Age of the oldest change not in Kafka; 0: Kafka has all. */
int64_t checkpoint_pace_unwritten_ms(const struct checkpoint_pace *pace, int64_t now_ms);

#endif
