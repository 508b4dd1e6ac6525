/* The partitions of subscribers owned by this process: carries out the decisions of ownership.h
 * with the consumer group, the records of ess.subscribers and ess.tokens, and the producer. Loop
 * thread only; only partitions_close and partitions_free block. */
#ifndef ESS_DISPATCHER_PARTITIONS_H
#define ESS_DISPATCHER_PARTITIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "dispatcher/ownership/ownership.h"

struct kafka_config;
struct loop;
struct partitions;
struct producer;
struct kafka_record;

/* Runs the subscribers of the partitions, and the process around them. */
struct partitions_owner {
    /* a record of ess.subscribers or ess.tokens, but for fences */
    void (*read)(void *arg, const struct kafka_record *record);
    /* all records of the partition were read: start the lanes */
    void (*start)(void *arg, int32_t partition);
    /* the suspended lanes continue; `rewrite`: their tokens are void */
    void (*resume)(void *arg, int32_t partition, bool rewrite);
    /* another process owns the partition: its lanes do not run */
    void (*forget)(void *arg, int32_t partition);
    void (*close)(void *arg); /* close everything in flight; the lanes stay */
    void (*write)(void *arg); /* write the tokens that differ from the log */
    void (*stop)(void *arg);  /* stops all lanes and writes nothing */
    /* fill in the parts of a view known only to the owner: in_flight and unwritten */
    void (*look)(void *arg, struct ownership_view *view);
    /* everything assigned is held, `after_ms` after the assignment */
    void (*settled)(void *arg, int32_t owned, int64_t after_ms);
    uint64_t (*random)(void *arg);
    void (*start_over)(void *arg, const char *reason); /* the records cannot be read on */
    void (*refuse)(void *arg, const char *event, const char *reason); /* the program must end */
};

struct partitions_options { /* all but `owner` outlives the partitions */
    struct loop *loop;
    const struct kafka_config *kafka;
    struct producer *producer;
    const char *group, *subscribers_topic, *tokens_topic;
    struct partitions_owner owner;
    void *arg;
};

/* Joins the group. Nothing is read or fenced before partitions_open. */
struct partitions *partitions_new(const struct partitions_options *options, struct error *err);
/* Subscribers can be read and run: takes the partitions assigned now and later, of the first
 * `count` partitions. */
int partitions_open(struct partitions *p, int32_t count, struct error *err);
/* Stops all lanes, writes nothing and reads nothing more. This process stays a member, and may
 * open again. */
void partitions_close(struct partitions *p);
/* The program is stopping: attempts in flight have until `deadline_ms`; then the process lets
 * everything go, leaves the group, and stops the loop. */
void partitions_stop(struct partitions *p, int64_t deadline_ms);
void partitions_free(struct partitions *p);

/* Why the subscribers of these partitions cannot be read; NULL: no trouble. */
const char *partitions_trouble(const struct partitions *p);
/* Why the newest fence was not written; NULL: written. */
const char *partitions_fence_trouble(const struct partitions *p);
/* Why this process is out of the group, as far as known; NULL: no trouble. */
const char *partitions_group_trouble(const struct partitions *p);
/* Everything assigned is held, and the lanes run. */
bool partitions_settled(const struct partitions *p);
/* The partition's lanes run or are suspended. */
bool partitions_started(const struct partitions *p, int32_t partition);
/* A lane may start something now. */
bool partitions_may_start(const struct partitions *p, int32_t partition);
/* A token may be written now, under partitions_epoch. */
bool partitions_may_write(const struct partitions *p, int32_t partition);
int64_t partitions_epoch(const struct partitions *p, int32_t partition);
/* The number of the next token: above all numbers written here or read. */
int64_t partitions_next_number(struct partitions *p);
int64_t partitions_newest_number(const struct partitions *p);
/* A token was read; see ownership_token_read. */
bool partitions_token_read(struct partitions *p, int32_t partition, const struct token *token,
                           struct token_choice *choice);
/* From when on throttles' windows count as full, since an earlier owner may have used them up;
 * INT64_MIN: never. */
int64_t partitions_window_ms(const struct partitions *p, int32_t partition);

#endif
