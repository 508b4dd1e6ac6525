/* The struct in which a member is embedded, from a pointer to that member. */
#ifndef ESS_BASE_CONTAINER_OF_H
#define ESS_BASE_CONTAINER_OF_H

#include <stddef.h>

#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

#endif
