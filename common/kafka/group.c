/* Membership in a consumer group; see group.h. A librdkafka consumer that fetches nothing: every
 * assignment gets an empty one. */
#include "common/kafka/group.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/kafka/handle.h"
#include "common/kafka/queue.h"

/* Only polling the queue counts for max.poll.interval.ms. */
enum { POLL_MS = 1000, LEAVING_POLL_MS = 20 };

struct group {
    struct loop *loop;
    struct group_options options;
    rd_kafka_t *rk;
    struct kafka_queue queue;
    struct kafka_queue leaving; /* set while leaving */
    struct loop_timer poll;
    bool revoked; /* and not yet released */
    bool has_left;
};

static void on_assign(struct group *g, const rd_kafka_topic_partition_list_t *list) {
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(1);
    int32_t *partitions = mem_zero(((size_t)list->cnt + 1) * sizeof *partitions);
    rd_kafka_assign(g->rk, none);
    rd_kafka_topic_partition_list_destroy(none);
    for (int i = 0; i < list->cnt; i++)
        partitions[i] = list->elems[i].partition;
    g->options.assigned(g->options.arg, partitions, list->cnt);
    free(partitions);
}

static void on_rebalance(struct group *g, rd_kafka_event_t *event) {
    if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        on_assign(g, rd_kafka_event_topic_partition_list(event));
        return;
    }
    g->revoked = true;
    if (g->leaving.queue)
        group_release(g);
    else
        g->options.revoked(g->options.arg, rd_kafka_assignment_lost(g->rk));
}

static void on_committed(struct group *g, rd_kafka_event_t *event) {
    const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
    bool granted = rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR && list &&
                   list->cnt == 1 && !list->elems[0].err;
    g->options.answered(g->options.arg, (uintptr_t)rd_kafka_event_opaque(event), granted);
}

static void group_on_error(struct group *g, rd_kafka_event_t *event) {
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    char reason[256] = "";
    if (rd_kafka_fatal_error(g->rk, reason, sizeof reason))
        g->options.failed(g->options.arg, true, reason);
    else if (!kafka_handle_recovers(code))
        g->options.failed(g->options.arg, false, rd_kafka_event_error_string(event));
}

static void group_on_event(void *arg, rd_kafka_event_t *event) {
    struct group *g = arg;
    rd_kafka_event_type_t type = rd_kafka_event_type(event);
    if (type == RD_KAFKA_EVENT_REBALANCE)
        on_rebalance(g, event);
    else if (type == RD_KAFKA_EVENT_OFFSET_COMMIT)
        on_committed(g, event);
    else if (type == RD_KAFKA_EVENT_ERROR)
        group_on_error(g, event);
}

void group_drain(struct group *g) {
    kafka_queue_drain(&g->queue);
    kafka_queue_drain(&g->leaving);
    if (!g->leaving.queue || g->has_left || !rd_kafka_consumer_closed(g->rk))
        return;
    g->has_left = true;
    loop_timer_clear(g->loop, &g->poll);
    g->options.left(g->options.arg);
}

static void poll_again(void *arg) {
    struct group *g = arg;
    loop_timer_set(g->loop, &g->poll, clock_ms() + (g->leaving.queue ? LEAVING_POLL_MS : POLL_MS));
    group_drain(g);
}

static int group_join(struct group *g, struct error *err) {
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, g->options.topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(g->rk, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return code ? error_set(err, "subscribe: %s", rd_kafka_err2str(code)) : 0;
}

struct group *group_new(struct loop *loop, const struct group_options *options, struct error *err) {
    char session[16];
    snprintf(session, sizeof session, "%d", GROUP_SESSION_MS);
    const struct kafka_setting settings[] = {
        {"group.id", options->group},
        {"session.timeout.ms", session},
        {"heartbeat.interval.ms", "500"},
        {"max.poll.interval.ms", "15000"},
        {"partition.assignment.strategy", "range"},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},
        {"socket.timeout.ms", session}, /* gives up an ask without an answer */
        {NULL, NULL},
    };
    struct group *g = mem_zero(sizeof *g);
    g->loop = loop;
    g->options = *options;
    loop_timer_init(&g->poll, poll_again, g);
    if (kafka_queue_reserve(&g->queue, err) || kafka_queue_reserve(&g->leaving, err) ||
        !(g->rk = kafka_handle_new(RD_KAFKA_CONSUMER, options->kafka, settings, err))) {
        group_free(g);
        return NULL;
    }
    rd_kafka_poll_set_consumer(g->rk);
    kafka_queue_open(&g->queue, loop, rd_kafka_queue_get_consumer(g->rk), group_on_event, g);
    loop_timer_set(loop, &g->poll, clock_ms() + POLL_MS);
    if (group_join(g, err) == 0)
        return g;
    group_free(g);
    return NULL;
}

int group_ask(struct group *g, int32_t partition, uint64_t ask) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, g->options.topic, partition)->offset = 0;
    /* The answer arrives on the consumer's queue, in order with rebalances. */
    rd_kafka_resp_err_t code = rd_kafka_commit_queue(g->rk, list, g->queue.queue, NULL,
                                                     (void *)(uintptr_t)ask);
    rd_kafka_topic_partition_list_destroy(list);
    return code ? -1 : 0;
}

void group_release(struct group *g) {
    if (!g->revoked)
        return;
    g->revoked = false;
    rd_kafka_assign(g->rk, NULL);
}

void group_leave(struct group *g) {
    if (g->leaving.queue)
        return;
    kafka_queue_open(&g->leaving, g->loop, rd_kafka_queue_new(g->rk), group_on_event, g);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(g->rk, g->leaving.queue);
    rd_kafka_error_destroy(error); /* already closed after a fatal error */
    group_release(g);
    loop_timer_set(g->loop, &g->poll, clock_ms());
}

void group_break(struct group *g) {
    rd_kafka_test_fatal_error(g->rk, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, "broken by a test");
}

void group_free(struct group *g) {
    if (!g)
        return;
    loop_timer_clear(g->loop, &g->poll);
    kafka_queue_close(&g->queue);
    kafka_queue_close(&g->leaving);
    kafka_queue_unreserve(&g->queue);
    kafka_queue_unreserve(&g->leaving);
    if (g->rk)
        kafka_handle_end(g->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(g);
}
