/* When a subscriber's token is to be written, and for how long Kafka has not had what it is to say:
 * at most one token a second, and progress within a second. Pure; times are of one monotonic clock,
 * and above 0. */
#ifndef ESS_DISPATCHER_CHECKPOINT_PACE_H
#define ESS_DISPATCHER_CHECKPOINT_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum { CHECKPOINT_PACE_EVERY_MS = 1000, CHECKPOINT_PACE_WITHIN_MS = 900 };

/* All zero: nothing was written yet, and nothing is to be. */
struct checkpoint_pace {
    int64_t sent_ms;    /* when the newest token was sent */
    int64_t number;     /* of that one */
    int64_t changed_ms; /* the oldest change that no token sent says; 0: none */
    int64_t covered_ms; /* the oldest change that only tokens without a report say; 0: none */
};

/* There is something to say. Returns when to write: at once where it is `urgent`, unless a token
 * was sent within a second. */
int64_t checkpoint_pace_changed(struct checkpoint_pace *pace, bool urgent, int64_t now_ms);
/* A token that says all so far was sent. */
void checkpoint_pace_sent(struct checkpoint_pace *pace, int64_t number, int64_t now_ms);
/* One that was sent at `sent_ms` is in Kafka, or it is not known to be. */
void checkpoint_pace_reported(struct checkpoint_pace *pace, int64_t number, int64_t sent_ms,
                              bool written);
/* For how long Kafka has not had what there is to say; 0: it has all. */
int64_t checkpoint_pace_unwritten_ms(const struct checkpoint_pace *pace, int64_t now_ms);

#endif
