/* Waits until Kafka answers and its topics are right: the beginning of both services. Loop thread;
 * does not block. */
#ifndef ESS_FEED_BEGIN_H
#define ESS_FEED_BEGIN_H

#include <stdbool.h>

#include "common/base/loop.h"
#include "common/feed/genesis.h"

struct offsets;

struct feed_begin_options {
    const struct kafka_config *kafka;
    bool create;             /* make what is missing */
    int64_t window_ms;       /* 0: genesis.recent is not asked for; else it is asked by */
    struct offsets *offsets; /* these */
    /* Each is given what it is called for; the texts are valid until it returns. */
    void (*waiting)(void *arg,
                    const char *reason); /* when it does not go at once, and then once a minute */
    void (*warning)(void *arg, const char *reason); /* for each setting of a topic that differs */
    void (*refused)(void *arg,
                    const char *reason); /* an operator must mend it; nothing more is tried */
    void (*ready)(void *arg, const struct genesis *genesis);
    void *arg;
};

struct feed_begin;

/* Tries until one of refused and ready is called. Then, or to end it, feed_begin_free. */
struct feed_begin *feed_begin_new(struct loop *loop, const struct feed_begin_options *options);
/* No callback comes after this. May be called from one. */
void feed_begin_free(struct feed_begin *begin);

#endif
