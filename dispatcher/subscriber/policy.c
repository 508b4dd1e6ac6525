/* A lane's policy; see policy.h. */
#include "dispatcher/subscriber/policy.h"

#include "common/model/spec.h"
#include "common/settings.h"
#include "dispatcher/channel/sns_message.h"

static int64_t policy_or_default(int64_t own, int64_t otherwise) {
    return own >= 0 ? own : otherwise;
}

static int64_t policy_smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* No more than a PublishBatch takes. */
static void policy_fit_sns(struct batch_limits *batch) {
    batch->max_events = policy_smaller(batch->max_events, SNS_ENTRIES_MAX);
    batch->max_bytes = policy_smaller(batch->max_bytes, SNS_BYTES_MAX);
}

struct lane_policy policy_of(const struct spec *spec, const struct settings *defaults) {
    struct lane_policy policy = {
        .pulled = spec_is_pulled(spec),
        .ordering = spec->ordering,
        .max_in_flight = spec->max_in_flight,
        .max_attempts = policy_or_default(spec->max_attempts, defaults->delivery.max_attempts),
        .backoff_min_ms = policy_or_default(spec->backoff_min_ms,
                                            defaults->delivery.backoff_min_ms),
        .backoff_max_ms = policy_or_default(spec->backoff_max_ms,
                                            defaults->delivery.backoff_max_ms),
        .disable_after_ms = policy_or_default(spec->disable_after_ms,
                                              defaults->delivery.disable_after_ms),
        .batch = spec->batch,
        .dead_letters_all = spec->dead_letters_all,
        .adaptive_per_sec = !spec->adaptive      ? 0
                            : spec->throttle > 0 ? spec->throttle
                                                 : ADAPTIVE_CEILING_PER_SEC,
    };
    if (spec->sns)
        policy_fit_sns(&policy.batch);
    if (policy.backoff_max_ms < policy.backoff_min_ms) /* one from the spec, one a default */
        policy.backoff_max_ms = policy.backoff_min_ms;
    return policy;
}
