/* Metrics of reading behind the tail, for both services. Loop thread only. */
#ifndef ESS_FEED_FEED_METRICS_H
#define ESS_FEED_FEED_METRICS_H

#include "common/base/buf.h"
#include "common/feed/feed.h"

/* Appends ess_feed_…; all 0 for a NULL `feed`. */
void feed_metrics(const struct feed *feed, struct buf *out);

#endif
