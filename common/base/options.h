/* Options from a YAML file, the environment and the command line, in rising precedence, by one
 * table.
 *
 * `kafka.brokers` in the table is `kafka: {brokers: …}` or `kafka.brokers: …` in the file,
 * ESS_KAFKA_BROKERS in the environment, and --kafka.brokers=… on the command line. */
#ifndef ESS_BASE_OPTIONS_H
#define ESS_BASE_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/error.h"

enum option_type {
    OPTION_STRING,   /* char *, never NULL; "none", "" and YAML's null become "" */
    OPTION_INT,      /* int64_t within min..max */
    OPTION_BOOL,     /* int64_t, 0 or 1; true/false/yes/no/on/off/1/0 */
    OPTION_SIZE,     /* int64_t bytes; 256KiB, 8MiB, 1GiB, 65536 */
    OPTION_DURATION, /* int64_t milliseconds; 250ms, 15s, 1h30m, 7d */
    OPTION_LIST,     /* struct option_list; comma-separated or a YAML sequence; "none": empty */
    OPTION_MAP,      /* struct option_map of all names below: kafka.rdkafka.<anything> */
};

struct option_list {
    char **items;
    size_t count;
};
struct option_map {
    char **names; /* the part after the option's name and a dot */
    char **values;
    size_t count;
};

struct option {
    const char *name;
    enum option_type type;
    size_t offset;       /* of the member in the target struct */
    const char *initial; /* default as text; NULL: "", 0 or empty */
    int64_t min, max;    /* for numbers, sizes, durations */
    /* Further check of a string, of each list item, or of a map's pair (`name` is then the pair's).
     * Skipped for "" where "" is the default. May be NULL. */
    int (*check)(const char *name, const char *value, struct error *err);
    const char *help;
};

enum options_result { OPTIONS_READY, OPTIONS_SHOWN, OPTIONS_BAD };

/* Fills `target` (all zero before) from defaults, the file named by --config or ESS_CONFIG,
 * `environment` (NULL-terminated NAME=value list) and argv.
 *
 * --help and --version print to stdout and return OPTIONS_SHOWN (exit with 0). OPTIONS_BAD (exit
 * with 2): `err` names option, place ("--ingest.queue", "ESS_…", "ess.yml:12") and reason. An
 * unknown ESS_ variable goes to `unknown_variable` (may be NULL). The target owns its strings,
 * whatever the result: call options_free. Blocks while reading the file. */
enum options_result options_load(const struct option *table, size_t count, void *target,
                                 const char *program, int argc, char **argv, char **environment,
                                 void (*unknown_variable)(const char *name), struct error *err);
/* Frees the target's strings; may be called twice. */
void options_free(const struct option *table, size_t count, void *target);

/* Prints all options with type, default and unit, for --help. */
void options_help(const struct option *table, size_t count, const char *program, FILE *out);

#endif
