/* A feed's metrics; see feed_metrics.h. */
#include "common/feed/feed_metrics.h"

#include "common/http/metrics.h"

void feed_metrics(const struct feed *feed, struct buf *out) {
    const struct feed_counts counts = feed ? feed_counts(feed) : (struct feed_counts){0};
    metrics_family(out, "ess_feed_read_bytes_total", "counter",
                   "Bytes of the log that were read for readers behind its tail.");
    metrics_value(out, "ess_feed_read_bytes_total", "", (double)counts.bytes);
    metrics_family(out, "ess_feed_chunks_total", "counter",
                   "Chunks of the log that were read for readers behind its tail.");
    metrics_value(out, "ess_feed_chunks_total", "", (double)counts.chunks);
    metrics_family(out, "ess_feed_chunks_evicted_unread_total", "counter",
                   "Chunks that the cache dropped before any reader had read them to the end.");
    metrics_value(out, "ess_feed_chunks_evicted_unread_total", "", (double)counts.evicted);
    metrics_family(out, "ess_feed_cache_bytes", "gauge", "Memory of the cached chunks of the log.");
    metrics_value(out, "ess_feed_cache_bytes", "", feed ? (double)feed_bytes(feed) : 0);
}
