/* From nothing to ready: topics, the key that opens secrets, the log's tail, the consumer group.
 * Waits for each as long as it takes. */
#ifndef ESS_DISPATCHER_STARTUP_H
#define ESS_DISPATCHER_STARTUP_H

struct dispatcher;

void startup_begin(struct dispatcher *d);
/* Why the check of the key file cannot be read from ess.subscribers; NULL: it is not to be read, or
 * it can. */
const char *startup_trouble(void);
/* Stops all lanes, writes nothing, and frees what startup made but for the membership in the group.
 */
void startup_undo(struct dispatcher *d);

#endif
