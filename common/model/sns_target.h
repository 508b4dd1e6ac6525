/* The field `sns` of a spec: an AWS SNS topic as the endpoint, in place of a URL. Pure, any
 * thread. */
#ifndef ESS_MODEL_SNS_TARGET_H
#define ESS_MODEL_SNS_TARGET_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/error.h"

struct json_object;
struct spec_rules;

/* Owns all texts. An optional text that was left out is NULL. */
struct sns_target {
    char *topic_arn;
    char *region;   /* may be left out */
    char *endpoint; /* may be left out */
    char *access_key_id, *secret_access_key;
    char *session_token;  /* may be left out; the two keys only together */
    char *signing_region; /* `region`, or the ARN's */
    char *url;            /* `endpoint`, or AWS's own for the region */
    char account[13];     /* of the topic */
    bool fifo;            /* the topic is a FIFO topic */
};

/* Reads the field's value. Returns NULL with the reason, which blames "sns" or one of its members
 * ("sns.topic_arn"). */
struct sns_target *sns_target_new(struct json_object *value, const struct spec_rules *rules,
                                  struct error *err);
void sns_target_free(struct sns_target *target); /* wipes the secrets; NULL is allowed */

/* Appends the target as an object, members in a fixed order. With `secrets` the credentials are
 * written whole, otherwise as a list of their names. */
void sns_target_to_json(const struct sns_target *target, bool secrets, struct buf *out);

/* Appends an object of the credentials alone. Returns whether there are credentials. */
bool sns_target_put_secrets(const struct sns_target *target, struct buf *out);

/* Whether credentials given for one target may be used for the other: account and endpoint are the
 * same. */
bool sns_target_same_server(const struct sns_target *a, const struct sns_target *b);

#endif
