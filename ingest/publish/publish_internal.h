/* Shared by publish.c, publish_answer.c, publish_metrics.c and unresolved.c only. */
#ifndef ESS_INGEST_PUBLISH_INTERNAL_H
#define ESS_INGEST_PUBLISH_INTERNAL_H

#include "common/base/log.h"
#include "common/http/metrics.h"
#include "common/kafka/producer.h"
#include "common/model/event.h"
#include "ingest/ingest.h"
#include "ingest/publish/batch.h"
#include "ingest/publish/dedupe.h"
#include "ingest/publish/inflight.h"
#include "ingest/publish/publish.h"

struct publish;

/* A record on its way to Kafka. A production outlives the publish when the answer precedes the
 * delivery report. */
struct production {
    struct append append;
    struct inflight_record record;
    struct publisher *publisher;
    struct publish *publish; /* NULL: the request was answered, or its client has gone */
    size_t number;           /* index into the publish's results */
};

/* The result of one event. */
struct publish_result {
    char id[EVENT_ID_BYTES_MAX + 1];
    int64_t cursor; /* -1: not yet */
    bool duplicate;
    /* for a repeat within the batch the number of the first event; otherwise -1 */
    int first;
    struct production *production; /* set while the record is on its way */
};

/* A request under way. */
struct publish {
    struct publisher *publisher;
    struct http_request *request;
    struct loop_timer deadline;
    int64_t began_us;
    bool many;
    struct publish_result *results;
    size_t count;
    size_t on_their_way;         /* productions without a report */
    struct inflight_wait *waits; /* for ids that another request has sent */
    size_t waits_count, waiting;
    struct publish *prev, *next; /* all publishes */
};

/* The query to the log's leader about unresolved records. */
struct look {
    struct publisher *publisher;
    struct loop_timer timer;
    struct offsets_question *question; /* under way */
    int64_t asked_ms;
};

enum publish_outcome {
    PUBLISH_CREATED,
    PUBLISH_DUPLICATE,
    PUBLISH_CONFLICT,
    PUBLISH_REFUSED,
    PUBLISH_UNAVAILABLE,
    PUBLISH_OUTCOMES
};

enum { PUBLISH_RANDOM_BYTES = 10 }; /* random bytes of a uuid_v7 */

/* Random bytes for ids, fetched from the kernel for many ids at once. */
struct publish_random {
    unsigned char bytes[100 * PUBLISH_RANDOM_BYTES];
    size_t left;
};

struct publisher {
    struct ingest *ingest;
    uint64_t published[PUBLISH_OUTCOMES];
    struct histogram publish_seconds;
    struct publish_random random;
    unsigned char key[SIPHASH_KEY_BYTES];
    struct dedupe *dedupe;
    uint64_t doubled;
    struct inflight inflight;
    struct publish *publishes;
    struct look look;
    struct log_limit failures;
};

/* The log has the record's event at `cursor`. */
void production_written(struct production *production, int64_t cursor);
/* The record is certainly not in the log. */
void production_lost(struct production *production, const char *reason);

void unresolved_init(struct publisher *publisher);
/* Starts the query to the leader if a record is unresolved. */
void unresolved_look(struct publisher *publisher);

/* --- answers: each answers the request; the caller then frees the publish */
void publish_answer_written(const struct publish *publish);
/* `index` names the event to blame in a batch. */
void publish_answer_refused(const struct publish *publish, unsigned status, const struct error *err,
                            bool at_event, size_t index);
/* The event's id has other content at `cursor`, or within this batch (cursor -1). */
void publish_answer_conflict(const struct publish *publish, size_t index, int64_t cursor);
/* The answer names the ids of all events. */
void publish_answer_unavailable(const struct publish *publish, const char *reason);

#endif
