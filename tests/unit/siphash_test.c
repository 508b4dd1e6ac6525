/* SipHash: equal to OpenSSL's, for all lengths around a block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <string.h>

#include "common/base/siphash.h"

static void by_openssl(const unsigned char *key, const unsigned char *data, size_t len,
                       unsigned char out[16]) {
    size_t out_len = 0;
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
    assert_int_equal(EVP_MAC_init(context, key, 16, NULL), 1);
    assert_int_equal(EVP_MAC_update(context, data, len), 1);
    assert_int_equal(EVP_MAC_final(context, out, &out_len, 16), 1);
    assert_int_equal(out_len, 16);
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(mac);
}

static void test_it_is_what_openssl_computes(void **state) {
    unsigned char key[16], data[300], expected[16], found[16];
    (void)state;
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (unsigned char)(0xf3 * i + 7);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(0x9d * i + (i >> 3));
    for (size_t len = 0; len <= sizeof data; len++) {
        uint64_t words[2];
        by_openssl(key, data, len, expected);
        siphash128(key, data, len, words);
        for (int i = 0; i < 16; i++)
            found[i] = (unsigned char)(words[i / 8] >> (8 * (i % 8)));
        assert_memory_equal(found, expected, sizeof found);
    }
}

static void test_the_reference_vector_of_no_bytes(void **state) {
    static const unsigned char key[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    uint64_t words[2];
    (void)state;
    siphash128(key, "", 0, words);
    assert_int_equal(words[0], 0xe6a825ba047f81a3);
    assert_int_equal(words[1], 0x930255c71472f66d);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_it_is_what_openssl_computes),
                                       cmocka_unit_test(test_the_reference_vector_of_no_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
