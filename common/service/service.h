/* The skeleton of ess-ingest and ess-dispatcher: options, log, HTTP listener, Kafka's producer,
 * opening the log, starting over when the log was replaced, and the end.
 *
 * Structure:
 *   struct service       what both have; embedded in struct ingest and struct dispatcher
 *   struct service_role  what makes a service one or the other: constant, callbacks
 *   struct service_plan  what a role takes from the settings for the parts that both have
 *
 * Loop thread only. Several services may live in one process, each with its loop; only the log's
 * level and the signals are the process's. Belongs to the programs: logs, as no other folder of
 * common/ does, and is included by no other folder of common/. */
#ifndef ESS_SERVICE_SERVICE_H
#define ESS_SERVICE_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/pause.h"
#include "common/crypto/signing_keys.h"
#include "common/feed/feed.h"
#include "common/feed/genesis.h"
#include "common/http/authenticator.h"
#include "common/http/server.h"
#include "common/kafka/cause.h"
#include "common/kafka/producer.h"
#include "common/settings.h"

struct feed_begin;
struct offsets;
struct tls;

/* The service fills in the rest: the loop, the callbacks, routes and TLS. */
struct service_plan {
    struct http_server_options http;
    const char *tls_certificate, *tls_key; /* NULL or "": the listener is without TLS */
    struct authenticator_options authenticator;
    int64_t produce_timeout_ms, produce_queue_bytes;
    bool makes_topics; /* creates missing topics, and warns about settings that differ */
    int64_t window_ms; /* as in struct feed_begin_options */
};

/* `arg` is what service_open got. */
struct service_role {
    const char *program;
    const struct http_route *routes;
    size_t routes_count;
    void (*plan)(void *arg, struct service_plan *plan); /* fills in the plan, which is all zero */
    void (*init)(void *arg); /* settings, topic names and loop are set; cannot fail */
    int (*check)(void *arg, struct error *err); /* opens the files that options name; or NULL */
    int (*open)(void *arg, struct error *err); /* opens the rest, with the producer open; or NULL */
    void (*log_found)(void *arg); /* `genesis` was read: opens the readers of the log */
    void (*appended)(void *arg, const struct feed_event *event); /* as in struct feed_options */
    void (*advanced)(void *arg, int64_t end);                    /* the same; or NULL */
    void (*trouble_changed)(void *arg); /* the log cannot be read, or can be again; or NULL */
    /* Before a start-over: returns true while records about the old log must still be written;
     * called again soon. Or NULL. */
    bool (*leave)(void *arg);
    void (*log_lost)(void *arg); /* frees what log_found has opened so far; may be called twice */
    /* The first signal. Ends by loop_stop, now or later. NULL: now. */
    void (*stop)(void *arg, const char *signal);
    void (*close)(void *arg); /* calls service_flush and service_lose_log, in the role's order */
    void (*free)(void *arg);  /* frees the rest, before the loop is freed; no callback follows */
};

struct service {
    const struct service_role *role;
    void *arg; /* the role's */
    struct settings settings;
    struct loop *loop;
    struct http_server *http;
    struct tls *tls; /* NULL: the listener is without TLS */
    struct authenticator *authenticator;
    struct signing_keys signing_keys; /* of signing.key_file, as last read */
    struct file_watch signing_watch;
    struct producer *producer;
    struct offsets *offsets;
    char events_topic[KAFKA_TOPIC_BYTES], subscribers_topic[KAFKA_TOPIC_BYTES],
        tokens_topic[KAFKA_TOPIC_BYTES];
    struct service_plan plan;
    struct feed_begin *begin; /* while waiting for Kafka and its topics */
    struct genesis genesis;
    struct feed *feed; /* NULL until the topics exist */
    bool kafka_up;
    bool stopping;         /* begin nothing more */
    char waiting_for[256]; /* why the log is not open: what Kafka or its topics lack; "": nothing */
    struct pause restarts;
    struct loop_timer restart;
    bool starting_over; /* the log was replaced: everything known about it must be forgotten */
    int exit_status;
    uint64_t foreign_records, bad_records;
    struct log_burst bad_records_said;
    struct log_limit crowded_warning;
    struct causes causes; /* of Kafka's faults, logged by librdkafka's threads */
};

enum { SERVICE_REFUSED_STATUS = 1, SERVICE_BAD_OPTION_STATUS = 2 };

/* A program's main: loads the options, runs until it is stopped and closes everything. Returns the
 * exit status; does not return when a thread hangs in a library. */
int service_main(struct service *s, const struct service_role *role, void *arg, int argc,
                 char **argv);

/* The parts of service_main, for several services in one process. The struct must be zero, with
 * `settings` loaded. Opens everything and begins to wait for Kafka. Returns 0. Returns -1 with
 * `exit_status` set after logging the reason; service_close must be called then too. */
int service_open(struct service *s, const struct service_role *role, void *arg);
/* Frees everything but the struct. Returns false if a thread hangs in a library: then not
 * everything is freed, and the process must end by _exit(). */
bool service_close(struct service *s);

/* --- for every part */

/* Kafka answers, and the log can be read as far as the service knows. */
bool service_kafka_up(const struct service *s);
/* service_kafka_up, and Kafka takes records, and the service is neither stopping nor
 * starting over. */
bool service_in_force(const struct service *s);
/* Logs a fault that an operator must mend, and leaves the loop: the program closes everything and
 * ends with status 1. */
void service_refuse(struct service *s, const char *event, const char *reason);
/* Call when a record about subscriber `id` cannot be read. Counts the record, and logs it; of many
 * records in a minute, logs only the first. */
void service_bad_record(struct service *s, const char *topic, int32_t partition, int64_t offset,
                        const char *id, const char *reason);
/* Call when the log was replaced. Forgets everything and begins again, from the loop: at once, or
 * after a growing pause if this happens repeatedly. May be called from any callback. */
void service_start_over(struct service *s, const char *reason);

/* --- for the role */

/* Opens the log right after cursor `start`. Called by the role's log_found. */
int service_open_feed(struct service *s, int64_t start, struct error *err);
/* Writes the producer's pending records, for a few seconds at most. Blocks. */
void service_flush(struct service *s);
/* Frees the readers of the log, and stops waiting for Kafka. */
void service_lose_log(struct service *s);

#endif
