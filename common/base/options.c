/* Options from one table; see options.h. This file parses values and walks the sources;
 * options_file.c reads YAML. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/options_internal.h"
#include "common/base/size.h"
#include "common/version.h"

enum { NAME_BYTES = 256, HINT_DISTANCE_MAX = 3 };

/* --- members of the target */

static void *member_of(const struct option *option, void *target) {
    return (char *)target + option->offset;
}

static void clear_list(struct option_list *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct option_list){0};
}

static void clear_map(struct option_map *map) {
    for (size_t i = 0; i < map->count; i++) {
        free(map->names[i]);
        free(map->values[i]);
    }
    free(map->names);
    free(map->values);
    *map = (struct option_map){0};
}

void options_free(const struct option *table, size_t count, void *target) {
    for (const struct option *o = table; o < table + count; o++) {
        void *member = member_of(o, target);
        if (o->type == OPTION_STRING) {
            free(*(char **)member);
            *(char **)member = NULL;
        } else if (o->type == OPTION_LIST) {
            clear_list(member);
        } else if (o->type == OPTION_MAP) {
            clear_map(member);
        }
    }
}

/* --- values */

static int parse_bool(const char *text, int64_t *value) {
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *value = i % 2;
            return 0;
        }
    }
    return -1;
}

static int parse_int(const char *text, int64_t *value) {
    char *end;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return errno || *end || !(isdigit((unsigned char)*text) || *text == '-') ? -1 : 0;
}

/* Writes a number in the unit of `type`. */
static void format_number(enum option_type type, int64_t n, char out[CLOCK_TEXT_BYTES]) {
    if (type == OPTION_DURATION)
        clock_format_duration(n, out);
    else if (type == OPTION_SIZE)
        size_format(n, out);
    else
        snprintf(out, CLOCK_TEXT_BYTES, "%" PRId64, n);
}

static int set_number(const struct option *o, int64_t *member, const char *text,
                      struct error *err) {
    static const char *const kinds[] = {[OPTION_INT] = "a whole number",
                                        [OPTION_BOOL] = "true or false",
                                        [OPTION_SIZE] = "a size such as 256KiB",
                                        [OPTION_DURATION] = "a duration such as 15s"};
    int64_t value = 0;
    int bad = o->type == OPTION_INT    ? parse_int(text, &value)
              : o->type == OPTION_BOOL ? parse_bool(text, &value)
              : o->type == OPTION_SIZE ? size_parse(text, &value)
                                       : clock_parse_duration(text, strlen(text), &value);
    if (bad)
        return error_set(err, "'%s' is not %s", text, kinds[o->type]);
    if (o->type != OPTION_BOOL && (value < o->min || value > o->max)) {
        char min[CLOCK_TEXT_BYTES], max[CLOCK_TEXT_BYTES];
        format_number(o->type, o->min, min);
        format_number(o->type, o->max, max);
        return error_set(err, "must be from %s to %s, not %s", min, max, text);
    }
    *member = value;
    return 0;
}

static int set_string(const struct option *o, char **member, const char *text, struct error *err) {
    if (strcmp(text, "none") == 0)
        text = "";
    bool may_be_empty = !o->initial || !*o->initial;
    if (o->check && (*text || !may_be_empty) && o->check(o->name, text, err))
        return -1;
    free(*member);
    *member = mem_copy_string(text, strlen(text));
    return 0;
}

static int set_list(const struct option *o, struct option_list *member,
                    const struct option_list *items, struct error *err) {
    struct option_list copy = {.items = mem_zero((items->count + 1) * sizeof(char *))};
    for (size_t i = 0; i < items->count; i++) {
        bool empty = !*items->items[i] && error_set(err, "an item must not be empty");
        if (empty || (o->check && o->check(o->name, items->items[i], err))) {
            clear_list(&copy);
            return -1;
        }
        copy.items[copy.count++] = mem_copy_string(items->items[i], strlen(items->items[i]));
    }
    clear_list(member);
    *member = copy;
    return 0;
}

static int set_split_list(const struct option *o, struct option_list *member, const char *text,
                          struct error *err) {
    struct option_list items = {0};
    if (strcmp(text, "none") == 0)
        text = "";
    while (*text) {
        size_t len = strcspn(text, ",");
        const char *first = text + strspn(text, " "), *end = text + len;
        while (end > first && end[-1] == ' ')
            end--;
        if (end > first) {
            items.items = mem_resize(items.items, (items.count + 1) * sizeof *items.items);
            items.items[items.count++] = mem_copy_string(first, (size_t)(end - first));
        }
        text += len + (text[len] == ',');
    }
    int result = set_list(o, member, &items, err);
    clear_list(&items);
    return result;
}

static int set_pair(const struct option *o, struct option_map *map, const char *name,
                    const char *value, struct error *err) {
    size_t i = 0;
    if (o->check && o->check(name, value, err))
        return -1;
    while (i < map->count && strcmp(map->names[i], name) != 0)
        i++;
    if (i == map->count) {
        map->names = mem_resize(map->names, (i + 1) * sizeof *map->names);
        map->values = mem_resize(map->values, (i + 1) * sizeof *map->values);
        map->names[map->count++] = mem_copy_string(name, strlen(name));
    } else {
        free(map->values[i]);
    }
    map->values[i] = mem_copy_string(value, strlen(value));
    return 0;
}

static int set_text(const struct option *o, void *target, const char *below, const char *text,
                    struct error *err) {
    void *member = member_of(o, target);
    switch (o->type) {
    case OPTION_STRING:
        return set_string(o, member, text, err);
    case OPTION_LIST:
        return set_split_list(o, member, text, err);
    case OPTION_MAP:
        return set_pair(o, member, below, text, err);
    default:
        return set_number(o, member, text, err);
    }
}

/* --- names */

static size_t edit_distance(const char *a, const char *b) {
    size_t row[NAME_BYTES], n = strlen(b);
    if (n >= NAME_BYTES)
        return NAME_BYTES;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]),
                   shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = change < shorter ? change : shorter;
        }
    }
    return row[n];
}

int option_unknown(const struct options_context *c, const char *name, struct error *err) {
    const struct option *nearest = NULL;
    size_t best = HINT_DISTANCE_MAX + 1, len = strlen(name);
    for (const struct option *o = c->table; o < c->table + c->count; o++) {
        bool map = o->type == OPTION_MAP;
        if (len && strncmp(o->name, name, len) == 0 &&
            (o->name[len] == '.' || (map && o->name[len] == 0)))
            return error_set(err, "is a section, not an option; set for example %s%s", o->name,
                             map ? ".<name>" : "");
        size_t distance = edit_distance(name, o->name);
        if (distance < best) {
            best = distance;
            nearest = o;
        }
    }
    if (nearest)
        return error_set(err, "unknown option %s; did you mean %s?", name, nearest->name);
    return error_set(err, "unknown option %s; --help lists all", name);
}

const struct option *option_find(const struct options_context *c, const char *name,
                                 const char **below) {
    for (const struct option *o = c->table; o < c->table + c->count; o++) {
        size_t len = strlen(o->name);
        *below = "";
        if (o->type != OPTION_MAP && strcmp(name, o->name) == 0)
            return o;
        if (o->type == OPTION_MAP && strncmp(name, o->name, len) == 0 && name[len] == '.' &&
            name[len + 1]) {
            *below = name + len + 1;
            return o;
        }
    }
    return NULL;
}

bool option_is_section(const struct options_context *c, const char *name) {
    size_t len = strlen(name);
    for (const struct option *o = c->table; o < c->table + c->count; o++) {
        size_t own = strlen(o->name);
        if (strncmp(o->name, name, len) == 0 &&
            (o->name[len] == '.' || (o->type == OPTION_MAP && o->name[len] == 0)))
            return true;
        if (o->type == OPTION_MAP && strncmp(o->name, name, own) == 0 && name[own] == '.')
            return true;
    }
    return false;
}

int option_set(const struct options_context *c, const char *name, const char *text,
               struct error *err) {
    const char *below;
    const struct option *o = option_find(c, name, &below);
    return o ? set_text(o, c->target, below, text, err) : option_unknown(c, name, err);
}

int option_set_list(const struct options_context *c, const char *name,
                    const struct option_list *items, struct error *err) {
    const char *below;
    const struct option *o = option_find(c, name, &below);
    if (!o)
        return option_unknown(c, name, err);
    if (o->type != OPTION_LIST)
        return error_set(err, "takes one value, not a list");
    return set_list(o, member_of(o, c->target), items, err);
}

/* --- the sources */

static int set_defaults(const struct options_context *c, struct error *err) {
    for (const struct option *o = c->table; o < c->table + c->count; o++) {
        if (o->type == OPTION_MAP)
            continue;
        bool is_text = o->type == OPTION_STRING || o->type == OPTION_LIST;
        if ((o->initial || is_text) &&
            set_text(o, c->target, "", o->initial ? o->initial : "", err))
            return error_prefix(err, "%s: ", o->name);
    }
    return 0;
}

/* Writes the environment variable of an option: ESS_KAFKA_BROKERS. */
static void variable_of(const char *name, char out[NAME_BYTES]) {
    size_t len = (size_t)snprintf(out, NAME_BYTES, "ESS_%s", name);
    for (size_t i = 4; i < len && i < NAME_BYTES - 1; i++)
        out[i] = out[i] == '.' ? '_' : (char)toupper((unsigned char)out[i]);
}

/* Finds the option of a variable. For a map, `below` gets the rest of the name, underscores as
 * dots. */
static const struct option *find_by_variable(const struct options_context *c, const char *variable,
                                             char below[NAME_BYTES]) {
    char own[NAME_BYTES];
    below[0] = 0;
    for (const struct option *o = c->table; o < c->table + c->count; o++) {
        variable_of(o->name, own);
        size_t len = strlen(own);
        if (o->type != OPTION_MAP && strcmp(variable, own) == 0)
            return o;
        if (o->type != OPTION_MAP || strncmp(variable, own, len) != 0 || variable[len] != '_' ||
            !variable[len + 1])
            continue;
        snprintf(below, NAME_BYTES, "%s", variable + len + 1);
        for (char *p = below; *p; p++)
            *p = *p == '_' ? '.' : (char)tolower((unsigned char)*p);
        return o;
    }
    return NULL;
}

static int read_environment(const struct options_context *c, char **environment,
                            void (*unknown)(const char *), struct error *err) {
    for (char **entry = environment; *entry; entry++) {
        char variable[NAME_BYTES], below[NAME_BYTES];
        const char *equals = strchr(*entry, '=');
        if (!equals || strncmp(*entry, "ESS_", 4) != 0)
            continue;
        snprintf(variable, sizeof variable, "%.*s", (int)(equals - *entry), *entry);
        bool fits = equals - *entry < NAME_BYTES;
        const struct option *o = fits ? find_by_variable(c, variable, below) : NULL;
        if (o && set_text(o, c->target, below, equals + 1, err))
            return error_prefix(err, "%s: ", variable);
        if (!o && unknown && strcmp(variable, "ESS_CONFIG") != 0)
            unknown(variable);
    }
    return 0;
}

/* Splits the argument at *i, and advances *i past a separate value. Returns -1 unless the argument
 * is --name with a value. */
static int split_argument(int argc, char **argv, int *i, char name[NAME_BYTES], const char **value,
                          struct error *err) {
    const char *arg = argv[*i];
    if (strncmp(arg, "--", 2) != 0 || !arg[2])
        return error_set(err, "%.*s: is not an option; write --name=value", (int)strcspn(arg, "="),
                         arg); /* the value may be a secret */
    size_t len = strcspn(arg + 2, "=");
    if (len >= NAME_BYTES)
        return error_set(err, "%.40s…: is not an option", arg);
    snprintf(name, NAME_BYTES, "%.*s", (int)len, arg + 2);
    if (arg[2 + len] == '=')
        *value = arg + 2 + len + 1;
    else if (*i + 1 < argc && strncmp(argv[*i + 1], "--", 2) != 0)
        *value = argv[++*i];
    else
        *value = NULL;
    return 0;
}

static int read_arguments(const struct options_context *c, int argc, char **argv,
                          struct error *err) {
    for (int i = 1; i < argc; i++) {
        char name[NAME_BYTES];
        const char *value, *below;
        if (split_argument(argc, argv, &i, name, &value, err))
            return -1;
        if (strcmp(name, "config") == 0)
            continue;
        if (!option_find(c, name, &below)) {
            option_unknown(c, name, err);
            return error_prefix(err, "--%s: ", name);
        }
        if (!value)
            return error_set(err, "--%s: needs a value: --%s=…", name, name);
        if (option_set(c, name, value, err))
            return error_prefix(err, "--%s: ", name);
    }
    return 0;
}

/* Finds the file to read, and what named the file: command line or environment. */
static int find_file(int argc, char **argv, char **environment, const char **path,
                     const char **named_by, struct error *err) {
    *path = NULL;
    *named_by = "ESS_CONFIG";
    for (char **entry = environment; *entry; entry++)
        if (strncmp(*entry, "ESS_CONFIG=", 11) == 0 && (*entry)[11])
            *path = *entry + 11;
    for (int i = 1; i < argc; i++) {
        char name[NAME_BYTES];
        const char *value;
        if (split_argument(argc, argv, &i, name, &value, err))
            return -1;
        if (strcmp(name, "config") != 0)
            continue;
        if (!value || !*value)
            return error_set(err, "--config: needs a file: --config=ess.yml");
        *path = value;
        *named_by = "--config";
    }
    return 0;
}

void options_help(const struct option *table, size_t count, const char *program, FILE *out) {
    static const char *const types[] = {
        [OPTION_STRING] = "text",        [OPTION_INT] = "number",
        [OPTION_BOOL] = "true or false", [OPTION_SIZE] = "size",
        [OPTION_DURATION] = "duration",  [OPTION_LIST] = "list, comma-separated",
        [OPTION_MAP] = "name=value"};
    fprintf(out, "usage: %s [--config=FILE] [--OPTION=VALUE]...\n\n", program);
    fprintf(out, "Options come from the YAML file, the environment (kafka.brokers is "
                 "ESS_KAFKA_BROKERS) and the command line, and the\n"
                 "last wins. Both programs know the options of both, so one file serves them.\n");
    fprintf(out, "Sizes are bytes or 256KiB, 8MiB, 1GiB; durations 250ms, 15s, 1h30m, 7d.\n\n");
    fprintf(out,
            "  --config=FILE\n        YAML file of options (ESS_CONFIG)\n  --help, --version\n");
    for (const struct option *o = table; o < table + count; o++) {
        fprintf(out, "  --%s%s (%s", o->name, o->type == OPTION_MAP ? ".<name>=" : "=",
                types[o->type]);
        const char *nothing = o->type == OPTION_STRING || o->type == OPTION_LIST ? "none" : "0";
        if (o->type != OPTION_MAP)
            fprintf(out, ", default %s", o->initial && *o->initial ? o->initial : nothing);
        if (o->type == OPTION_INT || o->type == OPTION_SIZE || o->type == OPTION_DURATION) {
            char min[CLOCK_TEXT_BYTES], max[CLOCK_TEXT_BYTES];
            format_number(o->type, o->min, min);
            format_number(o->type, o->max, max);
            fprintf(out, ", from %s to %s", min, max);
        }
        fprintf(out, ")\n        %s\n", o->help);
    }
}

static bool options_shown(const struct options_context *c, const char *program, int argc,
                          char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            options_help(c->table, c->count, program, stdout);
            return true;
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("%s %s\n", program, ESS_VERSION);
            return true;
        }
    }
    return false;
}

enum options_result options_load(const struct option *table, size_t count, void *target,
                                 const char *program, int argc, char **argv, char **environment,
                                 void (*unknown_variable)(const char *), struct error *err) {
    const struct options_context c = {.table = table, .count = count, .target = target};
    const char *path, *named_by;
    if (options_shown(&c, program, argc, argv))
        return OPTIONS_SHOWN;
    if (set_defaults(&c, err) || find_file(argc, argv, environment, &path, &named_by, err) ||
        (path && options_read_file(&c, path, named_by, err)) ||
        read_environment(&c, environment, unknown_variable, err) ||
        read_arguments(&c, argc, argv, err))
        return OPTIONS_BAD;
    return OPTIONS_READY;
}
