/* A table with an option of each type, and a way to load it from a file, an environment and a
 * command line. */
#ifndef ESS_TESTS_OPTIONS_FIXTURE_H
#define ESS_TESTS_OPTIONS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <cmocka.h>

#include "common/base/options.h"

#define FILE_NAME "ess.yml" /* in a folder of the test's own */

struct target {
    char *brokers, *dir, *level;
    int64_t attempts, insecure, queue, timeout, plain;
    struct option_list allow, names;
    struct option_map rdkafka;
};

static int check_level(const char *name, const char *value, struct error *err) {
    return strcmp(name, "log.level") == 0 &&
                   (strcmp(value, "info") == 0 || strcmp(value, "debug") == 0)
               ? 0
               : error_set(err, "must be info or debug, not '%s'", value);
}

static int check_address(const char *name, const char *value, struct error *err) {
    return strcmp(name, "egress.allow") == 0 && strchr(value, '.')
               ? 0
               : error_set(err, "'%s' is no address", value);
}

static int check_pair(const char *name, const char *value, struct error *err) {
    return strcmp(name, "acks") == 0 && *value ? error_set(err, "is reserved") : 0;
}

#define AT(member) offsetof(struct target, member)
static const struct option table[] = {
    {"kafka.brokers", OPTION_STRING, AT(brokers), "127.0.0.1:9092", 0, 0, NULL, "where Kafka is"},
    {"kafka.rdkafka", OPTION_MAP, AT(rdkafka), NULL, 0, 0, check_pair, "librdkafka's own"},
    {"subscribers.dir", OPTION_STRING, AT(dir), NULL, 0, 0, NULL, "a folder"},
    {"log.level", OPTION_STRING, AT(level), "info", 0, 0, check_level, "how much"},
    {"delivery.max_attempts", OPTION_INT, AT(attempts), "15", -5, 1000, NULL, "how often"},
    {"auth.insecure", OPTION_BOOL, AT(insecure), "false", 0, 0, NULL, "whether"},
    {"ingest.queue", OPTION_SIZE, AT(queue), "64MiB", 1024, 1LL << 31, NULL, "how large"},
    {"delivery.timeout", OPTION_DURATION, AT(timeout), "15s", 0, 60000, NULL, "how long"},
    {"plain", OPTION_INT, AT(plain), NULL, 0, 10, NULL, "no default, no section"},
    {"egress.allow", OPTION_LIST, AT(allow), NULL, 0, 0, check_address, "which"},
    {"egress.names", OPTION_LIST, AT(names), "one, two", 0, 0, NULL, "what"},
};
enum { OPTIONS = sizeof table / sizeof *table };

static struct target target;
static struct error err;
static char unknown_variables[256]; /* each with a space behind it */

static inline void note_unknown(const char *name) {
    size_t used = strlen(unknown_variables);
    snprintf(unknown_variables + used, sizeof unknown_variables - used, "%s ", name);
}

static inline void write_file(const void *text, size_t len) {
    FILE *file = fopen(FILE_NAME, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    fclose(file);
}

#define NO_WORDS ((const char *[]){NULL})
#define WORDS(...) ((const char *[]){__VA_ARGS__, NULL})

/* Loads from the environment and the command line's words (without the program's). */
static inline enum options_result load(const char *const *environment, const char *const *words) {
    char *argv[32] = {(char *)(uintptr_t)"ess-test"}, *variables[32] = {NULL};
    int argc = 1;
    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    for (int i = 0; environment[i]; i++)
        variables[i] = (char *)(uintptr_t)environment[i];
    options_free(table, OPTIONS, &target);
    memset(&target, 0, sizeof target);
    memset(&err, 0, sizeof err);
    unknown_variables[0] = 0;
    return options_load(table, OPTIONS, &target, "ess-test", argc, argv, variables, note_unknown,
                        &err);
}

static inline enum options_result load_words(const char *const *words) {
    return load(NO_WORDS, words);
}
static inline enum options_result load_variables(const char *const *environment) {
    return load(environment, NO_WORDS);
}

static inline enum options_result load_bytes(const char *text, size_t len) {
    write_file(text, len);
    return load_words(WORDS("--config=" FILE_NAME));
}
static inline enum options_result load_file(const char *text) {
    return load_bytes(text, strlen(text));
}

/* The command line is refused, with exactly these words. */
static inline void assert_refused(const char *word, const char *message) {
    if (load_words(WORDS(word)) != OPTIONS_BAD)
        fail_msg("%s was taken", word);
    assert_string_equal(err.message, message);
}

static inline void assert_file_refused(const char *text, const char *message) {
    if (load_file(text) != OPTIONS_BAD)
        fail_msg("taken:\n%s", text);
    assert_string_equal(err.message, message);
}

static inline void assert_list(const struct option_list *list, const char *joined) {
    char text[256] = "";
    for (size_t i = 0; i < list->count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s[%s]", i ? " " : "",
                 list->items[i]);
    assert_string_equal(text, joined);
}

static inline void assert_map(const struct option_map *map, const char *joined) {
    char text[256] = "";
    for (size_t i = 0; i < map->count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s[%s=%s]", i ? " " : "",
                 map->names[i], map->values[i]);
    assert_string_equal(text, joined);
}

static char folder[] = "/tmp/ess-options-XXXXXX";

static inline int enter_folder(void **state) {
    (void)state;
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static inline int leave_folder(void **state) {
    (void)state;
    options_free(table, OPTIONS, &target);
    unlink(FILE_NAME);
    return chdir("/") || rmdir(folder);
}

#endif
