/* The handshakes of TLS; see handshake.h. */
#include "dispatcher/channel/handshake.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"

static void handshake_set_blob(CURL *easy, CURLoption option, char *pem) {
    struct curl_blob blob = {.data = pem, .len = pem ? strlen(pem) : 0, .flags = CURL_BLOB_COPY};
    curl_easy_setopt(easy, option, pem ? &blob : NULL);
}

void handshake_init(CURL *easy) { curl_easy_setopt(easy, CURLOPT_CAPATH, SYSTEM_CERTIFICATES); }

/* A resumed session (RFC 8446, 2.2) has the certificate of the first one, which may have been
 * replaced since: with a certificate none is kept. */
void handshake_set(struct handshake *handshake, CURL *easy, const struct tls_identity *identity) {
    static const struct tls_identity nobody = {0};
    if (!identity && handshake->set)
        identity = &nobody;
    if (!identity)
        return;
    handshake_set_blob(easy, CURLOPT_SSLCERT_BLOB, identity->certificate);
    handshake_set_blob(easy, CURLOPT_SSLKEY_BLOB, identity->key);
    handshake_set_blob(easy, CURLOPT_CAINFO_BLOB, identity->ca);
    curl_easy_setopt(easy, CURLOPT_CAPATH, identity->ca ? NULL : SYSTEM_CERTIFICATES);
    curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, identity->certificate ? 0L : 1L);
    *handshake = (struct handshake){.set = identity != &nobody,
                                    .certificate = identity->certificate != NULL,
                                    .not_after_ms = identity->not_after_ms};
}

/* --- failures */

/* Alerts about a client certificate (RFC 8446, 6.2), in OpenSSL's words behind "alert ". libcurl
 * takes that of an expired one for a failure of its own, but has nothing to say of one. */
static const char *handshake_find_alert(const char *reason) {
    static const char *const alerts[] = {
        "certificate required",    "bad certificate",     "unknown ca",
        "certificate expired",     "certificate revoked", "certificate unknown",
        "unsupported certificate", "access denied",       "handshake failure"};
    const char *alert = strstr(reason, " alert ");
    if (strcmp(reason, "SSL certificate verification failed") == 0)
        return "certificate expired";
    for (size_t i = 0; alert && i < sizeof alerts / sizeof *alerts; i++)
        if (strstr(alert, alerts[i]))
            return alerts[i];
    return NULL;
}

void handshake_explain(const struct handshake *handshake, int64_t wall_ms, char *reason,
                       size_t size) {
    const char *alert = handshake_find_alert(reason);
    char expired[CLOCK_TEXT_BYTES];
    if (!alert)
        return;
    if (handshake->certificate && handshake->not_after_ms <= wall_ms) {
        clock_format(handshake->not_after_ms, expired);
        snprintf(reason, size, "the endpoint refused the client certificate, expired at %s: %s",
                 expired, alert);
    } else if (handshake->certificate) {
        snprintf(reason, size, "the endpoint refused the client certificate: %s", alert);
    } else if (strcmp(alert, "certificate required") == 0) {
        snprintf(reason, size, "the endpoint wants a client certificate (tls)");
    }
}
