/* Scopes: how they are written, and that each allows only its own kind within its pattern. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/access/scope.h"

static struct scope parsed(const char *text) {
    struct scope scope;
    struct error err;
    assert_int_equal(scope_parse(&scope, text, &err), 0);
    return scope;
}

static bool allows(const char *scope, enum scope_kind kind, const char *pattern) {
    const struct scope one = parsed(scope);
    return scopes_allow(&one, 1, kind, span_of(pattern));
}

static void test_a_scope_is_a_kind_and_a_pattern_or_admin(void **state) {
    static const struct {
        const char *text, *pattern;
        enum scope_kind kind;
    } good[] = {{"publish:*", "*", SCOPE_PUBLISH},
                {"publish:drug.copay", "drug.copay", SCOPE_PUBLISH},
                {"read:*.b", "*.b", SCOPE_READ},
                {"register:a.*", "a.*", SCOPE_REGISTER},
                {"admin", "*", SCOPE_ADMIN}};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const struct scope scope = parsed(good[i].text);
        assert_int_equal(scope.kind, good[i].kind);
        assert_string_equal(scope.pattern, good[i].pattern);
    }
}

static void test_anything_else_is_no_scope(void **state) {
    static const char *const bad[] = {
        "",        "publish",   "publish:",   "publish:a..b", "publish:a*", ":a",
        "write:a", "Publish:a", "publish :a", "admin:",       "admin:*",    " admin",
        "admin ",  "read: a",   "read:a ",    "readx:a",      "rea:a",      "*"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct scope scope;
        struct error err;
        if (scope_parse(&scope, bad[i], &err) == 0)
            fail_msg("'%s' was taken", bad[i]);
        assert_true(strlen(err.message) > 0);
    }
}

static void test_a_scope_allows_its_own_kind_within_its_pattern(void **state) {
    static const char *const kinds[] = {"publish", "read", "register"};
    (void)state;
    for (int have = 0; have < SCOPE_ADMIN; have++) {
        for (int want = 0; want < SCOPE_KINDS; want++) {
            char text[32];
            snprintf(text, sizeof text, "%s:drug.*", kinds[have]);
            assert_int_equal(allows(text, (enum scope_kind)want, "drug.copay"), have == want);
            assert_int_equal(allows(text, (enum scope_kind)want, "drug.*"), have == want);
            assert_false(allows(text, (enum scope_kind)want, "*"));
            assert_false(allows(text, (enum scope_kind)want, "drug"));
            assert_false(allows(text, (enum scope_kind)want, "drugs.copay"));
        }
    }
}

static void test_admin_allows_everything(void **state) {
    (void)state;
    for (int want = 0; want < SCOPE_KINDS; want++) {
        assert_true(allows("admin", (enum scope_kind)want, "*"));
        assert_true(allows("admin", (enum scope_kind)want, "a.b.c"));
    }
}

static void test_one_of_several_must_allow_all_of_it(void **state) {
    const struct scope scopes[] = {parsed("read:a.*"), parsed("read:b"), parsed("publish:c")};
    (void)state;
    assert_true(scopes_allow(scopes, 3, SCOPE_READ, span_of("a.x")));
    assert_true(scopes_allow(scopes, 3, SCOPE_READ, span_of("b")));
    assert_false(scopes_allow(scopes, 3, SCOPE_READ, span_of("*")));
    assert_false(scopes_allow(scopes, 3, SCOPE_READ, span_of("c")));
    assert_true(scopes_allow(scopes, 3, SCOPE_PUBLISH, span_of("c")));
    assert_false(scopes_allow(scopes, 0, SCOPE_READ, span_of("a.x")));
    assert_true(scopes_have(scopes, 3, SCOPE_PUBLISH));
    assert_false(scopes_have(scopes, 2, SCOPE_PUBLISH));
    assert_false(scopes_have(scopes, 3, SCOPE_ADMIN));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_scope_is_a_kind_and_a_pattern_or_admin),
        cmocka_unit_test(test_anything_else_is_no_scope),
        cmocka_unit_test(test_a_scope_allows_its_own_kind_within_its_pattern),
        cmocka_unit_test(test_admin_allows_everything),
        cmocka_unit_test(test_one_of_several_must_allow_all_of_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
