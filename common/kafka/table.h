/* Compacted topics as a table: partitions are read from their beginnings to their ends, and then
 * followed. All of them, or those that are chosen. */
#ifndef ESS_KAFKA_TABLE_H
#define ESS_KAFKA_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/base/span.h"
#include "common/kafka/config.h"

struct table;

/* One record. Valid until the callback returns. */
struct table_record {
    const char *topic; /* as given in the options */
    int32_t partition;
    int64_t offset;
    int64_t appended_ms;
    struct span key;
    struct span value; /* data NULL: a tombstone */
};

struct table_options {
    const struct kafka_config *kafka;
    const char *const *topics; /* full names, NULL-terminated; must outlive the table */
    int32_t partitions;        /* of each */
    bool chosen;               /* nothing is read before table_choose */
    int fetch_wait_ms; /* a partition that is chosen may wait so long for others, which stand at
                          their ends; 0: 500 */
    void (*record)(void *arg, const struct table_record *record);
    void (*loaded)(void *arg); /* once: all partitions were read to their ends. May be NULL */
    void (*ended)(void *arg, const char *topic,
                  int32_t partition); /* this one was read to its end. May be NULL */
    /* Partitions cannot be read, as for a right that was taken back: it is tried again, and goes on
     * where it stood. NULL: all are read again. What lasts is told once a minute. May be NULL. */
    void (*trouble)(void *arg, const char *reason);
    void (*failed)(void *arg,
                   const char *reason); /* a topic is gone or is not what was read: begin anew */
    void *arg;
};

/* Loop thread; does not block. */
struct table *table_new(struct loop *loop, const struct table_options *options, struct error *err);
/* Reads these partitions of each topic from now on, and no others: those that were read before go
 * on where they stand, the others begin at their beginnings. `ended` is called for each (again),
 * once it has reached what is its end after this. */
int table_choose(struct table *table, const bool *chosen, struct error *err);
/* All that is read was read to its end. */
bool table_loaded(const struct table *table);
/* Why partitions cannot be read; NULL: they can. */
const char *table_trouble(const struct table *table);
void table_free(struct table *table);

#endif
