/* Prometheus text format (version 0.0.4) of counters, gauges and histograms. One thread. */
#ifndef ESS_HTTP_METRICS_H
#define ESS_HTTP_METRICS_H

#include <stdint.h>

#include "common/base/buf.h"

/* A histogram of seconds with fixed buckets from 100 us to 60 s. Embedded, all zero at first. */
enum { HISTOGRAM_BUCKETS = 18 };
struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS + 1];
    double sum;
};
void histogram_observe_us(struct histogram *h, int64_t us);

/* "# HELP" and "# TYPE" lines. */
void metrics_family(struct buf *out, const char *name, const char *type, const char *help);
/* Writes a sample; `labels` is "" or name="value",… made by metrics_label. */
void metrics_value(struct buf *out, const char *name, const char *labels, double value);
/* A family of one sample without labels. */
void metrics_single(struct buf *out, const char *name, const char *type, const char *help,
                    double value);
void metrics_histogram(struct buf *out, const char *name, const char *labels,
                       const struct histogram *h);
/* Appends name="value" with the value escaped, after a comma unless the buffer is empty. */
void metrics_label(struct buf *labels, const char *name, const char *value);
/* process_cpu_seconds_total, process_resident_memory_bytes, process_open_fds,
 * process_start_time_seconds, …, ess_log_lines_dropped_total and ess_build_info. */
void metrics_process(struct buf *out);

#endif
