/* The option sns.own_credentials: SNS topics to which clients may have ess-dispatcher publish with
 * the dispatcher's own credentials. An item is an account of 12 digits, a topic's ARN, or the
 * beginning of ARNs and a star. Pure, any thread. */
#ifndef ESS_MODEL_SNS_GRANT_H
#define ESS_MODEL_SNS_GRANT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"

struct sns_target;

/* Returns 0, or -1 with the reason. */
int sns_grant_check(const char *item, struct error *err);

/* Whether a checked item covers the target's topic, and the target's endpoint is AWS's own. Another
 * endpoint is never covered, since it would get a session token in clear. */
bool sns_grant_covers(const char *item, const struct sns_target *target);

#endif
