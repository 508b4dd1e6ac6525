/* An SNS topic as a subscriber's endpoint; see sns_target.h. The parts of the topic's ARN are
 * checked one by one, so that each mistake has its own reason. */
#include "common/model/sns_target.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/span.h"
#include "common/model/members.h"
#include "common/model/spec.h"
#include "common/net/url.h"

enum { ARN_BYTES_MAX = 512, NAME_BYTES_MAX = 256, REGION_BYTES_MAX = 32, KEY_BYTES_MAX = 256 };
enum { ARN_ARN, ARN_PARTITION, ARN_SERVICE, ARN_REGION, ARN_ACCOUNT, ARN_NAME, ARN_PARTS };

#define DIGITS "0123456789"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static const struct sns_partition {
    const char *name, *regions, *domain;
} partitions[] = {{"aws", "", "amazonaws.com"},
                  {"aws-cn", "cn-", "amazonaws.com.cn"},
                  {"aws-us-gov", "us-gov-", "amazonaws.com"}};

static bool sns_holds_only(struct span text, const char *characters) {
    for (size_t i = 0; i < text.len; i++)
        if (!text.data[i] || !strchr(characters, text.data[i]))
            return false;
    return text.len > 0;
}

static const struct sns_partition *sns_partition_find(struct span name) {
    for (size_t i = 0; i < sizeof partitions / sizeof *partitions; i++)
        if (span_equal(name, span_of(partitions[i].name)))
            return &partitions[i];
    return NULL;
}

/* The partition of the region; "aws" for a region outside of the known partitions. */
static const struct sns_partition *sns_partition_of_region(struct span region) {
    for (size_t i = 1; i < sizeof partitions / sizeof *partitions; i++) {
        struct span begin = span_of(partitions[i].regions);
        if (region.len > begin.len && memcmp(region.data, begin.data, begin.len) == 0)
            return &partitions[i];
    }
    return &partitions[0];
}

static bool sns_is_region(struct span region) {
    return region.len <= REGION_BYTES_MAX && sns_holds_only(region, LOWER DIGITS "-") &&
           region.data[0] != '-' && region.data[region.len - 1] != '-';
}

/* --- the topic's ARN */

/* Returns the number of parts. The last part holds all of the remaining text. */
static size_t sns_split(const char *arn, struct span parts[ARN_PARTS]) {
    size_t count = 0;
    while (count < ARN_PARTS) {
        size_t len = count == ARN_NAME ? strlen(arn) : strcspn(arn, ":");
        parts[count++] = (struct span){arn, len};
        if (!arn[len])
            break;
        arn += len + 1;
    }
    return count;
}

static int sns_check_name(struct sns_target *t, struct span name, struct error *err) {
    static const char fifo[] = ".fifo";
    enum { FIFO_BYTES = sizeof fifo - 1 };
    if (memchr(name.data, ':', name.len))
        return error_set_field(err, "sns.topic_arn",
                               "names a subscription of a topic, not a topic");
    t->fifo = name.len > FIFO_BYTES &&
              memcmp(name.data + name.len - FIFO_BYTES, fifo, FIFO_BYTES) == 0;
    struct span stem = {name.data, name.len - (t->fifo ? FIFO_BYTES : 0)};
    if (name.len <= NAME_BYTES_MAX && sns_holds_only(stem, LOWER UPPER DIGITS "_-"))
        return 0;
    return error_set_field(err, "sns.topic_arn",
                           "must end with a topic's name: at most %d letters, digits, _ and -, "
                           "followed by .fifo for a FIFO topic",
                           NAME_BYTES_MAX);
}

static int sns_check_arn(struct sns_target *t, struct span parts[ARN_PARTS], struct error *err) {
    const struct span partition = parts[ARN_PARTITION], service = parts[ARN_SERVICE],
                      region = parts[ARN_REGION], account = parts[ARN_ACCOUNT];
    if (!sns_partition_find(partition))
        return error_set_field(err, "sns.topic_arn",
                               "is of the partition \"%.*s\"; ESS knows aws, aws-cn and aws-us-gov",
                               (int)partition.len, partition.data);
    if (!span_equal(service, span_of("sns")))
        return error_set_field(err, "sns.topic_arn", "is of the service \"%.*s\", not of sns",
                               (int)service.len, service.data);
    if (!sns_is_region(region))
        return error_set_field(err, "sns.topic_arn", "has no region such as us-east-1");
    if (sns_partition_of_region(region) != sns_partition_find(partition))
        return error_set_field(err, "sns.topic_arn", "has a region of another partition");
    if (account.len != sizeof t->account - 1 || !sns_holds_only(account, DIGITS))
        return error_set_field(err, "sns.topic_arn", "has no account of 12 digits");
    memcpy(t->account, account.data, account.len);
    return sns_check_name(t, parts[ARN_NAME], err);
}

/* --- what follows from it */

static int sns_find_region(struct sns_target *t, struct span arns, struct error *err) {
    const struct span region = t->region ? span_of(t->region) : arns;
    if (!sns_is_region(region))
        return error_set_field(err, "sns.region", "must be a region such as us-east-1");
    if (sns_partition_of_region(region) != sns_partition_of_region(arns))
        return error_set_field(err, "sns.region", "is of another partition than topic_arn");
    t->signing_region = mem_copy_string(region.data, region.len);
    return 0;
}

/* Refuses a path: the signature covers the path, and AWS's own endpoints have no path. */
static int sns_check_endpoint(const struct sns_target *t, const struct spec_rules *rules,
                              struct error *err) {
    if (url_check("sns.endpoint", t->endpoint, rules->allowed, rules->allowed_count, err))
        return -1;
    const char *begin = t->endpoint + strlen("https://");
    begin += strcspn(begin, "/?");
    return strcmp(begin, "") == 0 || strcmp(begin, "/") == 0
               ? 0
               : error_set_field(err, "sns.endpoint", "must have no path and no query");
}

static int sns_find_url(struct sns_target *t, const struct spec_rules *rules, struct error *err) {
    struct buf url = {0};
    if (t->endpoint) {
        t->url = mem_copy_string(t->endpoint, strlen(t->endpoint));
        return sns_check_endpoint(t, rules, err);
    }
    buf_printf(&url, "https://sns.%s.%s", t->signing_region,
               sns_partition_of_region(span_of(t->signing_region))->domain);
    t->url = buf_detach(&url, NULL);
    return 0;
}

static int sns_check_credentials(const struct sns_target *t, struct error *err) {
    if (t->access_key_id && !t->secret_access_key)
        return error_set_field(err, "sns.secret_access_key", "is missing beside access_key_id");
    if (t->secret_access_key && !t->access_key_id)
        return error_set_field(err, "sns.access_key_id", "is missing beside secret_access_key");
    if (t->session_token && !t->access_key_id)
        return error_set_field(err, "sns.access_key_id", "is missing beside session_token");
    return 0;
}

static int sns_check(struct sns_target *t, const struct spec_rules *rules, struct error *err) {
    struct span parts[ARN_PARTS];
    if (!t->topic_arn)
        return error_set_field(err, "sns.topic_arn", "is missing");
    if (sns_split(t->topic_arn, parts) < ARN_PARTS || !span_equal(parts[ARN_ARN], span_of("arn")))
        return error_set_field(err, "sns.topic_arn",
                               "must be as in arn:aws:sns:us-east-1:123456789012:topic");
    return sns_check_arn(t, parts, err) || sns_find_region(t, parts[ARN_REGION], err) ||
                   sns_find_url(t, rules, err) || sns_check_credentials(t, err)
               ? -1
               : 0;
}

/* --- reading and writing */

#define SNS_MEMBER(member, max, secret)                                                            \
    {#member, offsetof(struct sns_target, member), max, MEMBER_VISIBLE, secret}

/* Each text goes into a header or a signature: spaces and invisible characters are refused. */
static const struct member members[] = {
    SNS_MEMBER(topic_arn, ARN_BYTES_MAX, false),
    SNS_MEMBER(region, REGION_BYTES_MAX, false),
    SNS_MEMBER(endpoint, SPEC_URL_BYTES_MAX, false),
    SNS_MEMBER(access_key_id, KEY_BYTES_MAX, false),
    SNS_MEMBER(secret_access_key, KEY_BYTES_MAX, true),
    SNS_MEMBER(session_token, SPEC_SECRET_BYTES_MAX, true),
};

static const struct members sns_members = {"sns", "topic_arn", members,
                                           sizeof members / sizeof *members};

struct sns_target *sns_target_new(struct json_object *value, const struct spec_rules *rules,
                                  struct error *err) {
    struct sns_target *t = mem_zero(sizeof *t);
    if (members_take(&sns_members, t, value, rules, err) == 0 && sns_check(t, rules, err) == 0)
        return t;
    sns_target_free(t);
    return NULL;
}

void sns_target_free(struct sns_target *t) {
    if (!t)
        return;
    members_wipe(&sns_members, t);
    free(t->signing_region);
    free(t->url);
    free(t);
}

void sns_target_to_json(const struct sns_target *t, bool secrets, struct buf *out) {
    members_to_json(&sns_members, t, secrets, out);
}

bool sns_target_put_secrets(const struct sns_target *t, struct buf *out) {
    return members_put_secrets(&sns_members, t, out);
}

bool sns_target_same_server(const struct sns_target *a, const struct sns_target *b) {
    return strcmp(a->account, b->account) == 0 && url_same_server(a->url, b->url);
}
