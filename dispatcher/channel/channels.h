/* A subscriber's channels, of which its spec chooses one. Loop thread only; nothing blocks. */
#ifndef ESS_DISPATCHER_CHANNELS_H
#define ESS_DISPATCHER_CHANNELS_H

#include "dispatcher/channel/oauth2.h"
#include "dispatcher/channel/sns.h"
#include "dispatcher/channel/webhook.h"

struct channels {
    struct signing signing; /* of all */
    struct oauth2 oauth2;
    struct webhook webhook;
    struct sns sns;
};

/* All that is given stays the caller's, and must stay: `own` are ESS's keys, `subscriber` is its
 * id, `spec` is the one in force at each delivery, `feed` is the log's id. `timeout_ms` holds where
 * the spec has none. Nothing can be sent before channels_set_keys. */
void channels_init(struct channels *channels, struct loop *loop, struct https_client *client,
                   const struct signing_keys *own, const char *subscriber, const struct spec *spec,
                   const char *feed, int64_t timeout_ms);
/* Signs with these secrets from now on. The caller keeps the keys, which must stay. Returns -1
 * with the reason if a secret is malformed; then nothing can be sent. */
int channels_set_keys(struct channels *channels, const struct subscriber_keys *keys,
                      struct error *err);
/* The spec in force has another endpoint: what was learnt for the last one is forgotten. */
void channels_move(struct channels *channels);
/* NULL, or what this process lacks to send as the spec in force wants: then nothing may be sent. */
const char *channels_lack(const struct channels *channels);
void channels_warn_of_lack(const struct channels *channels);
/* The one that the spec in force chooses. */
struct channel *channels_choose(struct channels *channels);
/* Nothing may be under way. */
void channels_fini(struct channels *channels);

#endif
