/* What every part of ess-dispatcher may ask of the whole; see dispatcher.h. Calls none of these
 * parts. */
#include "dispatcher/dispatcher.h"

#include "common/base/clock.h"
#include "common/base/random.h"

static void on_slots_due(void *arg) {
    struct dispatcher *d = arg;
    slots_serve(&d->slots);
}

static void serve_soon(void *arg) {
    struct dispatcher *d = arg;
    loop_timer_set(d->service.loop, &d->slots_due, clock_ms());
}

void dispatcher_init_slots(struct dispatcher *d) {
    loop_timer_init(&d->slots_due, on_slots_due, d);
    slots_init(&d->slots, d->service.settings.dispatcher.max_connections, serve_soon, d);
    fault_init(d);
}

uint64_t dispatcher_random(struct dispatcher *d) { return random_next(&d->random); }
