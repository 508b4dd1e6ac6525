/* The JSON scanner: what is JSON and what is not, judged beside two independent parsers on
 * tests/unit/json/corpus.txt; where the members are; and that no input makes it slow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>
#include <yajl/yajl_parse.h>

#include "common/base/buf.h"
#include "common/json/json_scan.h"

static struct span content(const struct buf *b) { return (struct span){b->data, b->len}; }

/* {"d":[[…]]} with `depth` levels in all. */
static void put_nested(struct buf *out, unsigned depth) {
    buf_puts(out, "{\"d\":");
    for (unsigned i = 1; i < depth; i++)
        buf_puts(out, "[");
    buf_puts(out, depth == 1 ? "1" : "");
    for (unsigned i = 1; i < depth; i++)
        buf_puts(out, "]");
    buf_puts(out, "}");
}

/* --- the corpus, and the two parsers to compare the scanner with */

static bool scanner_takes(struct span text, unsigned depth_max) {
    struct error err;
    return json_scan(text, depth_max, &err) == 0;
}

static bool jansson_takes(struct span text, size_t more_flags) {
    json_error_t err;
    json_t *tree = json_loadb(
        text.data, text.len,
        JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL | more_flags, &err);
    json_decref(tree);
    return tree != NULL;
}

static bool yajl_takes(struct span text) {
    yajl_handle parser = yajl_alloc(NULL, NULL, NULL);
    bool taken = yajl_parse(parser, (const unsigned char *)text.data, text.len) == yajl_status_ok &&
                 yajl_complete_parse(parser) == yajl_status_ok;
    yajl_free(parser);
    return taken;
}

/* Which parser accepts the documents of a group. Lists all differences between the three. */
static const struct group {
    const char *name; /* prefix of the documents' names */
    bool scanner, jansson, yajl;
} groups[] = {
    {"y_", true, true, true},           {"n_", false, false, false},
    {"space_", false, false, true},     /* yajl takes a vertical tab and a form feed */
    {"utf8_", false, false, true},      /* yajl takes overlong forms and surrogates */
    {"surrogate_", false, false, true}, /* yajl puts a ? for an escaped lone surrogate */
    {"duplicate_", false, false, true}, /* jansson refuses them when asked to */
    {"large_", true, false, true},      /* jansson must make a double of a number */
    {"zero_", true, false, true},       /* jansson's names end at U+0000 */
    {"deep_", false, true, true},       /* the limit is the caller's */
};
enum { GROUPS = sizeof groups / sizeof *groups };

static const struct group *group_of(const char *name) {
    for (size_t i = 0; i < GROUPS; i++)
        if (strncmp(name, groups[i].name, strlen(groups[i].name)) == 0)
            return &groups[i];
    fail_msg("%s belongs to no group", name);
    return NULL;
}

/* Calls `check` for each document of the corpus with its name; returns how many there were. */
static size_t each_document(void (*check)(const char *name, struct span document)) {
    FILE *file = fopen("tests/unit/json/corpus.txt", "r");
    char line[4096];
    size_t count = 0;
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (!*line || *line == '#')
            continue;
        char *from = line + strcspn(line, " "), *to = line;
        char name[96];
        snprintf(name, sizeof name, "%.*s", (int)(from - line), line);
        for (from += *from == ' '; *from; from++, to++) {
            const char hex[] = {*from == '%' ? from[1] : 0, *from == '%' ? from[2] : 0, 0};
            *to = *hex ? (char)strtol(hex, NULL, 16) : *from;
            from += *hex ? 2 : 0;
        }
        size_t len = (size_t)(to - line);
        char *document = memcpy(mem_alloc(len), line,
                                len); /* so that a sanitizer detects a read beyond the end */
        check(name, (struct span){document, len});
        free(document);
        count++;
    }
    fclose(file);
    return count;
}

static int disagreements;

static void judge(const char *who, bool takes, bool should, const char *name) {
    if (takes == should)
        return;
    print_error("%s %s %s\n", who, takes ? "takes" : "refuses", name);
    disagreements++;
}

static void check_document(const char *name, struct span document) {
    const struct group *group = group_of(name);
    judge("the scanner", scanner_takes(document, JSON_DEPTH_MAX), group->scanner, name);
    judge("jansson", jansson_takes(document, JSON_REJECT_DUPLICATES), group->jansson, name);
    judge("yajl", yajl_takes(document), group->yajl, name);
}

static void test_the_scanner_and_two_other_parsers_judge_the_corpus_as_its_groups_say(
    void **state) {
    (void)state;
    disagreements = 0;
    assert_true(each_document(check_document) >= 300);
    assert_int_equal(disagreements, 0);
}

/* Leaves out what the three judge differently: U+0000 (jansson loses a raw one after a token), and
 * too large numbers. */
static void hold_against_both(struct span text) {
    bool taken = scanner_takes(text, JSON_DEPTH_MAX),
         jansson = jansson_takes(text, JSON_REJECT_DUPLICATES);
    if (taken != jansson || (taken && !yajl_takes(text)))
        fail_msg("the scanner %s %.*s", taken ? "takes" : "refuses", (int)text.len, text.data);
}

static const char base[] = "{\"a\\u0041\":[0,-10.5e+3,\"\\n\\ud83d\\ude00\xc3\xa9\xe2\x82\xac\"] "
                           ",\"b\":{\"c\":[true,false , null]}}";
enum { BASE_BYTES = sizeof base - 1 };

static void test_a_document_with_any_byte_changed_is_judged_as_jansson_does(void **state) {
    (void)state;
    for (size_t at = 0; at < BASE_BYTES; at++) {
        for (int byte = 1; byte < 256; byte++) {
            char text[sizeof base];
            memcpy(text, base, sizeof base);
            text[at] = (char)byte;
            hold_against_both((struct span){text, BASE_BYTES});
        }
    }
}

static void test_a_document_with_any_byte_put_in_or_taken_out_is_judged_as_jansson_does(
    void **state) {
    char text[BASE_BYTES + 1];
    (void)state;
    for (size_t at = 0; at <= BASE_BYTES; at++) {
        memcpy(text, base, at);
        memcpy(text + at + 1, base + at, BASE_BYTES - at);
        for (int byte = 1; byte < 256; byte++) {
            text[at] = (char)byte;
            hold_against_both((struct span){text, sizeof text});
        }
        hold_against_both((struct span){base, at});
        if (at < BASE_BYTES) {
            memcpy(text + at, base + at + 1, BASE_BYTES - at - 1);
            hold_against_both((struct span){text, BASE_BYTES - 1});
        }
    }
}

static void test_utf8_in_a_string_is_judged_as_jansson_does(void **state) {
    static const unsigned char later[] = {0x7f, 0x80, 0xbf, 0xc0};
    (void)state;
    for (unsigned first = 0x80; first <= 0xff; first++)
        for (unsigned second = 0x20; second <= 0xff; second++)
            for (unsigned i = 0; i < 16; i++) {
                const char text[] = {
                    '"', (char)first, (char)second, (char)later[i / 4], (char)later[i % 4], '"'};
                if (second != '"' && second != '\\')
                    hold_against_both((struct span){text, sizeof text});
            }
}

static void test_every_code_unit_alone_and_as_either_half_of_a_pair_is_judged_as_jansson_does(
    void **state) {
    char text[24];
    (void)state;
    for (unsigned unit = 0; unit <= 0xffff; unit++) {
        snprintf(text, sizeof text, "\"\\u%04x\"", unit);
        hold_against_both(span_of(text));
        snprintf(text, sizeof text, "\"\\ud83d\\u%04X\"", unit);
        hold_against_both(span_of(text));
        snprintf(text, sizeof text, "\"\\u%04x\\ude00\"", unit);
        hold_against_both(span_of(text));
    }
}

/* --- reasons */

static void test_a_refusal_tells_line_column_and_reason(void **state) {
    static const struct {
        const char *text, *place, *reason;
    } cases[] = {
        {"", "line 1, column 1", "the text ends"},
        {"{\"a\":1,}", "line 1, column 8", "name in double quotes"},
        {"{\n  \"a\": 1\n  \"b\": 2\n}", "line 3, column 3", "a comma or }"},
        {"[1,\r\n2,\r\n 03]", "line 3, column 2", "must not begin with 0"},
        {"[1.]", "line 1, column 4", "decimal point"},
        {"[1e]", "line 1, column 4", "exponent"},
        {"[-]", "line 1, column 3", "a digit"},
        {"NaN", "line 1, column 1", "a value"},
        {"['a']", "line 1, column 2", "a value"},
        {"[\"a\tb\"]", "line 1, column 4", "control character"},
        {"[\"a\\x\"]", "line 1, column 4", "unknown escape"},
        {"[\"\\u12g4\"]", "line 1, column 3", "four hex digits"},
        {"[\"a\\ud800\"]", "line 1, column 4", "lone surrogate"},
        {"[\"a\xc0\xaf\"]", "line 1, column 4", "UTF-8"},
        {"\xef\xbb\xbf[]", "line 1, column 1", "a value"},
        {"[]\n[]", "line 2, column 1", "nothing may follow"},
        {"{\"a\" 1}", "line 1, column 6", "a colon"},
        {"[\"a", "line 1, column 4", "the text ends within a string"},
        {"{\"a\":1,\n\"a\":2}", "line 2, column 2", "\"a\" is there twice"},
    };
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(json_scan(span_of(cases[i].text), JSON_DEPTH_MAX, &err), -1);
        if (!strstr(err.message, cases[i].place) || !strstr(err.message, cases[i].reason))
            fail_msg("%s: %s", cases[i].text, err.message);
    }
}

static void test_a_name_that_is_there_twice_is_told_as_the_field(void **state) {
    struct error err;
    (void)state;
    assert_int_equal(
        json_scan(span_of("{\"topic\":1,\"data\":{},\"topic\":2}"), JSON_DEPTH_MAX, &err), -1);
    assert_string_equal(err.field, "topic");
    assert_int_equal(json_scan(span_of("{\"data\":[{\"ndc\":1,\"ndc\":2}]}"), JSON_DEPTH_MAX, &err),
                     -1);
    assert_string_equal(err.field, "ndc");
    assert_int_equal(json_scan(span_of("[1"), JSON_DEPTH_MAX, &err), -1);
    assert_string_equal(err.field, "");
}

static void test_a_long_name_is_cut_between_characters(void **state) {
    struct buf text = {0};
    struct error err;
    (void)state;
    for (size_t shift = 0; shift < 4; shift++) {
        char name[128];
        size_t len = (size_t)snprintf(name, sizeof name, "%.*s", (int)shift, "abc");
        while (len < 100)
            len += (size_t)snprintf(name + len, sizeof name - len, "\U0001F600");
        buf_clear(&text);
        buf_printf(&text, "{\"%s\":1,\"%s\":2}", name, name);
        assert_int_equal(json_scan(content(&text), JSON_DEPTH_MAX, &err), -1);
        assert_true(strlen(err.field) > 40);
        assert_int_equal(strlen(err.field) % strlen("\U0001F600"), shift);
        assert_non_null(strstr(err.message, err.field));
    }
    buf_fini(&text);
}

/* --- members */

static void test_the_members_of_an_object_are_told_in_order_as_they_stand(void **state) {
    static const struct {
        const char *name, *value;
        enum json_kind kind;
    } expected[] = {
        {"n", "null", JSON_IS_NULL},
        {"t", "true", JSON_IS_BOOL},
        {"f", "false", JSON_IS_BOOL},
        {"i", "-1.5e3", JSON_IS_NUMBER},
        {"s\\u0041", "\"\\n\"", JSON_IS_STRING},
        {"a", "[ 1 , {\"x\":1} ]", JSON_IS_ARRAY},
        {"o", "{ \"t\" : 1 }", JSON_IS_OBJECT},
    };
    const char *text = " {\"n\":null , \"t\" : true,\"f\":false,\n\"i\":-1.5e3,"
                       "\"s\\u0041\":\"\\n\",\"a\":[ 1 , {\"x\":1} ],\"o\":{ \"t\" : 1 } } ";
    struct json_member members[7];
    struct error err;
    size_t count;
    (void)state;
    assert_int_equal(json_scan_object(span_of(text), JSON_DEPTH_MAX, members, 7, &count, &err), 0);
    assert_int_equal(count, 7);
    for (size_t i = 0; i < count; i++) {
        assert_true(span_equal(members[i].name, span_of(expected[i].name)));
        assert_true(span_equal(members[i].value, span_of(expected[i].value)));
        assert_int_equal(members[i].kind, expected[i].kind);
    }
    assert_int_equal(json_scan_object(span_of(text), JSON_DEPTH_MAX, members, 6, &count, &err), -1);
    assert_non_null(strstr(err.message, "more than 6 members"));
    assert_int_equal(count, 0);
}

static void test_only_an_object_has_members(void **state) {
    static const char *const others[] = {"[]", "[{\"a\":1}]", "1", "\"{}\"", "null", "true"};
    struct json_member members[4];
    struct error err;
    size_t count;
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(
            json_scan_object(span_of(others[i]), JSON_DEPTH_MAX, members, 4, &count, &err), -1);
        assert_non_null(strstr(err.message, "must be a JSON object"));
    }
}

static void test_the_depth_that_is_allowed_is_the_callers(void **state) {
    struct buf text = {0};
    (void)state;
    for (unsigned depth = 1; depth < 40; depth++) {
        buf_clear(&text);
        put_nested(&text, depth);
        assert_true(scanner_takes(content(&text), depth));
        assert_false(scanner_takes(content(&text), depth - 1));
    }
    assert_true(scanner_takes(span_of("1"), 0));
    buf_fini(&text);
}

/* --- hostile input */

static void put_members(struct buf *out, size_t n) {
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s\"%zu\":0", i ? "," : "{", i);
    buf_puts(out, "}");
}

static void put_escaped_members(struct buf *out, size_t n) {
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s\"\\u%04zx\\ud8%02zx\\ude00\":0", i ? "," : "{", i % 0xd000, i / 0xd000);
    buf_puts(out, "}");
}

static void put_small_objects(struct buf *out, size_t n) {
    for (size_t i = 0; i < n; i++)
        buf_puts(out, i ? ",{\"a\":{},\"b\":1}" : "[{\"a\":{},\"b\":1}");
    buf_puts(out, "]");
}

/* The outer object has many names, each inner object a few: inner names must not be compared with
 * outer names. */
static void put_objects_in_members(struct buf *out, size_t n) {
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s\"%zu\":{\"a\":[{\"b\":0}],\"c\":0}", i ? "," : "{", i);
    buf_puts(out, "}");
}

static void put_line_breaks_and_an_error(struct buf *out, size_t n) {
    for (size_t i = 0; i < n; i++)
        buf_puts(out, "\n[1,");
}

static void put_escapes(struct buf *out, size_t n) {
    for (size_t i = 0; i < n; i++)
        buf_puts(out, i ? "\\ud83d\\ude00" : "\"");
    buf_puts(out, "\"");
}

/* CPU time of a scan in ms, the least of three runs. */
static double scan_cost_ms(void (*put)(struct buf *, size_t), size_t n) {
    struct buf text = {0};
    double least = 1e9;
    put(&text, n);
    for (int i = 0; i < 3; i++) {
        clock_t begin = clock();
        scanner_takes(content(&text), JSON_DEPTH_MAX);
        double ms = (double)(clock() - begin) * 1000 / CLOCKS_PER_SEC;
        least = ms < least ? ms : least;
    }
    buf_fini(&text);
    return least;
}

static void test_the_time_grows_with_the_input_only(void **state) {
    static void (*const shapes[])(struct buf *, size_t) = {
        put_members,
        put_escaped_members,
        put_small_objects,
        put_objects_in_members,
        put_line_breaks_and_an_error,
        put_escapes,
    };
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        double some = scan_cost_ms(shapes[i], 6250),
               many = scan_cost_ms(
                   shapes[i],
                   100000); /* 16 times as many; quadratic time would be 256 times as long */
        if (many > 80 * (some + 0.2))
            fail_msg("shape %zu: %.1f ms, and %.1f ms for 16 times as much", i, some, many);
    }
}

static void test_a_name_that_is_there_twice_is_found_among_a_hundred_thousand(void **state) {
    static const size_t places[][2] = {{0, 99999}, {0, 1}, {99998, 99999}, {31, 50000}};
    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct buf text = {0};
        struct error err;
        for (size_t at = 0; at < 100000; at++)
            if (at == places[i][1])
                buf_printf(&text, "%s\"\\u0078%zu\":0", at ? "," : "{", places[i][0]);
            else
                buf_printf(&text, "%s\"x%zu\":0", at ? "," : "{", at);
        buf_puts(&text, "}");
        assert_int_equal(json_scan(content(&text), JSON_DEPTH_MAX, &err), -1);
        assert_non_null(strstr(err.message, "is there twice"));
        buf_fini(&text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_scanner_and_two_other_parsers_judge_the_corpus_as_its_groups_say),
        cmocka_unit_test(test_a_document_with_any_byte_changed_is_judged_as_jansson_does),
        cmocka_unit_test(
            test_a_document_with_any_byte_put_in_or_taken_out_is_judged_as_jansson_does),
        cmocka_unit_test(test_utf8_in_a_string_is_judged_as_jansson_does),
        cmocka_unit_test(
            test_every_code_unit_alone_and_as_either_half_of_a_pair_is_judged_as_jansson_does),
        cmocka_unit_test(test_a_refusal_tells_line_column_and_reason),
        cmocka_unit_test(test_a_name_that_is_there_twice_is_told_as_the_field),
        cmocka_unit_test(test_a_long_name_is_cut_between_characters),
        cmocka_unit_test(test_the_members_of_an_object_are_told_in_order_as_they_stand),
        cmocka_unit_test(test_only_an_object_has_members),
        cmocka_unit_test(test_the_depth_that_is_allowed_is_the_callers),
        cmocka_unit_test(test_the_time_grows_with_the_input_only),
        cmocka_unit_test(test_a_name_that_is_there_twice_is_found_among_a_hundred_thousand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
