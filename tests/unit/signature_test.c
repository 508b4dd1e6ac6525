/* The two signatures: published vectors, the reused context compared with OpenSSL's one-shot HMAC,
 * and which secrets are valid. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/crypto/base64.h"
#include "common/crypto/signature.h"

static struct error err;

static struct signer *signer_of(const char *secret) {
    struct signer *signer = signer_new(secret, &err);
    if (!signer)
        fail_msg("%s", err.message);
    return signer;
}

static void test_standard_webhooks_published_vector_is_met(void **state) {
    char out[SIGNATURE_WEBHOOK_BYTES];
    struct signer *signer = signer_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    (void)state;
    signer_webhook(signer, span_of("msg_p5jXN8AQM9LWM0D4loKWxJek"), 1614265330,
                   span_of("{\"test\": 2432232314}"), out);
    assert_string_equal(out, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    signer_free(signer);
}

static void test_rfc_4231s_vectors_are_met(void **state) {
    static const struct {
        const char *secret, *body, *hex;
    } vectors[] = {
        {"Jefe", "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {"whsec_CwsLCwsLCwsLCwsLCwsLCwsLCws=", "Hi There",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    };
    char out[SIGNATURE_HEX_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct signer *signer = signer_of(vectors[i].secret);
        signer_hex(signer, span_of(vectors[i].body), out);
        assert_string_equal(out, vectors[i].hex);
        signer_free(signer);
    }
}

static void test_a_key_longer_than_a_block_is_hashed_first_as_in_rfc_4231(void **state) {
    unsigned char key[131];
    struct buf secret = {0};
    char out[SIGNATURE_HEX_BYTES];
    (void)state;
    memset(key, 0xaa, sizeof key);
    buf_puts(&secret, "whsec_");
    base64_put(&secret, key, sizeof key);
    struct signer *signer = signer_of(secret.data);
    signer_hex(signer, span_of("Test Using Larger Than Block-Size Key - Hash Key First"), out);
    assert_string_equal(out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    signer_free(signer);
    buf_fini(&secret);
}

static void expected_hex(const char *key, struct span text, char out[SIGNATURE_HEX_BYTES]) {
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int len;
    HMAC(EVP_sha256(), key, (int)strlen(key), (const unsigned char *)text.data, text.len, mac,
         &len);
    for (unsigned i = 0; i < len; i++)
        snprintf(out + 2 * i, 3, "%02x", mac[i]);
}

static void test_a_signer_signs_bodies_of_any_length_again_and_again(void **state) {
    struct signer *signer = signer_of("s3cr3t"), *other = signer_of("another");
    char body[300], out[SIGNATURE_HEX_BYTES], expected[SIGNATURE_HEX_BYTES];
    (void)state;
    for (size_t len = 0; len < sizeof body; len++) {
        struct span text = {body, len};
        body[len] = (char)(len * 31);
        expected_hex("s3cr3t", text, expected);
        signer_hex(signer, text, out);
        assert_string_equal(out, expected);
        expected_hex("another", text, expected);
        signer_hex(other, text, out);
        assert_string_equal(out, expected);
    }
    signer_free(signer);
    signer_free(other);
}

static void test_the_webhooks_signature_is_over_id_timestamp_and_body(void **state) {
    static const struct {
        const char *id, *body, *signed_text;
        int64_t timestamp;
    } cases[] = {
        {"e-1", "{\"cursor\":1842}", "e-1.1715090591.{\"cursor\":1842}", 1715090591},
        {"drug/copay:1842", "", "drug/copay:1842.0.", 0},
        {"a", "b.c", "a.9223372036854775807.b.c", INT64_MAX},
    };
    char out[SIGNATURE_WEBHOOK_BYTES], expected[SIGNATURE_WEBHOOK_BYTES] = "v1,";
    struct signer *signer = signer_of("s3cr3t");
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char mac[EVP_MAX_MD_SIZE];
        unsigned int len;
        HMAC(EVP_sha256(), "s3cr3t", 6, (const unsigned char *)cases[i].signed_text,
             strlen(cases[i].signed_text), mac, &len);
        EVP_EncodeBlock((unsigned char *)expected + 3, mac, (int)len);
        signer_webhook(signer, span_of(cases[i].id), cases[i].timestamp, span_of(cases[i].body),
                       out);
        assert_string_equal(out, expected);
    }
    signer_free(signer);
}

static void test_both_signatures_are_over_one_key_and_may_alternate(void **state) {
    char plain[SIGNATURE_HEX_BYTES], decoded[SIGNATURE_HEX_BYTES],
        webhook[2][SIGNATURE_WEBHOOK_BYTES];
    struct signer *one = signer_of("s3cr3t"), *two = signer_of("whsec_czNjcjN0"); /* its base64 */
    (void)state;
    signer_webhook(one, span_of("e"), 1, span_of("body"), webhook[0]);
    signer_hex(one, span_of("body"), plain);
    signer_hex(two, span_of("body"), decoded);
    signer_webhook(two, span_of("e"), 1, span_of("body"), webhook[1]);
    assert_string_equal(plain, decoded);
    assert_string_equal(webhook[0], webhook[1]);
    signer_free(one);
    signer_free(two);
}

static void assert_whsec(const char *secret, const char *expected) {
    struct buf out = {0};
    buf_puts(&out, "=");
    assert_int_equal(signature_whsec(secret, &out, &err), 0);
    assert_string_equal(out.data + 1, expected);
    buf_fini(&out);
}

static void test_every_secret_has_its_whsec_form(void **state) {
    (void)state;
    assert_whsec("s3cr3t", "whsec_czNjcjN0");
    assert_whsec("vend0r", "whsec_dmVuZDBy");
    assert_whsec("a", "whsec_YQ==");
    assert_whsec("\u00e9", "whsec_w6k=");
    assert_whsec("whsec_czNjcjN0", "whsec_czNjcjN0");
    assert_whsec("whsec", "whsec_d2hzZWM=");
    assert_whsec("WHSEC_a", "whsec_V0hTRUNfYQ=="); /* case-sensitive: not the prefix */
}

static void test_a_secret_that_people_choose_has_nothing_invisible_at_its_ends(void **state) {
    static const char *const good[] = {"s", "a b", "s\nt", "\u00e9", "s\ufefft", "whsec_czNjcjN0"};
    static const char *const bad[] = {" s",
                                      "s ",
                                      "s\n",
                                      "\ts",
                                      "s\r\n",
                                      "s\x7f",
                                      "\ufeffs",
                                      "s\ufeff",
                                      "s\u00a0",
                                      "\u200bs",
                                      "s\u3000",
                                      " ",
                                      "whsec_czNjcjN0\n",
                                      "",
                                      "whsec_a"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(signature_check_secret(good[i], &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(signature_check_secret(bad[i], &err), -1);
        assert_string_equal(err.field, "secret");
    }
}

static void test_a_bad_secret_is_refused_without_showing_it(void **state) {
    static const char *const bad[] = {
        "",           "whsec_",       "whsec_a",    "whsec_ab",       "whsec_abc",   "whsec_ab=c",
        "whsec_====", "whsec_a===",   "whsec_=abc", "whsec_ab==ab==", "whsec_abcd ", "whsec_ abcd",
        "whsec_ab-_", "whsec_abcd\n", "whsec_ab*d", "whsec_pl4nted"};
    struct buf out = {0};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (signer_new(bad[i], &err))
            fail_msg("%s", bad[i]);
        assert_string_equal(err.field, "secret");
        assert_null(strstr(err.message, "pl4nted"));
        assert_int_equal(signature_whsec(bad[i], &out, &err), -1);
        assert_null(out.data);
    }
}

static void test_a_secret_has_at_most_4096_bytes(void **state) {
    char secret[SIGNATURE_KEY_BYTES_MAX + 2];
    (void)state;
    snprintf(secret, sizeof secret, "%0*d", SIGNATURE_KEY_BYTES_MAX, 0);
    signer_free(signer_of(secret));
    snprintf(secret, sizeof secret, "%0*d", SIGNATURE_KEY_BYTES_MAX + 1, 0);
    assert_null(signer_new(secret, &err));
    snprintf(secret, sizeof secret, "whsec_%0*d", SIGNATURE_KEY_BYTES_MAX - 8,
             0); /* the largest multiple of four */
    signer_free(signer_of(secret));
}

static void test_a_made_secret_is_32_random_bytes_in_whsec_form(void **state) {
    struct buf one = {0}, two = {0}, again = {0};
    (void)state;
    signature_make_secret(&one);
    signature_make_secret(&two);
    assert_int_equal(one.len, 6 + 44);
    assert_memory_equal(one.data, "whsec_", 6);
    assert_string_not_equal(one.data, two.data);
    assert_int_equal(signature_whsec(one.data, &again, &err), 0);
    assert_string_equal(one.data, again.data);
    signer_free(signer_of(one.data));
    buf_fini(&one);
    buf_fini(&two);
    buf_fini(&again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_standard_webhooks_published_vector_is_met),
        cmocka_unit_test(test_rfc_4231s_vectors_are_met),
        cmocka_unit_test(test_a_key_longer_than_a_block_is_hashed_first_as_in_rfc_4231),
        cmocka_unit_test(test_a_signer_signs_bodies_of_any_length_again_and_again),
        cmocka_unit_test(test_the_webhooks_signature_is_over_id_timestamp_and_body),
        cmocka_unit_test(test_both_signatures_are_over_one_key_and_may_alternate),
        cmocka_unit_test(test_every_secret_has_its_whsec_form),
        cmocka_unit_test(test_a_secret_that_people_choose_has_nothing_invisible_at_its_ends),
        cmocka_unit_test(test_a_bad_secret_is_refused_without_showing_it),
        cmocka_unit_test(test_a_secret_has_at_most_4096_bytes),
        cmocka_unit_test(test_a_made_secret_is_32_random_bytes_in_whsec_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
