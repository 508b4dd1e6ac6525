/* What every part of ess-dispatcher may ask of the whole: is it ready, begin anew, give up; see
 * dispatcher.h. */
#include "dispatcher/dispatcher.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "dispatcher/ownership/partitions.h"
#include "dispatcher/startup.h"
#include "dispatcher/subscriber/subscribers.h"

enum { REFUSED_STATUS = 1, WRITE_MS = 2000, WRITE_LOOK_MS = 20 };

static struct loop_timer restart_timer;
static int64_t write_until_ms;

bool dispatcher_kafka_up(const struct dispatcher *d) {
    return d->kafka_up && !(d->feed && feed_trouble(d->feed));
}

bool dispatcher_ready(const struct dispatcher *d) {
    return dispatcher_kafka_up(d) && !producer_fault(d->producer) &&
           partitions_settled(d->partitions) && !partitions_trouble(d->partitions) &&
           !d->starting_over && !d->stopping;
}

static void on_capacity_due(void *arg) {
    struct dispatcher *d = arg;
    capacity_serve(&d->capacity);
}

static void serve_soon(void *arg) {
    struct dispatcher *d = arg;
    loop_timer_set(d->loop, &d->capacity_due, clock_ms());
}

void dispatcher_init_capacity(struct dispatcher *d) {
    loop_timer_init(&d->capacity_due, on_capacity_due, d);
    capacity_init(&d->capacity, d->settings.dispatcher.max_connections, serve_soon, d);
    fault_init(d);
}

uint64_t dispatcher_random(struct dispatcher *d) {
    uint64_t z = d->random += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

void dispatcher_refuse(struct dispatcher *d, const char *event, const char *reason) {
    log_error(event, LOG_S("reason", reason));
    d->exit_status = REFUSED_STATUS;
    d->stopping = true;
    loop_stop(d->loop);
}

/* Tokens say of which log they are: what they are to say of this one is in Kafka, if it can be,
 * before another is read. */
static void on_restart(void *arg) {
    struct dispatcher *d = arg;
    int64_t now_ms = clock_ms();
    if (d->stopping)
        return;
    if (!d->starting_over && d->subscribers) {
        subscribers_close(d->subscribers);
        subscribers_write(d->subscribers);
        write_until_ms = now_ms + WRITE_MS;
    }
    d->starting_over = true;
    if (d->tokens_pending && now_ms < write_until_ms) {
        loop_timer_set(d->loop, &restart_timer, now_ms + WRITE_LOOK_MS);
        return;
    }
    startup_undo(d);
    if (now_ms < d->restarts.until_ms) {
        loop_timer_set(d->loop, &restart_timer, d->restarts.until_ms);
        return;
    }
    d->starting_over = false;
    startup_begin(d);
}

void dispatcher_start_over(struct dispatcher *d, const char *reason) {
    if (d->stopping || d->starting_over || restart_timer.slot)
        return;
    int64_t now_ms = clock_ms();
    log_error("start_over", LOG_S("reason", reason),
              LOG_N("pause_ms", pause_until(&d->restarts, now_ms) - now_ms));
    loop_timer_init(&restart_timer, on_restart, d);
    loop_timer_set(d->loop, &restart_timer, clock_ms());
}
