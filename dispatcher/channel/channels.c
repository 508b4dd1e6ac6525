/* A subscriber's channels; see channels.h. */
#include "dispatcher/channel/channels.h"

void channels_init(struct channels *channels, struct loop *loop, struct https_client *client,
                   const char *subscriber, const struct spec *spec, const char *feed,
                   int64_t timeout_ms) {
    webhook_init(&channels->webhook, client, subscriber, spec, timeout_ms);
    sns_init(&channels->sns, loop, client, spec, feed, timeout_ms);
}

int channels_set_keys(struct channels *channels, const struct subscriber_keys *keys,
                      struct error *err) {
    return webhook_set_keys(&channels->webhook, keys, err) ||
                   sns_set_keys(&channels->sns, keys, err)
               ? -1
               : 0;
}

struct channel *channels_choose(struct channels *channels) {
    return channels->sns.spec->sns ? &channels->sns.channel : &channels->webhook.channel;
}

void channels_fini(struct channels *channels) {
    webhook_fini(&channels->webhook);
    sns_fini(&channels->sns);
}
