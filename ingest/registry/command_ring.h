/* The offsets of a subscriber's newest commands, to bound how many commands wait for a dispatcher.
 * Embedded; all zero is empty. */
#ifndef ESS_INGEST_COMMAND_RING_H
#define ESS_INGEST_COMMAND_RING_H

#include <stdint.h>

enum { COMMAND_RING_SIZE = 100 };

struct command_ring {
    int64_t *offsets; /* NULL while empty */
    uint64_t count;   /* commands noted so far */
};

void command_ring_fini(struct command_ring *ring);
void command_ring_note(struct command_ring *ring, int64_t offset);
/* Offset of the command COMMAND_RING_SIZE - 1 before the newest one; -1: fewer commands so far. */
int64_t command_ring_oldest(const struct command_ring *ring);

#endif
