/* Nothing waits without a timer, a descriptor or a report that is due. Every lane that runs and is
 * not at rest at the end of the log must wait for something that will step it; one that waits for
 * nothing stands still for good, which nobody would notice. The metric ess_stuck_lanes counts such
 * lanes. With dispatcher.check_liveness they are looked for once a second, and one that is found is
 * logged and ends the program, so that tests see it. Loop thread only, between callbacks. */
#ifndef ESS_DISPATCHER_LIVENESS_H
#define ESS_DISPATCHER_LIVENESS_H

#include <stdbool.h>
#include <stddef.h>

struct dispatcher;
struct sender;

/* What will step it, in a word; NULL: nothing. */
const char *liveness_waits_for(const struct sender *sender);
/* It has something to do, as far as its lane knows, and nothing will step it. Whether it may send
 * is not asked. */
bool liveness_is_stuck(const struct sender *sender);
/* How many senders are, of those that may send. */
size_t liveness_stuck(const struct dispatcher *d);

/* Checks once a second if dispatcher.check_liveness is set. */
void liveness_begin(struct dispatcher *d);

#endif
