/* Options from a YAML file, the environment and the command line, in rising order of precedence, by
 * one table.
 *
 * `kafka.brokers` in the table is `kafka: {brokers: …}` or `kafka.brokers: …` in the file,
 * ESS_KAFKA_BROKERS in the environment and --kafka.brokers=… on the command line. */
#ifndef ESS_BASE_OPTIONS_H
#define ESS_BASE_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/error.h"

enum option_type {
    OPTION_STRING,   /* char *, never NULL; "none" and "" become "", and so does null in YAML */
    OPTION_INT,      /* int64_t within min..max */
    OPTION_BOOL,     /* int64_t, 0 or 1; true/false/yes/no/on/off/1/0 */
    OPTION_SIZE,     /* int64_t bytes; 256KiB, 8MiB, 1GiB, 65536 */
    OPTION_DURATION, /* int64_t milliseconds; 250ms, 15s, 1h30m, 7d */
    OPTION_LIST,     /* struct option_list; a YAML sequence, or comma-separated; no item is empty,
                        "none" is the empty list */
    OPTION_MAP,      /* struct option_map of everything below the name: kafka.rdkafka.<anything> */
};

struct option_list {
    char **items;
    size_t count;
};
struct option_map {
    char **names; /* what stands after the option's own name and a dot */
    char **values;
    size_t count;
};

struct option {
    const char *name;
    enum option_type type;
    size_t offset;       /* of the member in the target struct */
    const char *initial; /* the default as text, read like any value; NULL: "" , 0 or empty */
    int64_t min, max;    /* for numbers, sizes, durations */
    /* Further check of a string (but of "" only where that is not the default), each list item, or
     * a map's pair (`name` is then the pair's name); may be NULL. */
    int (*check)(const char *name, const char *value, struct error *err);
    const char *help;
};

enum options_result { OPTIONS_READY, OPTIONS_SHOWN, OPTIONS_BAD };

/* Fills `target` (all zero before) from defaults, the file named by --config or ESS_CONFIG,
 * `environment` (NULL-terminated NAME=value list) and argv. --help and --version print to stdout
 * and return OPTIONS_SHOWN (the caller exits with 0). OPTIONS_BAD: `err` names option, place
 * ("--ingest.queue", "ESS_…", "ess.yml:12") and reason (the caller exits with 2). An unknown ESS_
 * variable is handed to `unknown_variable` (may be NULL) instead. Strings in target are owned by
 * it, whatever the result: options_free. Blocks while it reads the file. */
enum options_result options_load(const struct option *table, size_t count, void *target,
                                 const char *program, int argc, char **argv, char **environment,
                                 void (*unknown_variable)(const char *name), struct error *err);
/* Frees what `target` owns; may be called twice. */
void options_free(const struct option *table, size_t count, void *target);

/* All options with type, default and unit, as --help prints them. */
void options_help(const struct option *table, size_t count, const char *program, FILE *out);

#endif
