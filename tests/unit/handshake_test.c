/* What a failed handshake is called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "dispatcher/channel/handshake.h"

enum { END_MS = 1000 };
static const struct handshake nobody = {0},
                              somebody = {.set = true, .certificate = true, .not_after_ms = END_MS};

static void assert_explained(const struct handshake *handshake, int64_t wall_ms, const char *reason,
                             const char *wanted) {
    char text[CURL_ERROR_SIZE];
    snprintf(text, sizeof text, "%s", reason);
    handshake_explain(handshake, wall_ms, text, sizeof text);
    assert_string_equal(text, wanted);
}

static void an_alert_names_what_was_wrong_with_the_certificate(void **state) {
    (void)state;
    assert_explained(&somebody, 0,
                     "OpenSSL SSL_read: error:0A000418:SSL routines::tlsv1 alert unknown ca, "
                     "errno 0",
                     "the endpoint refused the client certificate: unknown ca");
    assert_explained(&somebody, 0,
                     "OpenSSL SSL_read: OpenSSL/3.5.1: error:0A000413:SSL routines::ssl/tls alert "
                     "unsupported certificate, errno 0",
                     "the endpoint refused the client certificate: unsupported certificate");
    assert_explained(&somebody, 0, "SSL certificate verification failed",
                     "the endpoint refused the client certificate: certificate expired");
    assert_explained(&somebody, END_MS,
                     "error:0A000415:SSL routines::sslv3 alert certificate "
                     "expired",
                     "the endpoint refused the client certificate, expired at "
                     "1970-01-01T00:00:01.000Z: certificate expired");
}

static void a_missing_certificate_is_named(void **state) {
    (void)state;
    assert_explained(&nobody, 0,
                     "OpenSSL SSL_read: error:0A00045C:SSL routines::tlsv13 alert certificate "
                     "required, errno 0",
                     "the endpoint wants a client certificate (tls)");
}

static void other_failures_keep_their_words(void **state) {
    static const char own[] = "SSL certificate problem: unable to get local issuer certificate",
                      alert[] = "error:0A000410:SSL routines::sslv3 alert handshake failure";
    (void)state;
    assert_explained(&nobody, 0, own, own);
    assert_explained(&somebody, END_MS, own, own);
    assert_explained(&nobody, 0, alert, alert);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alert_names_what_was_wrong_with_the_certificate),
        cmocka_unit_test(a_missing_certificate_is_named),
        cmocka_unit_test(other_failures_keep_their_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
