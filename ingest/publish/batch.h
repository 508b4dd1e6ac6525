/* Parses the body of a publish into events: one object, an array of 1 to 1,000, or NDJSON with an
 * event a line. All or nothing. Pure, except for the ids that make_id makes. */
#ifndef ESS_INGEST_BATCH_H
#define ESS_INGEST_BATCH_H

#include <stdbool.h>

#include "common/model/event.h"

enum { BATCH_EVENTS_MAX = 1000 };

struct batch {
    struct event *events; /* `data` points into the body */
    size_t count;
    bool many; /* an array or NDJSON, even of one event */
};

struct batch_options {
    bool ndjson; /* otherwise JSON, an object or an array */
    size_t data_max;
    const char *ts; /* for events without `ts` */
    /* Makes an id for an event without `id` and `cursor`. */
    void (*make_id)(void *arg, char out[37]);
    void *arg;
};

/* The fault of a body. */
struct batch_fault {
    bool at_event; /* `index` names the event to blame */
    size_t index;
    bool too_large;
};

/* Whether a JSON body begins as an array. The body may be incomplete. */
bool batch_is_array(struct span body);

/* Returns 0, and the batch is the caller's; or -1 with `fault` and `err`, and nothing to free. */
int batch_read(struct batch *batch, struct span body, const struct batch_options *options,
               struct batch_fault *fault, struct error *err);
void batch_fini(struct batch *batch);

#endif
