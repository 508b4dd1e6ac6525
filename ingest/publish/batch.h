/* The body of a publish as events: one object, an array of 1 to 1000, or NDJSON, a line an event.
 * All or nothing. Pure but for the ids that are made. */
#ifndef ESS_INGEST_BATCH_H
#define ESS_INGEST_BATCH_H

#include <stdbool.h>

#include "common/model/event.h"

enum { BATCH_EVENTS_MAX = 1000 };

struct batch {
    struct event *events; /* their data points into the body */
    size_t count;
    bool many; /* an array or NDJSON, if only of one */
};

struct batch_options {
    bool ndjson; /* else JSON, one or many by its first character */
    size_t data_max;
    const char *ts; /* of events without one */
    /* For those that have neither id nor cursor. */
    void (*make_id)(void *arg, char out[37]);
    void *arg;
};

/* Where a body is at fault. */
struct batch_fault {
    bool at_event; /* `index` names the event to blame */
    size_t index;
    bool too_large;
};

/* Whether a body that is not NDJSON is an array, as far as it has come. */
bool batch_is_array(struct span body);

/* Returns 0, and the batch is the caller's; or -1 with fault and err, and there is nothing to free.
 */
int batch_read(struct batch *batch, struct span body, const struct batch_options *options,
               struct batch_fault *fault, struct error *err);
void batch_fini(struct batch *batch);

#endif
