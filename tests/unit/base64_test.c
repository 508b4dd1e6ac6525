/* Base64: RFC 4648's vectors, and that nothing but base64 is decoded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/crypto/base64.h"

static void test_rfc_4648s_vectors_are_met_both_ways(void **state) {
    static const char *const vectors[][2] = {{"f", "Zg=="},         {"fo", "Zm8="},
                                             {"foo", "Zm9v"},       {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        unsigned char decoded[8];
        struct buf out = {0};
        base64_put(&out, (const unsigned char *)vectors[i][0], strlen(vectors[i][0]));
        assert_string_equal(out.data, vectors[i][1]);
        assert_int_equal(base64_decode((struct span){out.data, out.len}, decoded),
                         strlen(vectors[i][0]));
        assert_memory_equal(decoded, vectors[i][0], strlen(vectors[i][0]));
        buf_fini(&out);
    }
}

static void test_all_bytes_and_lengths_come_back(void **state) {
    unsigned char bytes[256], decoded[258];
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 167);
    for (size_t len = 1; len <= sizeof bytes; len++) {
        struct buf out = {0};
        buf_puts(&out, "=");
        base64_put(&out, bytes, len);
        assert_int_equal(base64_decode((struct span){out.data + 1, out.len - 1}, decoded), len);
        assert_memory_equal(decoded, bytes, len);
        buf_fini(&out);
    }
}

static void test_what_is_not_base64_to_the_last_character_is_refused(void **state) {
    static const char *const bad[] = {"",
                                      "Z",
                                      "Zg",
                                      "Zg=",
                                      "Zm9v=",
                                      "Zm9vYg",
                                      "====",
                                      "Z===",
                                      "=Zm9",
                                      "Zg==Zg==",
                                      "Zm=v",
                                      " Zm9v",
                                      "Zm9v ",
                                      "Zm9v\n",
                                      "Zm 9",
                                      "Zm9-",
                                      "Zm9_",
                                      "Zm9*",
                                      "\xc3\xa9\xc3\xa9",
                                      "Zm9v\r\n\r\n"};
    unsigned char decoded[16];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (base64_decode(span_of(bad[i]), decoded) != -1)
            fail_msg("%s", bad[i]);
    assert_int_equal(base64_decode((struct span){"Zm9\0", 4}, decoded), -1);
}

static void test_the_form_for_urls_has_its_two_letters_and_no_padding(void **state) {
    static const char *const vectors[][2] = {
        {"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"\xfb\xff\xbf", "-_-_"}};
    struct buf out = {0};
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        buf_clear(&out);
        buf_puts(&out, "+/=");
        base64url_put(&out, (const unsigned char *)vectors[i][0], strlen(vectors[i][0]));
        assert_memory_equal(out.data, "+/=", 3);
        assert_string_equal(out.data + 3, vectors[i][1]);
        assert_int_equal(out.len, 3 + strlen(vectors[i][1]));
    }
    buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_4648s_vectors_are_met_both_ways),
        cmocka_unit_test(test_all_bytes_and_lengths_come_back),
        cmocka_unit_test(test_what_is_not_base64_to_the_last_character_is_refused),
        cmocka_unit_test(test_the_form_for_urls_has_its_two_letters_and_no_padding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
