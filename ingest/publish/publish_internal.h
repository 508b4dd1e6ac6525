/* What publish.c, publish_answer.c, publish_metrics.c and unresolved.c share. Nobody else includes
 * it. */
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

/* One record on its way to Kafka. It outlives its publish when the answer had to be given before
 * the report. */
struct production {
    struct append append;
    struct inflight_record record;
    struct publisher *publisher;
    struct publish *publish; /* NULL: answered, or gone */
    size_t number;           /* among the publish's results */
    unsigned era;
};

/* What becomes of one event. */
struct publish_result {
    char id[EVENT_ID_BYTES_MAX + 1];
    int64_t cursor; /* -1: not yet */
    bool duplicate;
    int first;                     /* a repeat within the batch: the number of the first; else -1 */
    struct production *production; /* while it is on its way */
};

/* A request that is being served. */
struct publish {
    struct publisher *publisher;
    struct http_request *request;
    struct loop_timer deadline;
    int64_t began_us;
    bool many;
    struct publish_result *results;
    size_t count;
    size_t on_their_way;         /* of its productions */
    struct inflight_wait *waits; /* for ids that others have sent */
    size_t waits_count, waiting;
    struct publish *prev, *next; /* of all */
};

/* The question to the log's leader about what is unresolved. */
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

enum { PUBLISH_RANDOM_BYTES = 10 }; /* that uuid_v7 takes */

/* For made ids: the kernel is asked once for many. */
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
    unsigned era; /* grows each time that the log is read anew */
    struct look look;
    struct log_limit failures;
};

/* The record is in the log: at `cursor`, with the same content. */
void production_written(struct production *production, int64_t cursor);
/* It is certainly not in the log. */
void production_lost(struct production *production, const char *reason);

void unresolved_init(struct publisher *publisher);
/* There is something unresolved. */
void unresolved_look(struct publisher *publisher);

/* --- answers; each ends the request, and the publish is still to be freed */
void publish_answer_written(const struct publish *publish);
/* `index` names the event to blame in a batch. */
void publish_answer_refused(const struct publish *publish, unsigned status, const struct error *err,
                            bool at_event, size_t index);
/* The event's id stands for something else: at `cursor`, or where that is -1 within this batch. */
void publish_answer_conflict(const struct publish *publish, size_t index, int64_t cursor);
/* With the ids of all its results. */
void publish_answer_unavailable(const struct publish *publish, const char *reason);

#endif
