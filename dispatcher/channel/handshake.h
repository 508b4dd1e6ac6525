/* What differs between subscribers in TLS: the client certificate and the private CA of `tls`. They
 * go to libcurl in memory, never by a file. libcurl (7.88 as 8.14) shares a connection only between
 * requests with the same certificate and CA, byte for byte. For this folder only, because of
 * libcurl's types. */
#ifndef ESS_DISPATCHER_HANDSHAKE_H
#define ESS_DISPATCHER_HANDSHAKE_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/tls_identity.h"

#define SYSTEM_CERTIFICATES "/etc/ssl/certs"

/* What an easy handle has at present; all zero at first. */
struct handshake {
    bool set;
    bool certificate;
    int64_t not_after_ms; /* of the certificate, wall */
};

/* A new handle: it trusts the system's certificates. */
void handshake_init(CURL *easy);
/* Sets a handle up for requests of this identity (copied); NULL: without an identity. */
void handshake_set(struct handshake *handshake, CURL *easy, const struct tls_identity *identity);

/* Puts into words why a handshake failed, where `reason`, libcurl's words, is an alert about the
 * client certificate. */
void handshake_explain(const struct handshake *handshake, int64_t wall_ms, char *reason,
                       size_t size);

#endif
