/* The PII rules in force: pii.file, read at the start and whenever it changes; what they took out
 * is counted, and told in the log for each event: by which rule and where, never what. Loop thread
 * only. */
#ifndef ESS_INGEST_FILTER_H
#define ESS_INGEST_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/model/event.h"
#include "common/pii/pii.h"

struct filter;
struct loop;

/* `path` "" means no rules. Returns NULL with file, line, field and reason. */
struct filter *filter_new(struct loop *loop, const char *path, struct error *err);
void filter_free(struct filter *filter);

/* What was taken out of one event. All zero at first; filter_hits_fini. */
struct filter_hits {
    struct buf rules, paths; /* with commas between */
    uint32_t counts[PII_RULES_MAX];
    size_t values;
};
void filter_hits_fini(struct filter_hits *hits);

/* Filters event->data: what is left of it is in `out` (empty at first), and must stay as long as
 * the event. Notes in the event by which version of the rules, which is the same in every ingest
 * that has this file. Returns true when something was taken out. */
bool filter_event(const struct filter *filter, struct event *event, struct buf *out,
                  struct filter_hits *hits);
/* What is left of the data of a test delivery, as text of its own; counts and tells. */
char *filter_data(struct filter *filter, const char *topic, struct span data);
/* The event goes to the log: counts what was taken out of it, by the rules that did, and tells of
 * it. */
void filter_count(struct filter *filter, const struct event *event, const struct filter_hits *hits);

/* Values that were filtered, by rule; also by rules that are no longer in force. */
void filter_metrics(const struct filter *filter, struct buf *out);

#endif
