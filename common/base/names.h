/* A list of names, such as those of an enum's values. */
#ifndef ESS_BASE_NAMES_H
#define ESS_BASE_NAMES_H

#include <stddef.h>
#include <string.h>

/* The position of `name` in the list, or -1. */
static inline int names_find(const char *const *names, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

#endif
