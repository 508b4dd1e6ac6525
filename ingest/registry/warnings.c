/* What is odd about a valid spec; see warnings.h. */
#include "ingest/registry/warnings.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/json/writer.h"
#include "common/model/tls_identity.h"

/* Each puts a sentence, or nothing. */
static void warnings_of_filter(const struct spec *spec, struct buf *out) {
    const char *reason = subscription_hopeless(&spec->subscription);
    if (reason)
        buf_printf(out, "filter: %s", reason);
}

static void warnings_of_certificate(const struct spec *spec, struct buf *out) {
    if (spec->tls)
        tls_identity_warning(spec->tls, clock_wall_ms(), out);
}

static const struct {
    const char *event;
    void (*put)(const struct spec *spec, struct buf *out);
} kinds[] = {{"filter_matches_nothing", warnings_of_filter},
             {"certificate_expires", warnings_of_certificate}};

/* Adds the warning of one kind, if the spec has it. Returns whether the list has begun. */
static bool warnings_add(size_t kind, const struct spec *spec, bool logs, bool begun,
                         struct buf *out) {
    struct buf text = {0};
    kinds[kind].put(spec, &text);
    if (text.len && logs)
        log_warn(kinds[kind].event, LOG_S("subscriber", spec->id),
                 LOG_S("reason", buf_string(&text)));
    if (text.len && out) {
        if (!begun)
            json_member_list(out, "warnings");
        begun = true;
        json_put_string(out, buf_string(&text));
    }
    buf_fini(&text);
    return begun;
}

static void warnings_put_all(const struct spec *spec, bool logs, struct buf *out) {
    bool begun = false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        begun = warnings_add(i, spec, logs, begun, out);
    if (begun)
        json_end_list(out);
}

void warnings_put(const struct spec *spec, struct buf *out) { warnings_put_all(spec, true, out); }

void warnings_show(const struct spec *spec, struct buf *out) { warnings_put_all(spec, false, out); }
