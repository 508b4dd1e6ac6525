/* The file of PII rules: what it may contain, and the line, field and reason of each mistake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/pii/pii.h"

static struct pii *read_text(const char *yaml, struct error *err) {
    return pii_read(span_of(yaml), err);
}

static void assert_refused(const char *yaml, const char *message) {
    struct error err;
    struct pii *pii = read_text(yaml, &err);
    if (pii)
        fail_msg("taken: %s", yaml);
    if (strncmp(err.message, message, strlen(message)) != 0)
        fail_msg("%s\nis not: %s", err.message, message);
}

/* A good rule's beginning, on lines 2 and 3. */
#define BEGIN "rules:\n- name: a\n  topics: [t]\n"
#define GOOD BEGIN "  detect: [ssn]\n  action: mask\n"

static void test_a_good_file_is_taken(void **state) {
    static const char *const files[] = {
        GOOD,
        "rules: []\n",
        "hash_key: \"0123\"\nrules:\n- {name: a.b-C_1, topics: [\"appointment.*\", x], "
        "paths: ['a[*].b', '[*][*]', '[\"x y\"].z', é], action: hash}\n",
        GOOD "- name: b\n  topics: ['*']\n  paths: [x]\n  action: drop\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct error err;
        struct pii *pii = read_text(files[i], &err);
        if (!pii)
            fail_msg("%s\n%s", err.message, files[i]);
        pii_free(pii);
    }
    pii_free(NULL);
}

static void test_what_is_wrong_is_told_with_line_and_field(void **state) {
    static const struct {
        const char *yaml, *message;
    } examples[] = {
        {"", "1: is empty"},
        {"- x\n", "1: "},
        {"rules: [\n", "2: "},
        {"x: 1\nrules: []\n", "1: x: is no field of this file"},
        {"hash_key: k\n", "1: rules: must be a list"},
        {"rules: 5\n", "1: rules: must be a list"},
        {"rules: []\nhash_key: 12345\n", "2: hash_key: must be text"},
        {"rules: []\nhash_key: ''\n", "2: hash_key: must be text"},
        {"rules:\n- x\n", "2: rules[0]: must have name"},
        {"rules:\n- topics: [t]\n", "2: rules[0].name: must be 1 to 64"},
        {"rules:\n- name: 'a b'\n", "2: rules[0].name: must be 1 to 64"},
        {"rules:\n- name: a\n  detect: [ssn]\n  action: mask\n",
         "2: rules[0].topics: must be a list of at least one text"},
        {"rules:\n- name: a\n  topics: t\n",
         "3: rules[0].topics: must be a list of at least one text"},
        {"rules:\n- name: a\n  topics:\n  - t\n  - a..b\n",
         "5: rules[0].topics[1]: must not have an empty segment"},
        {"rules:\n- name: a\n  topics: [5]\n", "3: rules[0].topics[0]: must be text"},
        {BEGIN "  action: mask\n", "2: rules[0]: must have paths or detect"},
        {BEGIN "  paths: [x]\n  detect: [ssn]\n  action: mask\n",
         "5: rules[0].detect: must not stand beside paths"},
        {BEGIN "  detect: []\n  action: mask\n",
         "4: rules[0].detect: must be a list of at least one text"},
        {BEGIN "  detect: [iban]\n  action: mask\n",
         "4: rules[0].detect[0]: must be ssn, email, phone or card"},
        {BEGIN "  paths:\n  - a\n  - ''\n  action: mask\n",
         "6: rules[0].paths[1]: must be names with dots between"},
        {BEGIN "  detect: [ssn]\n", "2: rules[0].action: must be drop, mask or hash"},
        {BEGIN "  detect: [ssn]\n  action: remove\n",
         "5: rules[0].action: must be drop, mask or hash"},
        {BEGIN "  detect: [ssn]\n  action: hash\n",
         "5: rules[0].action: is hash, and there is no hash_key"},
        {GOOD "  path: [x]\n", "6: rules[0].path: is no field of a rule"},
        {GOOD "- name: a\n  topics: [t]\n  detect: [ssn]\n  action: mask\n",
         "6: rules[1].name: is already the name of an earlier rule"},
        {GOOD "- name: b\n  topics: [t]\n  detect: [ssn]\n  action: masks\n",
         "9: rules[1].action: must be drop"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        assert_refused(examples[i].yaml, examples[i].message);
}

static void test_a_path_that_is_none_is_refused(void **state) {
    static const char *const paths[] = {".a",  "a.",  "a..b", "a[0]",     "a[",
                                        "a[*", "a b", "[\"a", "[\"\"]x",  "a[*]b",
                                        "*",   "a.*", "[]",   "a[\"b\"]c"};
    char yaml[200];
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        snprintf(yaml, sizeof yaml, BEGIN "  paths: ['%s']\n  action: mask\n", paths[i]);
        assert_refused(yaml, "4: rules[0].paths[0]: ");
    }
}

static void test_there_are_bounds(void **state) {
    struct buf yaml = {0};
    (void)state;
    buf_puts(&yaml, BEGIN "  paths: ['a");
    for (int i = 0; i < 32; i++)
        buf_puts(&yaml, "[*]");
    buf_puts(&yaml, "']\n  action: mask\n");
    assert_refused(yaml.data, "4: rules[0].paths[0]: a path has at most 32");
    buf_clear(&yaml);
    buf_puts(&yaml, BEGIN "  paths: [a");
    for (int i = 0; i < 64; i++)
        buf_puts(&yaml, ",a");
    buf_puts(&yaml, "]\n  action: mask\n");
    assert_refused(yaml.data, "4: rules[0].paths: has too many");
    buf_clear(&yaml);
    buf_puts(&yaml, "rules:\n");
    for (int i = 0; i < 101; i++)
        buf_puts(&yaml, "- x\n");
    assert_refused(yaml.data, "1: rules: must be a list of at most 100");
    buf_fini(&yaml);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_file_is_taken),
        cmocka_unit_test(test_what_is_wrong_is_told_with_line_and_field),
        cmocka_unit_test(test_a_path_that_is_none_is_refused),
        cmocka_unit_test(test_there_are_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
