/* Topics for the dispatcher's own credentials; see sns_grant.h. */
#include "common/model/sns_grant.h"

#include <string.h>

#include "common/model/sns_target.h"

#define DIGITS "0123456789"

static bool sns_grant_is_account(const char *item) {
    return strlen(item) == 12 && strspn(item, DIGITS) == 12;
}

int sns_grant_check(const char *item, struct error *err) {
    const char *star = strchr(item, '*');
    if (sns_grant_is_account(item) || (strncmp(item, "arn:", 4) == 0 && (!star || !star[1])))
        return 0;
    return error_set(err,
                     "'%s' is not an account of 12 digits, a topic's ARN, or the beginning of ARNs "
                     "such as arn:aws:sns:us-east-1:123456789012:ess-*",
                     item);
}

bool sns_grant_covers(const char *item, const struct sns_target *target) {
    size_t len = strlen(item);
    if (target->endpoint)
        return false;
    if (sns_grant_is_account(item))
        return strcmp(item, target->account) == 0;
    return item[len - 1] == '*' ? strncmp(item, target->topic_arn, len - 1) == 0
                                : strcmp(item, target->topic_arn) == 0;
}
