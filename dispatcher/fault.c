/* Our own faults; see fault.h. */
#include "dispatcher/fault.h"

#include "common/base/clock.h"
#include "common/http/metrics.h"
#include "dispatcher/dispatcher.h"

enum {
    PAUSE_MIN_MS = 100,
    PAUSE_MAX_MS = 10000,
    HOLD_MIN_MS = 1000,
    HOLD_MAX_MS = 10000,
    PROXY_MAX_MS = 2000, /* of a pause and of a hold: deliveries resume soon after the proxy */
    QUIET_MS = 30000,    /* held senders all try again sooner */
    LOG_PERIOD_MS = 30000
};

static const struct {
    const char *label, *reason;
} kinds[FAULTS] = {
    [FAULT_DESCRIPTORS] =
        {"kind=\"descriptors\"",
         "no file descriptor is left: raise the limit of open files (LimitNOFILE, ulimit -n)"},
    [FAULT_PORTS] =
        {"kind=\"ports\"",
         "no local port is left for a new connection: widen net.ipv4.ip_local_port_range"},
    [FAULT_MEMORY] =
        {"kind=\"memory\"",
         "no memory is left for a new connection: give the process or the machine more"},
    [FAULT_ROUTE] = {"kind=\"route\"",
                     "this machine has no route to the outside: check the network"},
    [FAULT_NAMES] = {"kind=\"names\"",
                     "no name server answers: check the servers of egress.dns or /etc/resolv.conf"},
    [FAULT_CA] = {"kind=\"ca\"", "egress.ca_file cannot be read: put it back"},
    [FAULT_PROXY] =
        {"kind=\"proxy\"",
         "the proxy of egress.proxy cannot be reached or does not answer: bring it back"},
    [FAULT_PROXY_LOGIN] =
        {"kind=\"proxy_login\"",
         "the proxy of egress.proxy refuses to log ESS in: check the user and password"},
    [FAULT_PROXY_TLS] =
        {"kind=\"proxy_tls\"",
         "TLS to the proxy of egress.proxy fails: check its certificate, and egress.ca_file"},
    [FAULT_PROXY_GATEWAY] =
        {"kind=\"proxy_gateway\"",
         "the proxy of egress.proxy does not get through to the endpoint: check "
         "the network behind the proxy"},
};

static int64_t fault_limit_ms(enum fault_kind kind, int64_t otherwise_ms) {
    return fault_is_proxys(kind) ? PROXY_MAX_MS : otherwise_ms;
}

static void fault_on_probe_due(void *arg) {
    struct dispatcher *d = arg;
    struct fault *f = &d->fault;
    int64_t most_ms = fault_limit_ms(f->kind, PAUSE_MAX_MS);
    f->pause_ms = f->pause_ms * 2 < most_ms ? f->pause_ms * 2 : most_ms;
    loop_timer_set(d->service.loop, &f->probe, clock_ms() + f->pause_ms);
    slots_probe(&d->slots);
}

/* Opens the slots again. */
static void fault_open(struct dispatcher *d) {
    struct fault *f = &d->fault;
    if (!f->probe.slot)
        return;
    loop_timer_clear(d->service.loop, &f->probe);
    slots_close(&d->slots, false);
}

static void fault_end(struct dispatcher *d) {
    struct fault *f = &d->fault;
    fault_open(d);
    loop_timer_clear(d->service.loop, &f->quiet);
    log_info("deliveries_go_on", LOG_S("after", kinds[f->kind].reason));
    f->kind = FAULT_NONE;
}

/* No attempt has met the fault for a while and no attempt is under way. With nothing left to
 * send, nobody would ever prove the end of the fault. */
static void fault_on_quiet(void *arg) {
    struct dispatcher *d = arg;
    if (d->slots.in_flight)
        loop_timer_set(d->service.loop, &d->fault.quiet, clock_ms() + QUIET_MS);
    else
        fault_end(d);
}

void fault_init(struct dispatcher *d) {
    loop_timer_init(&d->fault.probe, fault_on_probe_due, d);
    loop_timer_init(&d->fault.quiet, fault_on_quiet, d);
}

static void fault_begin(struct dispatcher *d, enum fault_kind kind, const char *error) {
    struct fault *f = &d->fault;
    int64_t held_back, now_ms = clock_ms();
    f->kind = kind;
    loop_timer_set(d->service.loop, &f->quiet, now_ms + QUIET_MS);
    if (log_limit_pass(&f->log, now_ms, LOG_PERIOD_MS, &held_back))
        log_warn("deliveries_held_up", LOG_S("reason", kinds[kind].reason), LOG_S("error", error),
                 LOG_N("held_back", held_back));
    slots_close(&d->slots, true);
    if (f->probe.slot)
        return;
    f->pause_ms = PAUSE_MIN_MS;
    loop_timer_set(d->service.loop, &f->probe, now_ms + f->pause_ms);
}

/* An attempt got through. Only a new connection proves the end of the fault. */
static void fault_pass(struct dispatcher *d, bool connected) {
    fault_open(d);
    if (d->fault.kind && connected)
        fault_end(d);
}

void fault_note(struct dispatcher *d, const struct outcome *outcome) {
    d->fault.count[outcome->fault]++;
    if (!outcome->fault)
        fault_pass(d, outcome->connected);
    else if (!outcome->alone)
        fault_begin(d, outcome->fault, outcome->error);
}

int64_t fault_hold_ms(enum fault_kind kind, int64_t number) {
    int64_t hold_ms = HOLD_MIN_MS, most_ms = fault_limit_ms(kind, HOLD_MAX_MS);
    for (int64_t i = 0; i < number && hold_ms < most_ms; i++)
        hold_ms *= 2;
    return hold_ms < most_ms ? hold_ms : most_ms;
}

const char *fault_reason_of(enum fault_kind kind) { return kinds[kind].reason; }

const char *fault_reason(const struct dispatcher *d) { return fault_reason_of(d->fault.kind); }

void fault_metrics(const struct dispatcher *d, struct buf *out) {
    metrics_family(out, "ess_own_faults_total", "counter",
                   "Attempts called off for a fault of this process or machine, by kind.");
    for (int kind = FAULT_NONE + 1; kind < FAULTS; kind++)
        metrics_value(out, "ess_own_faults_total", kinds[kind].label, (double)d->fault.count[kind]);
}
