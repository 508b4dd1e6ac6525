/* The newest commands of a subscriber; see command_ring.h. */
#include "ingest/registry/command_ring.h"

#include <stdlib.h>

#include "common/base/buf.h"

void command_ring_fini(struct command_ring *ring) {
    free(ring->offsets);
    *ring = (struct command_ring){0};
}

void command_ring_note(struct command_ring *ring, int64_t offset) {
    if (!ring->offsets)
        ring->offsets = mem_zero(COMMAND_RING_SIZE * sizeof *ring->offsets);
    ring->offsets[ring->count++ % COMMAND_RING_SIZE] = offset;
}

int64_t command_ring_oldest(const struct command_ring *ring) {
    return ring->count < COMMAND_RING_SIZE ? -1 : ring->offsets[ring->count % COMMAND_RING_SIZE];
}
