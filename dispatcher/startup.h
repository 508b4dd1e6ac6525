/* From nothing to ready: topics, the key that opens secrets, the log's tail, the subscribers. Waits for each as long as it
 * takes. */
#ifndef ESS_DISPATCHER_STARTUP_H
#define ESS_DISPATCHER_STARTUP_H

#include <stdbool.h>

struct dispatcher;

void startup_begin(struct dispatcher *d);
/* Frees what startup made; with `keep` the lanes' tokens are written first. */
void startup_undo(struct dispatcher *d, bool keep);

#endif
