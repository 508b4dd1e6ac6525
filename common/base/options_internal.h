/* Shared by options.c and options_file.c. */
#ifndef ESS_BASE_OPTIONS_INTERNAL_H
#define ESS_BASE_OPTIONS_INTERNAL_H

#include <stdbool.h>

#include "common/base/options.h"

struct options_context {
    const struct option *table;
    size_t count;
    void *target;
};

/* Finds an option by name. `below` gets the rest of the name, for a map. Returns NULL for an
 * unknown name. */
const struct option *option_find(const struct options_context *c, const char *name,
                                 const char **below);
/* Whether some option's name begins with `name` and a dot. */
bool option_is_section(const struct options_context *c, const char *name);
/* Return -1 with the reason, without the place. */
int option_unknown(const struct options_context *c, const char *name, struct error *err);
int option_set(const struct options_context *c, const char *name, const char *text,
               struct error *err);
int option_set_list(const struct options_context *c, const char *name,
                    const struct option_list *items, struct error *err);

/* Sets the options in a YAML file. Errors name file, line and option; for an unreadable file,
 * `named_by`. */
int options_read_file(const struct options_context *c, const char *path, const char *named_by,
                      struct error *err);

#endif
