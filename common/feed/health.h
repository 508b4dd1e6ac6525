/* Whether the tail can be believed: it is held against the log's end, which the leader is asked for
 * every few seconds, by a way that works although fetches fail. Loop thread only. */
#ifndef ESS_FEED_HEALTH_H
#define ESS_FEED_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"

struct feed;
struct offsets_question;

struct feed_health {
    struct feed *feed;
    struct loop_timer look;
    struct offsets_question *question; /* under way */
    bool suspected;  /* a fetch told of an end below what was read; the leader is being asked */
    int64_t end;     /* the highest cursor that the leader has told of; -1: none */
    int64_t told_ms; /* when it told of one, or the tail heard of it */
    int64_t
        behind_ms; /* since when the tail has not moved although it is behind `end`; 0: it is not */
    int64_t said_ms;   /* when `trouble` was last said; 0: it is to be said */
    char fault[400];   /* of the fetches, lasting; "": none */
    char silence[200]; /* why the leader does not tell its end */
    char trouble[480]; /* "": none */
};

void feed_health_init(struct feed_health *h, struct feed *feed);
void feed_health_fini(struct feed_health *h);

/* A fetch failed, and will again. True: it did not before. */
bool feed_health_failed(struct feed_health *h, const char *reason);
/* A fetch says that the log ends below a cursor that was read. A leader that was just elected, or
 * has just started, says that for a moment before its high watermark has caught up, so the leader
 * is asked for the log's end, which it answers only when it is sure (KIP-207). The feed breaks when
 * the end is below. */
void feed_health_suspect(struct feed_health *h);
/* The tail has got something. */
void feed_health_moved(struct feed_health *h);

#endif
