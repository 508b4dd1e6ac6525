/* Random numbers for jitter and for ids that need not be secret (splitmix64). */
#ifndef ESS_BASE_RANDOM_H
#define ESS_BASE_RANDOM_H

#include <stdint.h>

/* 64 random bits. The first state may be any number. */
uint64_t random_next(uint64_t *state);

#endif
