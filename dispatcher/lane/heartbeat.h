/* The heartbeat: after a time without a delivery, tells an idle lane's endpoint that it has
 * everything up to a cursor. A heartbeat is never retried and holds up nothing. Pure: the caller
 * passes the time. */
#ifndef ESS_DISPATCHER_HEARTBEAT_H
#define ESS_DISPATCHER_HEARTBEAT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"

struct lane;

enum { HEARTBEAT_LOOK_MIN_MS = 1000 };

struct heartbeat {
    int64_t every_ms;       /* 0: none */
    int64_t quiet_since_ms; /* the newest delivery or heartbeat */
};

/* Sets the time between two. A time that has been quiet so far counts. */
void heartbeat_set(struct heartbeat *heartbeat, int64_t every_ms);
/* The endpoint has got something at `now_ms`, or a heartbeat was tried. */
void heartbeat_note(struct heartbeat *heartbeat, int64_t now_ms);
/* When to look whether one may be sent; INT64_MAX: never. */
int64_t heartbeat_due_ms(const struct heartbeat *heartbeat);
/* When to look again after a look at `now_ms` that found the lane busy. */
int64_t heartbeat_look_ms(const struct heartbeat *heartbeat, int64_t now_ms);

/* Whether a heartbeat may be sent now: everything found is settled, the lane stands at the end of
 * the log, nothing keeps deliveries back, and the endpoint is neither backed off nor probed. An
 * idle lane's endpoint that has failed gets one once its back-off is over: its next event may come
 * in days. */
bool heartbeat_may_go(const struct lane *lane, int64_t now_ms);
/* Appends the body: the lane has settled everything up to `end`, the log's end. */
void heartbeat_put_body(const struct lane *lane, int64_t end, int64_t wall_ms, struct buf *out);

#endif
