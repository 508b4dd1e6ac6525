/* A librdkafka queue on the loop; see queue.h. By rd_kafka_queue_io_event_enable. */
#include "common/kafka/queue.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS_A_TURN = 200 }; /* half a millisecond of records; then other events get a turn */

static void queue_wake(struct kafka_queue *q) {
    uint64_t one = 1;
    if (write(q->wake_fd, &one, sizeof one) < 0)
        return; /* EAGAIN: already awake */
}

/* Returns false when more may be left. */
static bool queue_drain(struct kafka_queue *q) {
    for (int i = 0; i < EVENTS_A_TURN; i++) {
        rd_kafka_event_t *event = q->queue ? rd_kafka_queue_poll(q->queue, 0) : NULL;
        if (!event) {
            if (q->queue && q->emptied)
                q->emptied(q->arg);
            return true;
        }
        q->event(q->arg, event);
        rd_kafka_event_destroy(event);
    }
    return false;
}

static void queue_on_ready(void *arg, uint32_t events) {
    struct kafka_queue *q = arg;
    uint64_t count;
    (void)events;
    if (read(q->wake_fd, &count, sizeof count) < 0)
        count = 0;
    if (!queue_drain(q))
        queue_wake(q); /* librdkafka signals only when an empty queue fills */
}

void kafka_queue_drain(struct kafka_queue *q) {
    if (!queue_drain(q))
        queue_wake(q);
}

int kafka_queue_reserve(struct kafka_queue *q, struct error *err) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return error_set(err, "no descriptor for a Kafka handle: %s", strerror(errno));
    q->wake_fd = fd;
    return 0;
}

void kafka_queue_unreserve(struct kafka_queue *q) {
    if (q->wake_fd > 0)
        close(q->wake_fd);
    q->wake_fd = 0;
}

void kafka_queue_open(struct kafka_queue *q, struct loop *loop, rd_kafka_queue_t *queue,
                      void (*event)(void *, rd_kafka_event_t *), void *arg) {
    static const uint64_t one = 1;
    *q = (struct kafka_queue){
        .loop = loop, .queue = queue, .event = event, .arg = arg, .wake_fd = q->wake_fd};
    loop_io_set(loop, &q->io, q->wake_fd, EPOLLIN, queue_on_ready, q);
    rd_kafka_queue_io_event_enable(queue, q->wake_fd, &one, sizeof one);
    queue_wake(q); /* for earlier events */
}

void kafka_queue_close(struct kafka_queue *q) {
    if (!q->queue)
        return;
    rd_kafka_queue_io_event_enable(q->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(q->queue);
    q->queue = NULL;
    loop_io_clear(q->loop, &q->io);
    close(q->wake_fd);
    q->wake_fd = 0;
}
