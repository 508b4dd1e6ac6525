/* The URL of a forward proxy (egress.proxy): http:// or https://, a host, perhaps a port, a user
 * and a password. No error quotes any part of it. Pure, any thread. */
#ifndef ESS_NET_PROXY_URL_H
#define ESS_NET_PROXY_URL_H

#include "common/base/error.h"

struct proxy_url {
    char *server; /* "http://host:port" or "https://host:port", without user and password */
    char *host;   /* a name or an address, without brackets */
    char *port;
    char *user, *password; /* decoded; NULL: none */
};

/* Fills `url`, all zero before. Returns -1 with the reason, and nothing to free. */
int proxy_url_parse(const char *text, struct proxy_url *url, struct error *err);
/* Wipes the secrets. All zero is fine. */
void proxy_url_fini(struct proxy_url *url);

#endif
