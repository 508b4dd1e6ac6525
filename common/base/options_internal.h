/* What options.c and options_file.c share. */
#ifndef ESS_BASE_OPTIONS_INTERNAL_H
#define ESS_BASE_OPTIONS_INTERNAL_H

#include <stdbool.h>

#include "common/base/options.h"

struct options_context {
    const struct option *table;
    size_t count;
    void *target;
};

/* The option of that name; `below` is the rest of the name for a map's. NULL when there is none. */
const struct option *option_find(const struct options_context *c, const char *name,
                                 const char **below);
/* Whether options' names begin with `name` and a dot. */
bool option_is_section(const struct options_context *c, const char *name);
/* Return -1 with the reason, without the place. */
int option_unknown(const struct options_context *c, const char *name, struct error *err);
int option_set(const struct options_context *c, const char *name, const char *text,
               struct error *err);
int option_set_list(const struct options_context *c, const char *name,
                    const struct option_list *items, struct error *err);

/* Sets what a YAML file says. Errors name file, line and option; or, when it cannot be read, what
 * named it. */
int options_read_file(const struct options_context *c, const char *path, const char *named_by,
                      struct error *err);

#endif
