/* A librdkafka queue on the loop: its events wake the epoll through an eventfd, nothing is polled.
 * Only common/kafka includes this. */
#ifndef ESS_KAFKA_QUEUE_H
#define ESS_KAFKA_QUEUE_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

#include "common/base/error.h"
#include "common/base/loop.h"

struct kafka_queue {
    struct loop *loop;
    struct loop_io io;
    rd_kafka_queue_t *queue;
    int wake_fd;
    void (*event)(void *arg, rd_kafka_event_t *event); /* destroyed by the queue after the call */
    void (*emptied)(void *arg); /* nothing is left in it; NULL, unless set after kafka_queue_open */
    void *arg;
};

/* Opens the descriptor that kafka_queue_open takes. Returns 0 or -1. */
int kafka_queue_reserve(struct kafka_queue *q, struct error *err);
/* Gives it back when the queue is not opened after all. */
void kafka_queue_unreserve(struct kafka_queue *q);
/* Takes the queue over. `q` is reserved. Loop thread. */
void kafka_queue_open(struct kafka_queue *q, struct loop *loop, rd_kafka_queue_t *queue,
                      void (*event)(void *, rd_kafka_event_t *), void *arg);
/* Hands over now whatever is in it, without waiting for the loop. */
void kafka_queue_drain(struct kafka_queue *q);
/* Call before the handle is destroyed; `q` is then all zero. Does nothing on one that is not open.
 * May be called from `event`. */
void kafka_queue_close(struct kafka_queue *q);

#endif
