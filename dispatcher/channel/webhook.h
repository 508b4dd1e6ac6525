/* The channel of a webhook: each delivery is a signed HTTPS POST with the headers of docs/api.md.
 * One per subscriber. Loop thread only; nothing blocks. */
#ifndef ESS_DISPATCHER_WEBHOOK_H
#define ESS_DISPATCHER_WEBHOOK_H

#include <stdint.h>

#include "common/model/spec.h"
#include "dispatcher/channel/channel.h"
#include "dispatcher/channel/signing.h"

struct oauth2;

struct webhook {
    struct channel channel;
    struct oauth2 *oauth2;   /* the way to the URL, with or without an access token */
    const char *subscriber;  /* the subscriber's id */
    const struct spec *spec; /* in force at each delivery */
    const char *feed;        /* the log's id */
    int64_t timeout_ms;      /* where the spec has none */
    struct signing *signing;
};

/* The caller keeps all arguments, which must stay. Nothing can be sent while the signing has no
 * keys. */
void webhook_init(struct webhook *webhook, struct oauth2 *oauth2, struct signing *signing,
                  const char *subscriber, const struct spec *spec, const char *feed,
                  int64_t timeout_ms);

/* The meaning of an answer. `status` 0: no complete answer. */
enum verdict webhook_judge(int status, int64_t retry_after_ms);

#endif
