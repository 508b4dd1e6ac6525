/* Whether the tail can be trusted: every second, asks the leader for the log's end, and compares it
 * with the tail. The question works while fetches fail. Loop thread only. */
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
    struct offsets_question *question; /* in flight */
    bool suspected; /* a fetch reported an end below a cursor that was read; the leader is asked */
    int64_t asked_at;  /* the tail's end when the leader was asked: an intact log does not end below
                          it */
    int64_t end;       /* the highest cursor reported by the leader; -1: none */
    int64_t told_ms;   /* when the leader or the tail last reported */
    int64_t behind_ms; /* since when the tail stands still behind `end`; 0: moving */
    int64_t said_ms;   /* when `trouble` was reported; 0: unreported */
    char fault[400];   /* lasting fault of fetches, or "" */
    char silence[200]; /* why the leader does not answer */
    char trouble[480]; /* "" while healthy */
};

void feed_health_init(struct feed_health *h, struct feed *feed);
void feed_health_fini(struct feed_health *h);

/* A fetch failed, and will fail again. Returns true for a new fault. */
bool feed_health_failed(struct feed_health *h, const char *reason);
/* Call when a fetch reports that the log ends below a cursor that was read. A leader that has just
 * been elected or started may report this until its high watermark has caught up. So the leader is
 * asked for the log's end, which it answers only when sure (KIP-207). The feed breaks if that end
 * is below what was read before the question. */
void feed_health_suspect(struct feed_health *h);
/* The tail received records. */
void feed_health_moved(struct feed_health *h);

#endif
