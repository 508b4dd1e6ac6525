/* A small YAML file as a json-c tree, with the line of each value. Strict, for files written by
 * hand: refuses anchors, aliases, tags, further documents, duplicate names, U+0000 and too deep
 * nesting (libyaml has no limit). Plain scalars follow YAML 1.2's core schema. Pure, any thread. */
#ifndef ESS_JSON_YAML_H
#define ESS_JSON_YAML_H

#include <stddef.h>

#include "common/base/error.h"
#include "common/base/span.h"

struct json_object;

struct yaml_place {
    char *path; /* "tokens[2].scopes" */
    size_t line;
};
struct yaml {
    struct json_object *root; /* an object */
    struct yaml_place *places;
    size_t places_count, places_max;
};

/* Reads a document, which must be a mapping. `depth_max` counts the outermost mapping and its
 * values' values: a mapping of lists of texts is 3 deep. Returns 0, or -1 with "<line>: <reason>"
 * and nothing to free. */
int yaml_read(struct yaml *yaml, struct span text, size_t bytes_max, unsigned depth_max,
              struct error *err);

/* The line of a value, from 1; of an absent value, the line of its parent. */
size_t yaml_line(const struct yaml *yaml, const char *path);

void yaml_fini(struct yaml *yaml);

#endif
