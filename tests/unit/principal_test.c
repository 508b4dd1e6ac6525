/* auth.file: what is read, what is refused with line and field, and which tokens are known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/access/principal.h"
#include "common/base/buf.h"

#define SHA_OF_TEST                                                                                \
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" /* printf %s test |         \
                                                                          sha256sum */
#define SHA_OF_ABC                                                                                 \
    "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD" /* in capitals */

static const char good[] = "tokens:\n"
                           "  - name: rules-engine\n"
                           "    sha256: " SHA_OF_TEST "\n"
                           "    scopes: [\"publish:drug.*\", read:*]\n"
                           "    expires: 2027-01-01T00:00:00Z\n"
                           "  - {name: ops, sha256: \"" SHA_OF_ABC "\", scopes: [admin]}\n";

static void read_good(struct principals *principals, const char *text) {
    struct error err;
    if (principals_from_yaml(principals, span_of(text), &err))
        fail_msg("%s", err.message);
}

static struct principal *find(const struct principals *principals, const char *token) {
    unsigned char digest[PRINCIPAL_DIGEST_BYTES];
    principal_digest(span_of(token), digest);
    return principals_find(principals, digest);
}

static void test_a_token_is_known_by_its_hash(void **state) {
    struct principals principals;
    (void)state;
    read_good(&principals, good);
    assert_int_equal(principals.count, 2);
    const struct principal *engine = find(&principals, "test"), *ops = find(&principals, "abc");
    assert_string_equal(engine->name, "rules-engine");
    assert_int_equal(engine->expires_ms, INT64_C(1798761600000));
    assert_int_equal(engine->scopes_count, 2);
    assert_string_equal(engine->scopes[0].pattern, "drug.*");
    assert_int_equal(engine->scopes[1].kind, SCOPE_READ);
    assert_string_equal(ops->name, "ops");
    assert_int_equal(ops->expires_ms, -1);
    assert_string_equal(ops->subscriber, "");
    assert_null(find(&principals, "Test"));
    assert_null(find(&principals, ""));
    assert_null(find(&principals, SHA_OF_TEST));
    principals_fini(&principals);
}

static void test_no_tokens_are_none(void **state) {
    struct principals principals;
    (void)state;
    read_good(&principals, "tokens: []\n");
    assert_int_equal(principals.count, 0);
    assert_null(find(&principals, ""));
    principals_fini(&principals);
}

static void test_a_bad_file_is_refused_with_line_and_field(void **state) {
#define TOKEN(name, sha, rest) "tokens:\n- name: " name "\n  sha256: " sha "\n  " rest "\n"
    static const struct {
        const char *text, *reason;
    } bad[] = {
        {"", "1: is empty"},
        {"- a\n", "1: must be fields such as"},
        {"tokens: none\n", "1: tokens: must be a list"},
        {"tokens:\n", "1: tokens: must be a list"},
        {"# a comment\ntoken: []\n", "2: token: is unknown"},
        {"tokens:\n- a\n", "2: tokens[0]: must have name"},
        {"tokens:\n- {}\n", "2: tokens[0].scopes: must be a list"},
        {TOKEN("a", SHA_OF_TEST, "scope: [admin]"), "4: tokens[0].scope: is not a field"},
        {TOKEN("a", SHA_OF_TEST, "scopes: admin"), "4: tokens[0].scopes: must be a list"},
        {TOKEN("a", SHA_OF_TEST, "scopes: []"), "4: tokens[0].scopes: must be a list"},
        {TOKEN("a", SHA_OF_TEST, "scopes: [admin,\n   write:a]"),
         "5: tokens[0].scopes[1]: must be publish:"},
        {TOKEN("a", SHA_OF_TEST, "scopes: [1]"), "4: tokens[0].scopes[0]: must be text"},
        {TOKEN("a", SHA_OF_TEST, "scopes: [\"read:a..b\"]"),
         "4: tokens[0].scopes[0]: the pattern after read: must not have an empty segment"},
        {TOKEN("", SHA_OF_TEST, "scopes: [admin]"), "2: tokens[0].name: must be text"},
        {TOKEN("a b", SHA_OF_TEST, "scopes: [admin]"), "2: tokens[0].name: must be text"},
        {TOKEN("12", SHA_OF_TEST, "scopes: [admin]"), "2: tokens[0].name: must be text"},
        {TOKEN("a", "abc", "scopes: [admin]"), "3: tokens[0].sha256: must be the 64 hex digits"},
        {TOKEN("a", SHA_OF_TEST "0", "scopes: [admin]"),
         "3: tokens[0].sha256: must be the 64 hex digits"},
        {TOKEN("a", "s3cr3t" SHA_OF_TEST, "scopes: [admin]"),
         "3: tokens[0].sha256: must be the 64 hex digits"},
        {TOKEN("a", SHA_OF_TEST, "scopes: [admin]\n  expires: 2027-01-01"),
         "5: tokens[0].expires: must be a time"},
        {TOKEN("a", SHA_OF_TEST, "scopes: [admin]\n  expires:"),
         "5: tokens[0].expires: must be a time"},
        {TOKEN("a", SHA_OF_TEST, "scopes: [admin]\n  name: b"), "5: name: is given twice"},
        {TOKEN("a", SHA_OF_TEST,
               "scopes: [admin]\n- {name: a, sha256: " SHA_OF_ABC ", scopes: [admin]}"),
         "5: tokens[1].name: is used by another token too"},
        {TOKEN("a", SHA_OF_TEST,
               "scopes: [admin]\n- {name: b, sha256: " SHA_OF_TEST ", scopes: [admin]}"),
         "5: tokens[1].sha256: is used by another token too"},
        {TOKEN("&x a", SHA_OF_TEST, "scopes: [admin]"), "2: anchors"},
        {"tokens: [\n", "2: "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct principals principals;
        struct error err;
        assert_int_equal(principals_from_yaml(&principals, span_of(bad[i].text), &err), -1);
        if (strncmp(err.message, bad[i].reason, strlen(bad[i].reason)) != 0)
            fail_msg("said '%s', not '%s'", err.message, bad[i].reason);
        assert_null(strstr(err.message, "s3cr3t"));
        assert_int_equal(principals.count, 0);
    }
}

static void test_there_are_at_most_1000_tokens_of_100_scopes(void **state) {
    (void)state;
    for (int over = 0; over <= 1; over++) {
        struct buf text = {0};
        struct principals principals;
        struct error err;
        buf_puts(&text, "tokens:\n");
        for (int i = 0; i < 1000 + over; i++)
            buf_printf(&text, "- {name: n%d, sha256: \"%064x\", scopes: [admin]}\n", i, i);
        assert_int_equal(principals_from_yaml(&principals, span_of(buf_string(&text)), &err),
                         over ? -1 : 0);
        principals_fini(&principals);
        buf_clear(&text);
        buf_puts(&text, "tokens: [{name: a, sha256: " SHA_OF_TEST ", scopes: [admin");
        for (int i = 1; i < 100 + over; i++)
            buf_puts(&text, ",admin");
        buf_puts(&text, "]}]\n");
        assert_int_equal(principals_from_yaml(&principals, span_of(buf_string(&text)), &err),
                         over ? -1 : 0);
        principals_fini(&principals);
        buf_fini(&text);
    }
}

static void test_of_a_changed_file_the_same_principals_stay_the_same_ones(void **state) {
    static const char changed[] = "tokens:\n"
                                  "  - {name: ops, sha256: " SHA_OF_ABC ", scopes: [admin]}\n"
                                  "  - {name: rules-engine, sha256: " SHA_OF_TEST
                                  ", scopes: [read:*], expires: \"2027-01-01T00:00:00Z\"}\n";
    struct principals before, after;
    (void)state;
    read_good(&before, good);
    read_good(&after, changed);
    struct principal *held = principal_keep(find(&before, "test"));
    principals_keep_same(&after, &before);
    assert_ptr_equal(find(&after, "abc"), find(&before, "abc"));
    assert_ptr_not_equal(find(&after, "test"), held);
    principals_fini(&before);
    assert_string_equal(held->scopes[0].pattern, "drug.*"); /* a holder still may */
    assert_string_equal(find(&after, "abc")->name, "ops");
    principal_release(held);
    principals_fini(&after);
}

static void test_a_digest_is_64_hex_digits(void **state) {
    static const char *const bad[] = {
        "", "0", SHA_OF_TEST "00",
        "gf86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"};
    unsigned char digest[PRINCIPAL_DIGEST_BYTES], wanted[PRINCIPAL_DIGEST_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(principal_digest_parse(span_of(bad[i]), digest), -1);
    principal_digest(span_of("test"), wanted);
    assert_int_equal(principal_digest_parse(span_of(SHA_OF_TEST), digest), 0);
    assert_true(principal_digest_equal(digest, wanted));
    digest[31] ^= 1;
    assert_false(principal_digest_equal(digest, wanted));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_token_is_known_by_its_hash),
        cmocka_unit_test(test_no_tokens_are_none),
        cmocka_unit_test(test_a_bad_file_is_refused_with_line_and_field),
        cmocka_unit_test(test_there_are_at_most_1000_tokens_of_100_scopes),
        cmocka_unit_test(test_of_a_changed_file_the_same_principals_stay_the_same_ones),
        cmocka_unit_test(test_a_digest_is_64_hex_digits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
