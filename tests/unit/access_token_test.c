/* Access tokens: printable, never the same twice, recognised by their hash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/access/access_token.h"

static void test_a_token_is_made_of_printable_characters_and_never_twice(void **state) {
    char one[ACCESS_TOKEN_BYTES], other[ACCESS_TOKEN_BYTES];
    (void)state;
    access_token_make(one);
    access_token_make(other);
    assert_memory_equal(one, "ess_", 4);
    assert_int_equal(strspn(one + 4, "0123456789abcdef"), 64);
    assert_int_equal(strlen(one), 68);
    assert_string_not_equal(one, other);
}

static void test_the_hash_is_sha_256_in_hex(void **state) {
    char hash[ACCESS_TOKEN_HASH_BYTES];
    (void)state;
    access_token_hash(span_of("abc"), hash);
    assert_string_equal(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    access_token_hash(span_of(""), hash);
    assert_string_equal(hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_token_is_made_of_printable_characters_and_never_twice),
        cmocka_unit_test(test_the_hash_is_sha_256_in_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
