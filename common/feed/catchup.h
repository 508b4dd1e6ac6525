/* The feed's second consumer: jumps to positions of readers behind the tail, and fills chunks
 * there. */
#ifndef ESS_FEED_CATCHUP_H
#define ESS_FEED_CATCHUP_H

#include "common/feed/feed.h"

struct chunk;
struct consumer;

struct catchup {
    struct feed *feed;
    struct consumer *consumer;  /* made at first need */
    struct feed_reader waiting; /* ends of a ring of waiting readers */
    struct chunk *building;     /* NULL: idle */
    size_t bytes;               /* or at this size */
    int64_t stop;               /* latest end of the current chunk */
    int64_t next;               /* the consumer's next offset; -1: idle */
    unsigned in_sequence;       /* chunks since the last jump */
    bool halted;
    /* A record of another feed, while the genesis record is being read to judge it; -1: none. */
    int64_t doubted;
    /* The last record found to be foreign in this feed; -1: none. */
    int64_t stray;
    unsigned ahead_left; /* chunks to read ahead of the consumer */
    int64_t ahead_from;  /* or from here; -1: nowhere */
};

void catchup_init(struct catchup *c, struct feed *feed);
void catchup_fini(struct catchup *c);

/* Calls the reader's `ready` once the cursor right above `position` is in memory. */
void catchup_wait(struct catchup *c, struct feed_reader *reader, int64_t position);
void catchup_forget(struct feed_reader *reader);

/* Announces a reader that will reach `position`, which is not in memory: chunks there are built
 * when no reader waits. */
void catchup_ahead(struct catchup *c, int64_t position);

/* Reads nothing before catchup_go_on: the log may have been replaced. */
void catchup_halt(struct catchup *c);
void catchup_go_on(struct catchup *c);

/* Memory of the chunk being built. */
size_t catchup_bytes(const struct catchup *c);

#endif
