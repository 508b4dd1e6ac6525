/* Prometheus text format; see metrics.h. process_* names are those of Prometheus's client
 * libraries. */
#include "common/http/metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/version.h"

static const int64_t bounds_us[HISTOGRAM_BUCKETS] = {
    100,    200,    500,    1000,    2000,    5000,    10000,    20000,    50000,
    100000, 200000, 500000, 1000000, 2000000, 5000000, 10000000, 30000000, 60000000};

void histogram_observe_us(struct histogram *h, int64_t us) {
    size_t bucket = 0;
    us = us < 0 ? 0 : us;
    while (bucket < HISTOGRAM_BUCKETS && us > bounds_us[bucket])
        bucket++;
    h->counts[bucket]++;
    h->sum += (double)us / 1e6;
}

void metrics_family(struct buf *out, const char *name, const char *type, const char *help) {
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_value(struct buf *out, const char *name, const char *labels, double value) {
    buf_printf(out, "%s%s%s%s %.15g\n", name, *labels ? "{" : "", labels, *labels ? "}" : "",
               value);
}

void metrics_single(struct buf *out, const char *name, const char *type, const char *help,
                    double value) {
    metrics_family(out, name, type, help);
    metrics_value(out, name, "", value);
}

void metrics_histogram(struct buf *out, const char *name, const char *labels,
                       const struct histogram *h) {
    uint64_t total = 0;
    const char *comma = *labels ? "," : "", *open = *labels ? "{" : "", *close = *labels ? "}" : "";
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        total += h->counts[i];
        buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", name, labels, comma,
                   (double)bounds_us[i] / 1e6, total);
    }
    total += h->counts[HISTOGRAM_BUCKETS];
    buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, comma, total);
    buf_printf(out, "%s_sum%s%s%s %.9g\n%s_count%s%s%s %" PRIu64 "\n", name, open, labels, close,
               h->sum, name, open, labels, close, total);
}

void metrics_label(struct buf *labels, const char *name, const char *value) {
    buf_printf(labels, "%s%s=\"", labels->len ? "," : "", name);
    for (; *value; value++) {
        if (*value == '\n')
            buf_puts(labels, "\\n");
        else
            buf_printf(labels, "%s%c", *value == '"' || *value == '\\' ? "\\" : "", *value);
    }
    buf_puts(labels, "\"");
}

/* Boot time in seconds since 1970; 0: unknown. */
static double boot_time(void) {
    static const char name[] = "btime ";
    double booted = 0;
    char *line = NULL;
    size_t size = 0;
    FILE *file = fopen("/proc/stat", "re");
    while (file && booted <= 0 && getline(&line, &size, file) >= 0)
        if (strncmp(line, name, sizeof name - 1) == 0)
            booted = strtod(line + sizeof name - 1, NULL);
    if (file)
        fclose(file);
    free(line);
    return booted;
}

/* Start time of the process in seconds since 1970; 0: unknown. /proc counts clock ticks since
 * boot. */
static double start_time(void) {
    char text[1024];
    double booted = boot_time();
    FILE *file = booted > 0 ? fopen("/proc/self/stat", "re") : NULL;
    if (!file)
        return 0;
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = 0;
    char *at = strrchr(text, ')'); /* the process name before it may contain anything */
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? booted + strtod(at, NULL) / (double)sysconf(_SC_CLK_TCK) : 0;
}

static double resident_bytes(void) {
    char text[128];
    FILE *file = fopen("/proc/self/statm", "re");
    size_t len = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[len] = 0;
    const char *second = strchr(text, ' ');
    return second ? strtod(second, NULL) * (double)sysconf(_SC_PAGESIZE) : 0;
}

static double open_files(void) {
    double count = -1; /* the last one */
    struct dirent *entry;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && (entry = readdir(dir)))
        count += entry->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return count < 0 ? 0 : count;
}

void metrics_process(struct buf *out) {
    struct rusage usage;
    struct rlimit limit;
    struct buf labels = {0};
    getrusage(RUSAGE_SELF, &usage);
    getrlimit(RLIMIT_NOFILE, &limit);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    metrics_single(out, "process_cpu_seconds_total", "counter", "User and system CPU time.", cpu);
    metrics_single(out, "process_resident_memory_bytes", "gauge", "Resident memory.",
                   resident_bytes());
    metrics_single(out, "process_open_fds", "gauge", "Open file descriptors.", open_files());
    metrics_single(out, "process_max_fds", "gauge", "Limit of open file descriptors.",
                   (double)limit.rlim_cur);
    metrics_single(out, "process_start_time_seconds", "gauge",
                   "When the process began, since 1970.", start_time());
    metrics_single(out, "ess_log_lines_dropped_total", "counter",
                   "Log lines that stderr did not take.", (double)log_dropped());
    metrics_label(&labels, "version", ESS_VERSION);
    metrics_family(out, "ess_build_info", "gauge", "1, with the version.");
    metrics_value(out, "ess_build_info", buf_string(&labels), 1);
    buf_fini(&labels);
}
