/* The skeleton of ess-ingest and ess-dispatcher: options, log, HTTP listener, Kafka's producer, the
 * way from nothing to an open log, back to nothing when the log is another one, and the end.
 *
 * Structure:
 *   struct service       what both have; embedded in struct ingest and struct dispatcher
 *   struct service_role  what makes a service one or the other: constant, callbacks
 *   struct service_plan  what a role takes from the settings for the parts that both have
 *
 * Loop thread only. Several services may live in one process, each with its loop; only the log's
 * level and the signals are the process's. Belongs to the programs, so it logs; no other folder of
 * common/ does, and none includes this one. */
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
    bool makes_topics; /* the missing ones, and warns of settings that differ */
    int64_t window_ms; /* as in struct feed_begin_options */
};

/* `arg` is what service_open got. */
struct service_role {
    const char *program;
    const struct http_route *routes;
    size_t routes_count;
    void (*plan)(void *arg, struct service_plan *plan); /* fills it in; it is all zero */
    void (*init)(void *arg); /* once settings, topics' names and loop are there; cannot fail */
    int (*check)(void *arg, struct error *err); /* opens what a bad option can break; or NULL */
    int (*open)(void *arg, struct error *err);  /* the rest; the producer is there; or NULL */
    void (*log_found)(void *arg);               /* `genesis` is there: builds what reads the log */
    void (*appended)(void *arg, const struct feed_event *event); /* as in struct feed_options */
    void (*advanced)(void *arg, int64_t end);                    /* the same; or NULL */
    void (*trouble_changed)(void *arg); /* the log cannot be read, or can be again; or NULL */
    /* Before a start-over: true while something of the old log is still to be written; it is asked
     * again soon. Or NULL. */
    bool (*leave)(void *arg);
    void (*log_lost)(void *arg); /* frees what log_found built, as far as it was; may come twice */
    /* The first signal. Ends by loop_stop, now or later. NULL: now. */
    void (*stop)(void *arg, const char *signal);
    void (*close)(void *arg); /* ends: calls service_flush and service_lose_log, in its order */
    void (*free)(void *arg);  /* what is left, before the loop goes; no callback comes any more */
};

struct service {
    const struct service_role *role;
    void *arg; /* the role's */
    struct settings settings;
    struct loop *loop;
    struct http_server *http;
    struct tls *tls; /* NULL: the listener is without */
    struct authenticator *authenticator;
    struct signing_keys signing_keys; /* of signing.key_file, as last read */
    struct file_watch signing_watch;
    struct producer *producer;
    struct offsets *offsets;
    char events_topic[KAFKA_TOPIC_BYTES], subscribers_topic[KAFKA_TOPIC_BYTES],
        tokens_topic[KAFKA_TOPIC_BYTES];
    struct service_plan plan;
    struct feed_begin *begin; /* while Kafka and its topics are waited for */
    struct genesis genesis;
    struct feed *feed; /* NULL until the topics are there */
    bool kafka_up;
    bool stopping;         /* nothing more is begun */
    char waiting_for[256]; /* why the log is not open: what Kafka or its topics lack; "": nothing */
    struct pause restarts;
    struct loop_timer restart;
    bool starting_over; /* the log is another: what was known is to be forgotten */
    int exit_status;
    uint64_t foreign_records, bad_records;
    struct log_burst bad_records_said;
    struct log_limit crowded_warning;
    struct causes causes; /* of Kafka's faults, as librdkafka's threads log them */
};

enum { SERVICE_REFUSED_STATUS = 1, SERVICE_BAD_OPTION_STATUS = 2 };

/* A program's main: loads the options, runs until it is stopped and closes everything. Returns the
 * exit status; does not return when a thread hangs in a library. */
int service_main(struct service *s, const struct service_role *role, void *arg, int argc,
                 char **argv);

/* The parts of service_main, for several services in one process. `settings` are loaded, the rest
 * is zero. Opens everything and begins to wait for Kafka. Returns 0; or -1 with `exit_status` after
 * it has logged why, and then service_close is due too. */
int service_open(struct service *s, const struct service_role *role, void *arg);
/* Frees everything but the struct. False: a thread hangs in a library, so that not all was freed
 * and the process is to end by _exit(). */
bool service_close(struct service *s);

/* --- for every part */

/* Kafka answers, and the log can be read as far as that is to be seen. */
bool service_kafka_up(const struct service *s);
/* The same; and Kafka takes records; and the service is neither stopping nor starting over. */
bool service_in_force(const struct service *s);
/* Leaves the loop, so that the program closes everything and ends with status 1, after a fault that
 * an operator must mend. Logs it. */
void service_refuse(struct service *s, const char *event, const char *reason);
/* A record about subscriber `id` cannot be read: counts it, and logs it, of a flood the first ones
 * of a minute. */
void service_bad_record(struct service *s, const char *topic, int32_t partition, int64_t offset,
                        const char *id, const char *reason);
/* The log is not the one it was: forgets all and begins as at the start, from the loop; at once, or
 * after a growing pause when it happens again and again. May be called from any callback. */
void service_start_over(struct service *s, const char *reason);

/* --- for the role */

/* Opens the log from behind cursor `start`; the role's log_found calls it. */
int service_open_feed(struct service *s, int64_t start, struct error *err);
/* Writes what is pending in the producer, as long as it may take. Blocks. */
void service_flush(struct service *s);
/* Frees what reads the log, and stops waiting for Kafka. */
void service_lose_log(struct service *s);

#endif
