/* ESS's own keys: RFC 8037's vectors, rotation, and each way in which a key file can be bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/crypto/signing_keys.h"

#define PEM(name, text) "-----BEGIN " name "-----\n" text "\n-----END " name "-----\n"
/* the key of RFC 8037, appendix A */
#define RFC_KEY                                                                                    \
    PEM("PRIVATE KEY", "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g")
#define OTHER_KEY                                                                                  \
    PEM("PRIVATE KEY", "MC4CAQAwBQYDK2VwBCIEIHKptxtaDR3YeXIQmMCjhwjpRXfFGcD4wafe0wCUsxld")
#define X25519_KEY                                                                                 \
    PEM("PRIVATE KEY", "MC4CAQAwBQYDK2VuBCIEIHh+tXj1hZtkgTmZ+Hv+GDKE9Tiyg96fRGPJGG9wOAFT")
#define PUBLIC_KEY PEM("PUBLIC KEY", "MCowBQYDK2VwAyEAFcH07L5bSUsEnIEaZ1tBDNecf/ITBNsPsR4OfcezK9Q=")

static struct error err;

static void take(struct signing_keys *keys, const char *pem) {
    if (signing_keys_take(keys, span_of(pem), &err))
        fail_msg("%s", err.message);
}

static void the_public_key_and_its_thumbprint_are_rfc_8037s(void **state) {
    struct signing_keys keys = {.count = 0};
    (void)state;
    take(&keys, RFC_KEY);
    assert_int_equal(keys.count, 1);
    assert_string_equal(keys.of[0].x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    assert_string_equal(keys.of[0].id, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    signing_keys_fini(&keys);
}

static void the_first_key_signs(void **state) {
    struct signing_keys keys = {.count = 0};
    char signature[SIGNING_KEYS_SIGNATURE_BYTES], other[SIGNING_KEYS_SIGNATURE_BYTES];
    const struct span id = span_of("copay-1"), body = span_of("{\"a\":1}");
    (void)state;
    take(&keys, RFC_KEY OTHER_KEY);
    signing_keys_sign(&keys, id, 1700000000, body, signature);
    assert_string_equal(signature, "v1a,GWCIxdsnzPV4frNPDmN7kbQhfozgYb0ABr1PEybJmzwvTAcIfYrWfy8/"
                                   "ngzZYMFDaxqYDnTdaoPKSeL4ZYdIBA==");
    take(&keys, OTHER_KEY RFC_KEY);
    assert_string_equal(keys.of[1].x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    signing_keys_sign(&keys, id, 1700000000, body, other);
    assert_string_not_equal(other, signature);
    signing_keys_sign(&keys, id, 1700000000, (struct span){NULL, 0}, other);
    assert_int_equal(strlen(other), SIGNING_KEYS_SIGNATURE_BYTES - 1);
    signing_keys_fini(&keys);
}

static void text_around_the_keys_is_passed_over(void **state) {
    struct signing_keys keys = {.count = 0};
    (void)state;
    take(&keys, "# of May\n" RFC_KEY "\n# of April\n" OTHER_KEY "the end");
    assert_int_equal(keys.count, 2);
    signing_keys_fini(&keys);
}

static void assert_refused(const char *pem, const char *reason) {
    struct signing_keys keys = {.count = 0};
    take(&keys, RFC_KEY);
    assert_int_equal(signing_keys_take(&keys, span_of(pem), &err), -1);
    assert_string_equal(err.message, reason);
    assert_int_equal(keys.count, 1); /* those before */
    assert_string_equal(keys.of[0].x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    signing_keys_fini(&keys);
}

static void a_bad_file_names_the_key_and_changes_nothing(void **state) {
    (void)state;
    assert_refused("", "holds no key");
    assert_refused("-----BEGIN", "holds no key");
    assert_refused(OTHER_KEY "-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n", "key 2 is damaged");
    assert_refused(PEM("PRIVATE KEY", "MC4CAQAw"), "key 1 is damaged");
    assert_refused(PEM("PRIVATE KEY", "!!!!"), "key 1 is damaged");
    assert_refused(OTHER_KEY X25519_KEY,
                   "key 2 is no Ed25519 key: openssl genpkey -algorithm ed25519 makes one");
    assert_refused(OTHER_KEY PUBLIC_KEY,
                   "key 2 is a \"PUBLIC KEY\", not a \"PRIVATE KEY\" as openssl genpkey -algorithm "
                   "ed25519 writes it");
    assert_refused(PEM("ENCRYPTED PRIVATE KEY", "MC4CAQAw"),
                   "key 1 is encrypted: write it without a passphrase");
    assert_refused(RFC_KEY OTHER_KEY RFC_KEY, "key 3 is key 1 again");
}

static void more_than_16_keys_are_refused(void **state) {
    struct buf pem = {0};
    (void)state;
    for (char last = 0; last <= SIGNING_KEYS_MAX; last++)
        buf_printf(&pem,
                   "-----BEGIN PRIVATE KEY-----\n"
                   "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcr%c9g\n"
                   "-----END PRIVATE KEY-----\n",
                   'a' + last);
    assert_refused(buf_string(&pem), "key 17 is one too many: at most 16 are taken");
    buf_fini(&pem);
}

static void empty_text_without_a_pointer_holds_no_key(void **state) {
    struct signing_keys keys = {.count = 0};
    (void)state;
    assert_int_equal(signing_keys_take(&keys, (struct span){NULL, 0}, &err), -1);
    assert_int_equal(keys.count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_public_key_and_its_thumbprint_are_rfc_8037s),
        cmocka_unit_test(the_first_key_signs),
        cmocka_unit_test(text_around_the_keys_is_passed_over),
        cmocka_unit_test(a_bad_file_names_the_key_and_changes_nothing),
        cmocka_unit_test(more_than_16_keys_are_refused),
        cmocka_unit_test(empty_text_without_a_pointer_holds_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
