/* The channel of a webhook: each delivery is a signed HTTPS POST with the headers of docs/api.md.
 * One per subscriber. Loop thread only; nothing blocks. */
#ifndef ESS_DISPATCHER_WEBHOOK_H
#define ESS_DISPATCHER_WEBHOOK_H

#include <stdint.h>

#include "common/base/error.h"
#include "common/model/spec.h"
#include "common/model/subscriber.h"
#include "dispatcher/channel/channel.h"
#include "dispatcher/channel/signing.h"

struct https_client;

struct webhook {
    struct channel channel;
    struct https_client *client;
    const char *subscriber;  /* the subscriber's id */
    const struct spec *spec; /* in force at each delivery */
    int64_t timeout_ms;      /* where the spec has none */
    struct signing signing;
};

/* The caller keeps all arguments, which must stay. Nothing can be sent before webhook_set_keys. */
void webhook_init(struct webhook *webhook, struct https_client *client, const char *subscriber,
                  const struct spec *spec, int64_t timeout_ms);
/* Signs with these secrets from now on. The caller keeps the keys, which must stay. Returns -1
 * with the reason if a secret is malformed; then nothing can be sent. */
int webhook_set_keys(struct webhook *webhook, const struct subscriber_keys *keys,
                     struct error *err);
/* Nothing may be under way. */
void webhook_fini(struct webhook *webhook);

/* The meaning of an answer. `status` 0: no complete answer. */
enum verdict webhook_judge(int status, int64_t retry_after_ms);

#endif
