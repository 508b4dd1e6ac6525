/* The PII rules in force: pii.file, read at the start and after each change. Filtered values are
 * counted and logged for each event by rule and path, never by value. Loop thread only. */
#ifndef ESS_INGEST_FILTER_H
#define ESS_INGEST_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/model/event.h"
#include "common/pii/pii.h"

struct filter;
struct loop;

/* `path` "" means no rules. Returns NULL with file, line, field and reason in `err`. */
struct filter *filter_new(struct loop *loop, const char *path, struct error *err);
void filter_free(struct filter *filter);

/* The filtered values of one event. All zero at first; free with filter_hits_fini. */
struct filter_hits {
    struct buf rules, paths; /* comma-separated */
    uint32_t counts[PII_RULES_MAX];
    size_t values;
};
void filter_hits_fini(struct filter_hits *hits);

/* Filters event->data. The remaining data is in `out` (empty at first), which must outlive the
 * event. Stores the version of the rules in the event; every ingest with an equal file has an
 * equal version. Returns whether anything was filtered. */
bool filter_event(const struct filter *filter, struct event *event, struct buf *out,
                  struct filter_hits *hits);
/* Filters, counts and logs the data of a test delivery. Returns the remaining data as text of its
 * own. */
char *filter_data(struct filter *filter, const char *topic, struct span data);
/* Counts and logs the filtered values of an event that is being appended. */
void filter_count(struct filter *filter, const struct event *event, const struct filter_hits *hits);

/* Appends the metric of filtered values by rule, including rules no longer in force. */
void filter_metrics(const struct filter *filter, struct buf *out);

#endif
