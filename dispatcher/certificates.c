/* Client certificates; see certificates.h. */
#include "dispatcher/certificates.h"

#include "common/base/clock.h"
#include "common/model/tls_identity.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/subscriber/subscriber.h"
#include "dispatcher/subscriber/subscribers.h"

enum { EVERY_MS = 5000, LOG_PERIOD_MS = 24 * 60 * 60 * 1000 };

/* NULL: it has no certificate. */
static const struct tls_identity *certificates_of(const struct subscriber *s) {
    const struct tls_identity *tls = s->running ? s->record.spec.tls : NULL;
    return tls && tls->not_after_ms ? tls : NULL;
}

static void certificates_look_at(struct subscriber *s) {
    struct buf reason = {0};
    int64_t held_back;
    const struct tls_identity *tls = certificates_of(s);
    if (tls && tls_identity_warning(tls, clock_wall_ms(), &reason) &&
        log_limit_pass(&s->certificate, clock_ms(), LOG_PERIOD_MS, &held_back))
        log_warn("certificate_expires", LOG_S("subscriber", s->id),
                 LOG_S("reason", buf_string(&reason)));
    buf_fini(&reason);
}

static void certificates_on_due(void *arg) {
    struct dispatcher *d = arg;
    for (struct subscriber *s = subscribers_first(d->subscribers); s; s = s->hh.next)
        certificates_look_at(s);
    loop_timer_set(d->service.loop, &d->certificates_due, clock_ms() + EVERY_MS);
}

void certificates_begin(struct dispatcher *d) {
    loop_timer_init(&d->certificates_due, certificates_on_due, d);
    loop_timer_set(d->service.loop, &d->certificates_due, clock_ms() + EVERY_MS);
}

void certificates_metrics(const struct dispatcher *d, struct buf *out) {
    struct buf labels = {0};
    const int64_t wall_ms = clock_wall_ms();
    metrics_family(out, "ess_certificate_expires_seconds", "gauge",
                   "Until a subscriber's client certificate expires; negative: it has expired.");
    for (struct subscriber *s = subscribers_first(d->subscribers); s; s = s->hh.next) {
        const struct tls_identity *tls = certificates_of(s);
        if (!tls)
            continue;
        buf_clear(&labels);
        metrics_label(&labels, "subscriber", s->id);
        metrics_value(out, "ess_certificate_expires_seconds", buf_string(&labels),
                      (double)(tls->not_after_ms - wall_ms) / 1000);
    }
    buf_fini(&labels);
}
