/* Random numbers for jitter and for ids that need not be secret (splitmix64). */
#ifndef ESS_BASE_RANDOM_H
#define ESS_BASE_RANDOM_H

#include <stdint.h>

/* 64 random bits; any state will do to begin with. */
uint64_t random_next(uint64_t *state);

#endif
