/* What the parts of ess-ingest share. One of it, on the loop's thread. */
#ifndef ESS_INGEST_INGEST_H
#define ESS_INGEST_INGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/service/service.h"

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
struct acknowledging;
struct token_reads;
struct keyring;
struct parked_readers;
struct subscriber_statuses;
struct spec_rules;

struct ingest {
    struct service service;
    struct publisher *publisher;
    struct filter *filter;
    struct positions *positions;
    struct acknowledging *acknowledging; /* of subscribers with acknowledgements under way */
    struct http_readers *http_readers;
    struct token_reads *token_reads;
    struct dead_letter_search *dead_letter_searches; /* under way */
    struct parked_readers *parked_readers;           /* NULL until the topics are there */
    struct registry *registry;                       /* likewise */
    struct subscriber_statuses *statuses;            /* likewise; the registry's */
    struct registry_writes *registry_writes;         /* likewise */
    struct reservations *reservations;               /* likewise */
    struct folder *folder;                           /* NULL until the registry is loaded */
    struct keyring *keyring;
    int64_t log_opened_ms;
    bool ids_read; /* the log was read from the dedupe window on, up to its end at the start */
    const char
        *subscribers_trouble; /* why ess.subscribers or ess.tokens cannot be read; NULL: they can */
    int64_t max_event; /* largest data of one event: ingest.max_event, or less where the topic takes
                          less */
    int64_t acknowledged; /* the highest cursor that a delivery report gave */
    uint64_t newer_events;
};

/* Kafka answers, the log's tail and the subscribers are read: publishes are taken. */
bool ingest_ready(const struct ingest *ingest);

/* The subscribers have been read, and are kept while Kafka is away: what is known of them may be
 * shown. */
bool ingest_knows_subscribers(const struct ingest *ingest);

/* The rules to check a spec by, without what depends on where the spec comes from: from_file and
 * now_ms. */
struct spec_rules ingest_spec_rules(const struct ingest *ingest);

/* The newest cursor that this ingest knows of by reading or writing it. */
int64_t ingest_end(const struct ingest *ingest);
/* The same, or what the log's leader has told of, although it cannot be read yet. */
int64_t ingest_log_end(const struct ingest *ingest);

#endif
