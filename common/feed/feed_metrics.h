/* What a feed has read behind the tail, as metrics of both services. Loop thread only. */
#ifndef ESS_FEED_FEED_METRICS_H
#define ESS_FEED_FEED_METRICS_H

#include "common/base/buf.h"
#include "common/feed/feed.h"

/* Appends ess_feed_… ; `feed` may be NULL: then all are 0. */
void feed_metrics(const struct feed *feed, struct buf *out);

#endif
