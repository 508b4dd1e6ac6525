/* Readers parked at the log's end until a wanted event arrives. An index of topic patterns finds
 * them, so an event costs only the matching readers. Loop thread only. */
#ifndef ESS_INGEST_PARKED_READERS_H
#define ESS_INGEST_PARKED_READERS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/feed/record.h"
#include "common/model/match.h"

struct parked_readers;

/* Embedded in a reader; all zero at first except `wake` and `arg`. */
struct parked_reader {
    /* Called with the cursor of the first wanted event since parked_readers_park. Called from the
     * loop soon after the append, never from within a function of parked_readers. */
    void (*wake)(void *arg, int64_t cursor);
    void *arg;
    /* private to parked_readers.c */
    struct match_member member;
    const struct subscription *subscription; /* the one that was added */
    bool parked, woken;
    int64_t cursor;
    struct parked_reader *prev, *next; /* list of woken readers */
};

struct parked_readers *parked_readers_new(struct loop *loop);
/* Every reader must have been removed. NULL is allowed. */
void parked_readers_free(struct parked_readers *parked);

/* Adds the reader to the index; `subscription` must live as long. The reader is not parked yet. */
void parked_readers_add(struct parked_readers *parked, struct parked_reader *reader,
                        const struct subscription *subscription);
/* Removes the reader. No wake follows. */
void parked_readers_remove(struct parked_readers *parked, struct parked_reader *reader);

/* Parks the reader: the next wanted event wakes it. */
void parked_readers_park(struct parked_reader *reader);

/* Call for each event that the tail has read. */
void parked_readers_appended(struct parked_readers *parked, const struct feed_event *event);

#endif
