/* Compacted topics as a table: reads all partitions, or chosen ones, from beginning to end, then
 * follows them. */
#ifndef ESS_KAFKA_TABLE_H
#define ESS_KAFKA_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/config.h"
#include "common/kafka/record.h"

struct table;

struct table_options {
    const struct kafka_config *kafka;
    const char *const *topics; /* full names, NULL-terminated; must outlive the table */
    int32_t partitions;        /* of each */
    bool chosen;               /* read nothing before table_choose */
    int fetch_wait_ms; /* how long a fetch may wait at the ends of partitions, which delays newly
                          chosen ones; 0: 500 */
    /* The record's topic is the string in `topics`. */
    void (*record)(void *arg, const struct kafka_record *record);
    void (*loaded)(void *arg); /* once: all partitions read to the end. May be NULL */
    void (*ended)(void *arg, const char *topic,
                  int32_t partition); /* a partition was read to its end. May be NULL */
    /* Partitions cannot be read, for example without the right to; retried, continuing in place.
     * NULL: all are readable again. Repeated once a minute while the trouble lasts. May be NULL. */
    void (*trouble)(void *arg, const char *reason);
    void (*failed)(void *arg, const char *reason); /* a topic is gone or was replaced: start over */
    void *arg;
};

/* Loop thread; does not block. */
struct table *table_new(struct loop *loop, const struct table_options *options, struct error *err);
/* Reads only these partitions of each topic from now on. Partitions already being read continue in
 * place, others start from the beginning. Calls `ended` for each (again) at its current end. */
int table_choose(struct table *table, const bool *chosen, struct error *err);
/* Whether all partitions being read were read to the end. */
bool table_loaded(const struct table *table);
/* Why partitions cannot be read; NULL: they can. */
const char *table_trouble(const struct table *table);
void table_free(struct table *table);

#endif
