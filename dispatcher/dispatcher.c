/* What every part of ess-dispatcher may ask of the whole: start over, give up, a random number; see
 * dispatcher.h. Calls none of these parts. */
#include "dispatcher/dispatcher.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/random.h"

enum { REFUSED_STATUS = 1 };

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

uint64_t dispatcher_random(struct dispatcher *d) { return random_next(&d->random); }

void dispatcher_refuse(struct dispatcher *d, const char *event, const char *reason) {
    log_error(event, LOG_S("reason", reason));
    d->exit_status = REFUSED_STATUS;
    d->stopping = true;
    loop_stop(d->loop);
}

void dispatcher_start_over(struct dispatcher *d, const char *reason) {
    if (d->stopping || d->starting_over || d->restart_due.slot)
        return;
    int64_t now_ms = clock_ms();
    log_error("start_over", LOG_S("reason", reason),
              LOG_N("pause_ms", pause_until(&d->restarts, now_ms) - now_ms));
    loop_timer_set(d->loop, &d->restart_due, clock_ms());
}

enum { BAD_RECORDS_PERIOD_MS = 60 * 1000, BAD_RECORDS_SAID_MAX = 20 };

void dispatcher_bad_record(struct dispatcher *d, const char *topic, int32_t partition,
                           int64_t offset, const char *id, const char *reason) {
    int64_t held_back;
    d->bad_records++;
    if (log_burst_pass(&d->bad_records_said, clock_ms(), BAD_RECORDS_PERIOD_MS,
                       BAD_RECORDS_SAID_MAX, &held_back))
        log_error("bad_record", LOG_S("topic", topic), LOG_N("partition", partition),
                  LOG_N("offset", offset), LOG_S("subscriber", id), LOG_S("reason", reason),
                  LOG_N("held_back", held_back));
}
