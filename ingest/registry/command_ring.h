/* The offsets of the newest commands to one subscriber: whether more of them wait for a dispatcher
 * than may. Embedded; all zero is empty. */
#ifndef ESS_INGEST_COMMAND_RING_H
#define ESS_INGEST_COMMAND_RING_H

#include <stdint.h>

enum { COMMAND_RING_SIZE = 100 };

struct command_ring {
    int64_t *offsets; /* NULL: none so far */
    uint64_t count;   /* of all that were noted */
};

void command_ring_fini(struct command_ring *ring);
void command_ring_note(struct command_ring *ring, int64_t offset);
/* Offset of the command COMMAND_RING_SIZE - 1 before the newest one; -1: there were not so many. */
int64_t command_ring_oldest(const struct command_ring *ring);

#endif
