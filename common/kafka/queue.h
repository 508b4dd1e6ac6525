/* A librdkafka queue on the loop: events wake epoll through an eventfd, without polling. Only
 * common/kafka includes this. */
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
    void (*event)(void *arg,
                  rd_kafka_event_t *event); /* the queue destroys the event after the call */
    void (*emptied)(void *arg); /* the queue is empty; may be set after kafka_queue_open */
    void *arg;
};

/* Opens the descriptor for kafka_queue_open. Returns 0 or -1. */
int kafka_queue_reserve(struct kafka_queue *q, struct error *err);
/* Closes the descriptor if the queue is not opened after all. */
void kafka_queue_unreserve(struct kafka_queue *q);
/* Takes over the queue. `q` is reserved. Loop thread. */
void kafka_queue_open(struct kafka_queue *q, struct loop *loop, rd_kafka_queue_t *queue,
                      void (*event)(void *, rd_kafka_event_t *), void *arg);
/* Delivers all queued events now, without waiting for the loop. */
void kafka_queue_drain(struct kafka_queue *q);
/* Call before destroying the handle; zeroes `q`. Does nothing on a closed queue. May be called from
 * `event`. */
void kafka_queue_close(struct kafka_queue *q);

#endif
