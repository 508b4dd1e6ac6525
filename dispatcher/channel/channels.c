/* A subscriber's channels; see channels.h. */
#include "dispatcher/channel/channels.h"

#include "common/base/log.h"

void channels_init(struct channels *channels, struct loop *loop, struct https_client *client,
                   const struct signing_keys *own, const char *subscriber, const struct spec *spec,
                   const char *feed, int64_t timeout_ms) {
    struct signing *signing = &channels->signing;
    *signing = (struct signing){.own = own};
    oauth2_init(&channels->oauth2, client, loop, spec, timeout_ms);
    webhook_init(&channels->webhook, &channels->oauth2, signing, subscriber, spec, feed,
                 timeout_ms);
    sns_init(&channels->sns, loop, client, signing, spec, feed, timeout_ms);
}

int channels_set_keys(struct channels *channels, const struct subscriber_keys *keys,
                      struct error *err) {
    return signing_set(&channels->signing, keys, err);
}

const char *channels_lack(const struct channels *channels) {
    return signing_lacks(&channels->signing, channels->webhook.spec);
}

void channels_warn_of_lack(const struct channels *channels) {
    const char *reason = channels_lack(channels);
    if (reason)
        log_warn("signing_key_missing", LOG_S("subscriber", channels->webhook.subscriber),
                 LOG_S("reason", reason));
}

struct channel *channels_choose(struct channels *channels) {
    return channels->sns.spec->sns ? &channels->sns.channel : &channels->webhook.channel;
}

void channels_move(struct channels *channels) { oauth2_forget(&channels->oauth2); }

void channels_fini(struct channels *channels) {
    oauth2_fini(&channels->oauth2);
    signing_fini(&channels->signing);
}
