/* Warns before it hurts: once a second it looks at the lanes that are behind, how old the oldest
 * event is that waits, and says so when that comes near the replay window, beyond which compaction
 * may take it; and when an endpoint has failed for an hour. Loop thread only. */
#ifndef ESS_DISPATCHER_LOOKOUT_H
#define ESS_DISPATCHER_LOOKOUT_H

#include <stdbool.h>
#include <stdint.h>

struct dispatcher;
struct lookout;
struct subscriber;

struct lookout *lookout_new(struct dispatcher *d);
void lookout_free(struct lookout *lookout);

/* The oldest event that waits has waited for four fifths of the replay window. */
bool lookout_lag_nears_window(const struct subscriber *s, int64_t wall_ms);
/* Attempts were made for an hour, and all failed. */
bool lookout_fails_long(const struct subscriber *s);

#endif
