/* Waits until Kafka answers and the topics are right: the start of both services. Loop thread; does
 * not block. */
#ifndef ESS_FEED_BEGIN_H
#define ESS_FEED_BEGIN_H

#include <stdbool.h>

#include "common/base/loop.h"
#include "common/feed/genesis.h"

struct offsets;

struct feed_begin_options {
    const struct kafka_config *kafka;
    bool create;             /* create missing topics */
    int64_t window_ms;       /* 0: do not look up genesis.recent; otherwise look it up by */
    struct offsets *offsets; /* these */
    /* Callbacks; texts are valid until the callback returns. */
    void (*waiting)(void *arg, const char *reason); /* after a failed try, then once a minute */
    void (*warning)(void *arg, const char *reason); /* per topic setting that differs */
    void (*refused)(void *arg, const char *reason); /* an operator must act; no further try */
    void (*ready)(void *arg, const struct genesis *genesis);
    void *arg;
};

struct feed_begin;

/* Tries until `refused` or `ready` is called. Call feed_begin_free then, or to stop. */
struct feed_begin *feed_begin_new(struct loop *loop, const struct feed_begin_options *options);
/* No callback follows. May be called from a callback. */
void feed_begin_free(struct feed_begin *begin);

#endif
