/* A small YAML file as a tree of json-c, with the line of each value. Strict, as for files that
 * people write by hand: anchors, aliases, tags, further documents, a name given twice and U+0000
 * are refused, and so is what is nested too deeply (libyaml has no limit of its own). Plain scalars
 * are read by YAML 1.2's core schema. Pure, any thread. */
#ifndef ESS_MODEL_YAML_H
#define ESS_MODEL_YAML_H

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
 * values' values: a mapping of lists of texts is 3 deep. Returns 0, or -1 with "<line>: <reason>",
 * and then there is nothing to free. */
int yaml_read(struct yaml *yaml, struct span text, size_t bytes_max, unsigned depth_max,
              struct error *err);

/* Where a value stands, from 1; of one that is not there, where what it would be in stands. */
size_t yaml_line(const struct yaml *yaml, const char *path);

void yaml_fini(struct yaml *yaml);

#endif
