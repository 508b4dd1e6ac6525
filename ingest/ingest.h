/* What the parts of ess-ingest share. One of it, on the loop's thread. */
#ifndef ESS_INGEST_INGEST_H
#define ESS_INGEST_INGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/pause.h"
#include "common/feed/feed.h"
#include "common/feed/genesis.h"
#include "common/http/server.h"
#include "common/kafka/cause.h"
#include "common/kafka/producer.h"
#include "common/settings.h"

struct authenticator;
struct tls;
struct registry_writes;
struct reservations;
struct dead_letter_search;
struct filter;
struct positions;
struct publisher;
struct http_readers;
struct registry;
struct registry_entry;
struct folder;
struct token_reads;
struct keyring;
struct offsets;
struct parked_readers;
struct subscriber_statuses;

struct ingest {
    struct settings settings;
    struct loop *loop;
    struct http_server *http;
    struct authenticator *authenticator;
    struct tls *tls; /* NULL: the listener is without */
    struct producer *producer;
    struct offsets *offsets;
    struct publisher *publisher;
    struct filter *filter;
    struct positions *positions;
    struct http_readers *http_readers;
    struct token_reads *token_reads;
    struct dead_letter_search *dead_letter_searches; /* under way */
    struct genesis genesis;
    struct feed *feed;                       /* NULL until the topics are there */
    struct parked_readers *parked_readers;   /* likewise */
    struct registry *registry;               /* likewise */
    struct subscriber_statuses *statuses;    /* likewise; the registry's */
    struct registry_writes *registry_writes; /* likewise */
    struct reservations *reservations;       /* likewise */
    struct folder *folder;                   /* NULL until the registry is loaded */
    struct keyring *keyring;
    char events_topic[KAFKA_TOPIC_BYTES];
    char subscribers_topic[KAFKA_TOPIC_BYTES], tokens_topic[KAFKA_TOPIC_BYTES];
    bool kafka_up;
    bool stopping;
    bool ids_read; /* the log was read from the dedupe window on, up to its end at the start */
    const char
        *subscribers_trouble; /* why ess.subscribers or ess.tokens cannot be read; NULL: they can */
    char waiting_for[256]; /* why the log is not open: what Kafka or its topics lack; "": nothing */
    struct pause restarts;
    struct loop_timer restart; /* main.c's: undoes what startup.c has built, and begins again */
    bool starting_over;        /* the log is another: what was known is to be forgotten */
    int exit_status;
    int64_t max_event; /* largest data of one event: ingest.max_event, or less where the topic takes
                          less */
    int64_t acknowledged; /* the highest cursor that a delivery report gave */
    uint64_t foreign_records, newer_events, bad_records;
    struct log_burst bad_records_said;
    struct log_limit crowded_warning;
    struct causes causes; /* of Kafka's faults, as librdkafka's threads log them */
};

/* Kafka answers, and the log can be read as far as that is to be seen. */
bool ingest_kafka_up(const struct ingest *ingest);
/* Kafka answers, the log's tail and the subscribers are read: publishes are taken. */
bool ingest_ready(const struct ingest *ingest);

/* The subscribers have been read, and are kept while Kafka is away: what is known of them may be
 * shown. */
bool ingest_knows_subscribers(const struct ingest *ingest);

/* The newest cursor that this ingest knows of by reading or writing it. */
int64_t ingest_end(const struct ingest *ingest);
/* The same, or what the log's leader has told of, although it cannot be read yet. */
int64_t ingest_log_end(const struct ingest *ingest);

/* Leaves the loop; the program then closes everything and ends with `exit_status`. */
void ingest_stop(struct ingest *ingest);

enum { INGEST_REFUSED_STATUS = 1 };
/* Ends the program with status 1 after a fault that an operator must mend. Logs it. */
void ingest_refuse(struct ingest *ingest, const char *event, const char *reason);

/* A record about subscriber `id` cannot be read: counts it, and says it, of a flood the first ones
 * of a minute. */
void ingest_bad_record(struct ingest *ingest, const char *topic, int32_t partition, int64_t offset,
                       const char *id, const char *reason);

/* The log is not the one it was: forgets all and begins as at the start. May be called from any
 * callback. */
void ingest_start_over(struct ingest *ingest, const char *reason);

#endif
