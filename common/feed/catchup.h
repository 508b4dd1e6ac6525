/* The feed's second consumer: jumps to where readers wait behind the tail, and fills chunks there.
 */
#ifndef ESS_FEED_CATCHUP_H
#define ESS_FEED_CATCHUP_H

#include "common/feed/feed.h"

struct chunk;
struct consumer;

struct catchup {
    struct feed *feed;
    struct consumer *consumer;  /* made at the first need */
    struct feed_reader waiting; /* the ends of a ring of waiting readers */
    struct chunk *building;     /* NULL: idle */
    size_t bytes;               /* or when it takes so much */
    int64_t stop;               /* the chunk being built ends here at the latest */
    int64_t next;               /* the consumer's next offset; -1: it reads nothing */
    unsigned in_sequence;       /* chunks since the last jump */
    bool halted;
    int64_t doubted; /* a record of another feed, on whose account the genesis record is being read;
                        -1: none */
    int64_t stray;   /* the last one that turned out to be alone in this feed; -1: none */
    unsigned ahead_left; /* chunks to be read ahead from where the consumer stands */
    int64_t ahead_from;  /* or from here; -1: nowhere */
};

void catchup_init(struct catchup *c, struct feed *feed);
void catchup_fini(struct catchup *c);

/* The reader's `ready` is called once the cursor right above `position` is in memory. */
void catchup_wait(struct catchup *c, struct feed_reader *reader, int64_t position);
void catchup_forget(struct feed_reader *reader);

/* Somebody reads on towards this position, which is not in memory: chunks from there are built when
 * nobody waits. */
void catchup_ahead(struct catchup *c, int64_t position);

/* Nothing is read before catchup_go_on: the log may be another. */
void catchup_halt(struct catchup *c);
void catchup_go_on(struct catchup *c);

/* Memory of the chunk that is being built. */
size_t catchup_bytes(const struct catchup *c);

#endif
