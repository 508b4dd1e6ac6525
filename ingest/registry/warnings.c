/* What is odd about a valid spec; see warnings.h. */
#include "ingest/registry/warnings.h"

#include "common/base/log.h"
#include "common/json/writer.h"

void warnings_put(const struct spec *spec, struct buf *out) {
    struct buf text = {0};
    const char *reason = subscription_hopeless(&spec->subscription);
    if (!reason)
        return;
    log_warn("filter_matches_nothing", LOG_S("subscriber", spec->id), LOG_S("reason", reason));
    if (!out)
        return;
    buf_printf(&text, "filter: %s", reason);
    json_member_list(out, "warnings");
    json_put_string(out, buf_string(&text));
    json_end_list(out);
    buf_fini(&text);
}
