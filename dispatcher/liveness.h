/* Nothing waits without a timer, a descriptor or a report that is due. A running lane that is not
 * at rest at the end of the log must wait for something that will step the lane. Otherwise the
 * lane would stand still for good, unnoticed. The metric ess_stuck_lanes counts such lanes.
 * dispatcher.check_liveness looks for such lanes once a second; a stuck lane is logged and ends
 * the program, so that tests notice. Loop thread only, between callbacks. */
#ifndef ESS_DISPATCHER_LIVENESS_H
#define ESS_DISPATCHER_LIVENESS_H

#include <stdbool.h>
#include <stddef.h>

struct dispatcher;
struct sender;

/* What will step the sender's lane, in a word; NULL: nothing. */
const char *liveness_waits_for(const struct sender *sender);
/* The lane has something to do, and nothing will step the lane. Does not ask whether the sender
 * may send. */
bool liveness_is_stuck(const struct sender *sender);
/* The number of stuck senders, among those that may send. */
size_t liveness_stuck(const struct dispatcher *d);

/* Checks once a second if dispatcher.check_liveness is set. */
void liveness_begin(struct dispatcher *d);

#endif
