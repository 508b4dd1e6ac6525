/* The channel to a topic of AWS SNS: each delivery is a Publish of SNS's Query API, signed by AWS
 * Signature Version 4, whose message is the event and whose attributes are those of docs/api.md.
 * A batch is a PublishBatch with as many of its first events as SNS takes at a time; those left are
 * called off. To a FIFO topic it ends before the second event of a group: SNS does not say that it
 * holds back a later one of the group when an earlier one fails.
 * One a subscriber. Loop thread only; nothing blocks. */
#ifndef ESS_DISPATCHER_SNS_H
#define ESS_DISPATCHER_SNS_H

#include <stdint.h>

#include "common/base/loop.h"
#include "common/model/spec.h"
#include "dispatcher/channel/channel.h"
#include "dispatcher/channel/signing.h"

struct https_client;

struct sns {
    struct channel channel;
    struct loop *loop;
    struct https_client *client;
    const struct spec *spec; /* in force at each delivery */
    const char *feed;        /* the log's id */
    int64_t timeout_ms;      /* where the spec has none */
    struct signing *signing;
};

/* All that is given stays the caller's, and must stay. Nothing can be sent while the signing has no
 * keys, nor while the spec has no `sns`. Where the spec has no credentials, those of the
 * environment are used: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. */
void sns_init(struct sns *sns, struct loop *loop, struct https_client *client,
              struct signing *signing, const struct spec *spec, const char *feed,
              int64_t timeout_ms);

#endif
