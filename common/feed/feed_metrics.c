/* A feed's metrics; see feed_metrics.h. */
#include "common/feed/feed_metrics.h"

#include "common/http/metrics.h"

void feed_metrics(const struct feed *feed, struct buf *out) {
    const struct feed_counts counts = feed ? feed_counts(feed) : (struct feed_counts){0};
    metrics_single(out, "ess_feed_read_bytes_total", "counter",
                   "Bytes of the log that were read for readers behind its tail.",
                   (double)counts.bytes);
    metrics_single(out, "ess_feed_chunks_total", "counter",
                   "Chunks of the log that were read for readers behind its tail.",
                   (double)counts.chunks);
    metrics_single(out, "ess_feed_chunks_evicted_unread_total", "counter",
                   "Chunks that the cache dropped before any reader had read them to the end.",
                   (double)counts.evicted);
    metrics_single(out, "ess_feed_cache_bytes", "gauge", "Memory of the cached chunks of the log.",
                   feed ? (double)feed_bytes(feed) : 0);
}
