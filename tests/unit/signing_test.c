/* The headers of a signed webhook: by the subscriber's secrets, by ESS's own key, or by both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dispatcher/channel/signing.h"

static const char own_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
                              "-----END PRIVATE KEY-----\n";
#define OWN_SIGNATURE                                                                              \
    "v1a,GWCIxdsnzPV4frNPDmN7kbQhfozgYb0ABr1PEybJmzwvTAcIfYrWfy8/"                                 \
    "ngzZYMFDaxqYDnTdaoPKSeL4ZYdIBA=="
#define HMAC_HEX "d42927434049e0b8c73ce887062238cc1c6bb6644bfe66e66d8dd0f30b85679e"
#define HMAC_V1 "v1,578wPVPHdAws9NJUyLaD6n0Hgmp95fYyTTI3aP6B0FY="

static char secret[] = "s3cr3t", old[] = "old";
static struct signing_keys own;
static struct subscriber_keys keys;
static struct signing signing;

static int set_up(void **state) {
    struct error err;
    (void)state;
    keys = (struct subscriber_keys){.secret = secret};
    signing = (struct signing){.own = &own};
    return signing_keys_take(&own, span_of(own_pem), &err) || signing_set(&signing, &keys, &err);
}

static int tear_down(void **state) {
    (void)state;
    signing_fini(&signing);
    signing_keys_fini(&own);
    return 0;
}

/* The names and values of the headers, each line ended by a line break. */
static char *headers_of(unsigned signatures) {
    const struct spec spec = {.signatures = signatures};
    struct buf all = {0};
    struct curl_slist *list = signing_headers(&signing, &spec, NULL, "copay-1", 1700000000123,
                                              span_of("{\"a\":1}"));
    for (const struct curl_slist *at = list; at; at = at->next)
        buf_printf(&all, "%s\n", at->data);
    curl_slist_free_all(list);
    return buf_detach(&all, NULL);
}

static void hmac_alone_is_the_default(void **state) {
    (void)state;
    char *none = headers_of(0), *hmac = headers_of(SPEC_SIGNED_HMAC);
    assert_string_equal(none, "X-ESS-Signature: " HMAC_HEX "\nwebhook-id: copay-1\n"
                              "webhook-timestamp: 1700000000\nwebhook-signature: " HMAC_V1 "\n");
    assert_string_equal(none, hmac);
    free(none);
    free(hmac);
}

static void ed25519_alone_has_no_header_of_a_secret(void **state) {
    (void)state;
    char *text = headers_of(SPEC_SIGNED_ED25519);
    assert_string_equal(text, "X-ESS-Key-Id: kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k\n"
                              "webhook-id: copay-1\nwebhook-timestamp: 1700000000\n"
                              "webhook-signature: " OWN_SIGNATURE "\n");
    free(text);
}

static void both_stand_in_one_header(void **state) {
    (void)state;
    char *text = headers_of(SPEC_SIGNED_HMAC | SPEC_SIGNED_ED25519);
    assert_non_null(strstr(text, "X-ESS-Signature: " HMAC_HEX "\n"));
    assert_non_null(strstr(text, "\nwebhook-signature: " HMAC_V1 " " OWN_SIGNATURE "\n"));
    free(text);
}

static void a_rotation_with_all_signatures_has_room(void **state) {
    struct error err;
    (void)state;
    for (size_t i = 0; i < SUBSCRIBER_OLD_SECRETS_MAX; i++)
        keys.old[keys.old_count++] = (struct subscriber_old_secret){old, INT64_MAX};
    assert_int_equal(signing_set(&signing, &keys, &err), 0);
    char *text = headers_of(SPEC_SIGNED_HMAC | SPEC_SIGNED_ED25519);
    size_t spaces = 0;
    for (const char *at = strstr(text, "webhook-signature: v1,"); *at; at++)
        spaces += *at == ' ';
    assert_int_equal(spaces, SUBSCRIBER_OLD_SECRETS_MAX + 2);
    assert_non_null(strstr(text, " " OWN_SIGNATURE "\n"));
    free(text);
}

static void without_a_key_the_reason_names_the_option(void **state) {
    const struct spec hmac = {0}, ed25519 = {.signatures = SPEC_SIGNED_ED25519};
    const char *reason = "no key for the signature ed25519: set signing.key_file for "
                         "ess-dispatcher";
    (void)state;
    assert_null(signing_lacks(&signing, &ed25519));
    signing_keys_fini(&own);
    assert_string_equal(signing_lacks(&signing, &ed25519), reason);
    assert_null(signing_lacks(&signing, &hmac));
    signing.own = NULL;
    assert_string_equal(signing_lacks(&signing, &ed25519), reason);
}

#define signing_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        signing_test(hmac_alone_is_the_default),
        signing_test(ed25519_alone_has_no_header_of_a_secret),
        signing_test(both_stand_in_one_header),
        signing_test(a_rotation_with_all_signatures_has_room),
        signing_test(without_a_key_the_reason_names_the_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
