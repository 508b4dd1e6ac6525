/* A subscriber's spec as JSON: every field with its limits, what is refused and why, and the
 * canonical writing of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/json/json_scan.h"
#include "common/model/spec.h"

static const struct spec_rules from_api = {0}, from_file = {.from_file = true};
static struct spec spec;
static struct error err;
static char written[8192];

/* JSON in these tests is written with single quotes. */
static const char *json(const char *text) {
    static char quoted[16384];
    snprintf(quoted, sizeof quoted, "%s", text);
    for (char *p = quoted; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    return quoted;
}

/* {'url':…,'topics':['a'],'name':value} */
static const char *with(const char *name, const char *value) {
    static char texts[2][16384];
    static unsigned turn; /* so that two can be compared */
    char *text = texts[turn++ % 2];
    const char *url = strcmp(name, "url") == 0 ? "" : "'url':'https://v.example/h',";
    const char *topics = strcmp(name, "topics") == 0 ? "" : "'topics':['a'],";
    snprintf(text, sizeof texts[0], "{%s%s'%s':%s}", url, topics, name, value);
    return text;
}

static int read_with(const struct spec_rules *rules, const char *text) {
    int result = spec_from_json(&spec, span_of(json(text)), rules, &err);
    if (result == 0) {
        struct buf out = {0};
        spec_to_json(&spec, true, &out);
        assert_int_equal(json_scan((struct span){out.data, out.len}, JSON_DEPTH_MAX, &err), 0);
        snprintf(written, sizeof written, "%s", out.data);
        buf_fini(&out);
    }
    return result;
}

static void assert_taken(const char *text) {
    if (read_with(&from_api, text))
        fail_msg("%s: %s", text, err.message);
    spec_fini(&spec);
}

static void assert_refused_by(const struct spec_rules *rules, const char *text, const char *field,
                              const char *reason) {
    if (read_with(rules, text) == 0)
        fail_msg("taken: %s", text);
    assert_string_equal(err.field, field);
    if (!strstr(err.message, reason))
        fail_msg("%s: %s", text, err.message);
}

static void assert_refused(const char *text, const char *field, const char *reason) {
    assert_refused_by(&from_api, text, field, reason);
}

/* Each of a list that ends with NULL is taken, or refused with the field's name. */
static void each_taken(const char *field, const char *const *values) {
    for (; *values; values++)
        assert_taken(with(field, *values));
}
static void each_refused(const char *field, const char *const *values, const char *reason) {
    for (; *values; values++)
        assert_refused(with(field, *values), field, reason);
}
#define VALUES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* --- the whole */

static void test_the_seeds_registration_is_taken_as_it_stands(void **state) {
    (void)state;
    assert_int_equal(read_with(&from_api, "{\n 'url':'https://vendor.com/hook',\n "
                                          "'topics':['appointment.*'],\n 'secret':'vend0r'\n }"),
                     0);
    assert_string_equal(spec.url, "https://vendor.com/hook");
    assert_int_equal(spec.subscription.patterns_count, 1);
    assert_string_equal(spec.subscription.patterns[0], "appointment.*");
    assert_string_equal(spec.secret, "vend0r");
    assert_string_equal(spec.id, "");
    assert_int_equal(spec.from, SPEC_FROM_END);
    assert_int_equal(spec.ordering, SPEC_STRICT);
    assert_int_equal(spec.max_in_flight, 1);
    assert_true(spec.throttle == 0 && spec.timeout_ms == -1 && spec.max_attempts == -1 &&
                spec.backoff_min_ms == -1);
    assert_true(spec.backoff_max_ms == -1 && spec.disable_after_ms == -1);
    assert_true(!spec.description && !spec.secret_file && spec.headers_count == 0);
    spec_fini(&spec);
}

static void test_every_field_is_read(void **state) {
    const char *text =
        "{'id':'md-mm1','url':'https://v.example/"
        "h?x=1','topics':['drug.copay','*'],'filter':{'data':{'state':['MD',1.50]}},"
        "'throttle':2.5,'ordering':'key',"
        "'max_in_flight':8,'timeout':'1m','max_attempts':3,'backoff_min':'500ms','backoff_max':'2h'"
        ",'disable_after':'1d12h',"
        "'exhausted':'dead_letter',"
        "'headers':{'Authorization':'Bearer x','X-B':'2'},'description':'MMIS \u00e9'";
    char whole[1024], expected[1024];
    (void)state;
    snprintf(whole, sizeof whole, "%s,'secret':'s3cr3t','from':42}", text);
    snprintf(expected, sizeof expected, "%s}", text);
    assert_int_equal(read_with(&from_api, whole), 0);
    assert_string_equal(spec.secret, "s3cr3t");
    assert_true(spec.from == SPEC_FROM_CURSOR && spec.from_value == 42 && spec.max_in_flight == 8);
    assert_true(spec.timeout_ms == 60000 && spec.backoff_min_ms == 500);
    assert_true(spec.backoff_max_ms == 7200000 && spec.disable_after_ms == 129600000 &&
                spec.dead_letters_all);
    assert_string_equal(written, json(expected));
    spec_fini(&spec);
}

static void test_url_and_topics_must_be_there_and_in_a_file_id_and_secret_too(void **state) {
    (void)state;
    assert_refused("{}", "topics", "is missing");
    assert_refused("{'url':'https://v.example/h'}", "topics", "is missing");
    assert_refused_by(&from_file, "{'url':'https://v.example/h','topics':['a'],'secret':'s'}", "id",
                      "is missing");
    assert_refused_by(&from_file, "{'id':'a','url':'https://v.example/h','topics':['a']}", "secret",
                      "is missing");
    assert_int_equal(
        read_with(&from_file,
                  "{'id':'a','url':'https://v.example/h','topics':['a'],'secret_file':'/run/s'}"),
        0);
    assert_string_equal(spec.secret_file, "/run/s");
    spec_fini(&spec);
}

static void test_unknown_fields_are_refused_by_name(void **state) {
    (void)state;
    each_refused("throtle", VALUES("5"), "is no field of a subscriber");
    each_refused("Url", VALUES("'https://v.example'"), "is no field");
    each_refused("status", VALUES("{}"), "is no field");
    each_refused("secret_file", VALUES("'/etc/passwd'"), "is no field");
}

static void test_a_name_with_a_zero_character_is_no_field(void **state) {
    (void)state;
    assert_refused(with("throttle\\u0000", "5"), "", "U+0000");
    assert_refused(
        "{'url':'https://v.example/h','url\\u0000x':'http://v.example/h','topics':['a']}", "",
        "U+0000");
    assert_refused(with("headers", "{'X-A':'1','X-A\\u0000':'2'}"), "", "U+0000");
    assert_refused(with("secret", "'a\\u0000b'"), "", "U+0000");
    assert_taken(with("secret", "'a\\\\u0000b'"));
}

static void test_what_is_not_an_object_of_json_is_refused(void **state) {
    static const char *const texts[] = {
        "",
        "1",
        "[]",
        "'a'",
        "null",
        "{'url':NaN}",
        "{url:1}",
        "{'url':'a',}",
        "{'topics':[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
        "{'id':'\xff'}"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_refused(texts[i], "", "JSON");
    assert_refused("{'url':'a','\\u0075rl':'b'}", "\\u0075rl", "is there twice");
}

static void test_a_spec_has_at_most_64_kib(void **state) {
    struct buf text = {0};
    (void)state;
    buf_printf(&text, "{\"url\":\"https://v.example/h\",\"topics\":[\"a\"]%*s}",
               SPEC_FILE_BYTES_MAX, "");
    assert_int_equal(spec_from_json(&spec, (struct span){text.data, text.len}, &from_api, &err),
                     -1);
    assert_non_null(strstr(err.message, "65536 bytes"));
    size_t excess = text.len - SPEC_FILE_BYTES_MAX;
    memmove(text.data + text.len - 1 - excess, text.data + text.len - 1, 1);
    assert_int_equal(
        spec_from_json(&spec, (struct span){text.data, SPEC_FILE_BYTES_MAX}, &from_api, &err), 0);
    spec_fini(&spec);
    buf_fini(&text);
}

static void test_the_url_is_checked(void **state) {
    struct cidr allowed;
    const struct spec_rules rules = {.allowed = &allowed, .allowed_count = 1};
    (void)state;
    each_refused("url",
                 VALUES("'http://vendor.com/hook'", "'https://127.0.0.1/'", "''", "1", "null",
                        "['https://vendor.com/']"),
                 "url: ");
    assert_refused("{'url':'https://vendor.com/\\u0000','topics':['a']}", "", "U+0000");
    assert_int_equal(cidr_parse("127.0.0.0/8", &allowed, &err), 0);
    assert_int_equal(read_with(&rules, with("url", "'https://127.0.0.1/'")), 0);
    spec_fini(&spec);
    assert_refused_by(&rules, with("url", "'https://10.0.0.1/'"), "url", "is not a public address");
}

static void test_a_url_has_at_most_2048_bytes(void **state) {
    char url[2200];
    (void)state;
    for (int len = SPEC_URL_BYTES_MAX - 1; len <= SPEC_URL_BYTES_MAX + 1; len++) {
        snprintf(url, sizeof url, "'https://vendor.com/%0*d'",
                 len - (int)strlen("https://vendor.com/"), 0);
        assert_int_equal(read_with(&from_api, with("url", url)),
                         len <= SPEC_URL_BYTES_MAX ? 0 : -1);
        if (len <= SPEC_URL_BYTES_MAX)
            spec_fini(&spec);
    }
    assert_string_equal(err.field, "url");
}

/* --- the other fields */

static void test_an_id_has_1_to_64_letters_digits_underscores_and_hyphens(void **state) {
    char id[80];
    (void)state;
    each_taken("id", VALUES("'a'", "'md-mm1'", "'A_9-'", "'-'"));
    each_refused(
        "id", VALUES("''", "'a b'", "'a.b'", "'a/b'", "'\u00e9'", "'a\\n'", "1", "null", "['a']"),
        "id: m");
    for (int len = 63; len <= 65; len++) {
        snprintf(id, sizeof id, "'%0*d'", len, 0);
        assert_int_equal(read_with(&from_api, with("id", id)), len <= 64 ? 0 : -1);
        if (len <= 64)
            spec_fini(&spec);
    }
}

static void test_topics_are_1_to_100_patterns(void **state) {
    struct buf list = {0};
    (void)state;
    each_taken("topics", VALUES("['*']", "['drug.copay']", "['a.*','*.b.*','c']"));
    each_refused("topics", VALUES("[]", "'drug.copay'", "{'a':1}", "null", "1"),
                 "must be a list of 1 to 100 topics");
    each_refused("topics",
                 VALUES("['drug.co*']", "['**']", "['a..b']", "['a b']", "['']", "[1]", "[null]",
                        "[['a']]", "['a','b*']"),
                 "topics: ");
    assert_refused(with("topics", "['ok','drug.co*']"), "topics",
                   "\"drug.co*\" a wildcard must be a whole segment");
    for (int count = 100; count <= 101; count++) {
        buf_clear(&list);
        for (int i = 0; i < count; i++)
            buf_printf(&list, "%c'a%d'", i ? ',' : '[', i);
        buf_puts(&list, "]");
        assert_int_equal(read_with(&from_api, with("topics", list.data)), count <= 100 ? 0 : -1);
        if (count <= 100)
            spec_fini(&spec);
    }
    buf_fini(&list);
}

static void test_a_throttle_is_a_number_from_a_hundredth_to_ten_thousand(void **state) {
    (void)state;
    each_taken("throttle", VALUES("5", "0.01", "10000", "1e3", "2.5", "1E-2"));
    each_refused("throttle",
                 VALUES("0", "-1", "0.009", "-0.5", "10000.01", "1e400", "-1e400",
                        "99999999999999999999", "'5'", "null", "true", "[5]", "'NaN'"),
                 "must be a number of events a second from 0.01 to 10000");
    assert_refused(with("throttle", "NaN"), "", "JSON");
}

static void test_whole_numbers_have_their_ranges(void **state) {
    (void)state;
    each_taken("max_attempts", VALUES("1", "1000"));
    each_refused("max_attempts",
                 VALUES("0", "-1", "1001", "1.5", "1e1", "'3'", "null", "99999999999999999999",
                        "-99999999999999999999"),
                 "from 1 to 1000");
    assert_taken(
        "{'url':'https://v.example','topics':['a'],'ordering':'none','max_in_flight':1000}");
    each_refused("max_in_flight", VALUES("0", "1001", "'1'", "1.0"), "from 1 to 1000");
}

static void test_durations_have_their_ranges_and_a_unit(void **state) {
    (void)state;
    each_taken("timeout", VALUES("'100ms'", "'15s'", "'5m'", "'4m60s'"));
    each_refused("timeout",
                 VALUES("'99ms'", "'5m1ms'", "'0'", "'15'", "15", "'-1s'", "'1.5s'", "'15 s'", "''",
                        "null", "'9999999999999d'"),
                 "from 100ms to 5m");
    each_taken("backoff_min", VALUES("'10ms'", "'1h'"));
    each_refused("backoff_min", VALUES("'9ms'", "'61m'"), "from 10ms to 1h");
    each_taken("backoff_max", VALUES("'10ms'", "'1d'"));
    each_refused("backoff_max", VALUES("'9ms'", "'25h'"), "from 10ms to 1d");
    each_taken("disable_after", VALUES("'1m'", "'30d'"));
    each_refused("disable_after", VALUES("'59s'", "'31d'"), "from 1m to 30d");
    each_refused("exhausted", VALUES("'never'", "true", "null"), "wait or dead_letter");
}

static void test_from_is_end_beginning_a_cursor_or_a_time(void **state) {
    static const struct {
        const char *value;
        enum spec_from from;
        int64_t number;
    } cases[] = {
        {"'end'", SPEC_FROM_END, 0},
        {"'beginning'", SPEC_FROM_BEGINNING, 0},
        {"0", SPEC_FROM_CURSOR, 0},
        {"42", SPEC_FROM_CURSOR, 42},
        {"999999999999999999", SPEC_FROM_CURSOR, 999999999999999999},
        {"'1970-01-01T00:00:01.5Z'", SPEC_FROM_TIME, 1500},
        {"'2024-05-07T16:03:11+02:00'", SPEC_FROM_TIME, 1715090591000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_with(&from_api, with("from", cases[i].value)), 0);
        assert_int_equal(spec.from, cases[i].from);
        assert_int_equal(spec.from_value, cases[i].number);
        spec_fini(&spec);
    }
    each_refused("from",
                 VALUES("-1", "1000000000000000000", "99999999999999999999", "1.5", "'42'", "''",
                        "'now'", "'End'", "null", "true", "'2024-05-07'", "[]"),
                 "from: must be");
}

static void test_ordering_is_one_of_three_and_strict_has_one_in_flight(void **state) {
    (void)state;
    each_taken("ordering", VALUES("'strict'", "'key'", "'none'"));
    each_refused("ordering", VALUES("'Strict'", "''", "'fifo'", "1", "null"),
                 "must be strict, key or none");
    assert_refused(with("max_in_flight", "2"), "max_in_flight",
                   "must be 1 while ordering is strict");
    assert_int_equal(read_with(&from_api, with("ordering", "'key'")), 0);
    assert_int_equal(spec.max_in_flight, 16);
    spec_fini(&spec);
}

static void test_backoff_max_is_not_below_backoff_min(void **state) {
    (void)state;
    assert_taken(
        "{'url':'https://v.example','topics':['a'],'backoff_max':'1s','backoff_min':'1s'}");
    assert_refused(
        "{'url':'https://v.example','topics':['a'],'backoff_max':'1s','backoff_min':'2s'}",
        "backoff_max", "must not be below backoff_min");
}

static void test_a_secret_has_1_to_4096_bytes_and_whsec_needs_base64(void **state) {
    char secret[4200];
    (void)state;
    each_taken("secret", VALUES("'s'", "'\u00e9 \\n\u00e9'", "'whsec_c2VjcmV0'"));
    each_refused("secret",
                 VALUES("' s'", "'s '", "'s\\n'", "'s\\r\\n'", "'\\ts'", "'\ufeffs'", "'s\u00a0'"),
                 "secret: ");
    each_refused("secret", VALUES("'s\u200b'", "'whsec_c2VjcmV0 '"), "secret: ");
    each_refused("secret", VALUES("''", "1", "null", "'whsec_'", "'whsec_a'", "'whsec_c2Vj*mV0'"),
                 "secret: ");
    for (int len = 4096; len <= 4097; len++) {
        snprintf(secret, sizeof secret, "'%0*d'", len, 0);
        assert_int_equal(read_with(&from_api, with("secret", secret)), len <= 4096 ? 0 : -1);
        if (len <= 4096)
            spec_fini(&spec);
    }
    assert_refused_by(
        &from_file,
        "{'id':'a','url':'https://v.example','topics':['a'],'secret':'s','secret_file':'f'}",
        "secret_file", "beside secret");
}

static void test_no_refusal_shows_the_secret_or_a_headers_value(void **state) {
    (void)state;
    assert_refused(with("secret", "'whsec_pl4nted'"), "secret", "base64");
    assert_null(strstr(err.message, "pl4nted"));
    assert_refused(with("headers", "{'X-Key':'pl4nted\\n'}"), "headers", "X-Key");
    assert_null(strstr(err.message, "pl4nted"));
    assert_refused(with("url", "'https://user:pl4nted@v.example/'"), "url", "credentials");
    assert_null(strstr(err.message, "pl4nted"));
}

static void test_headers_are_names_with_printable_values(void **state) {
    (void)state;
    each_taken("headers", VALUES("{}", "{'X-Key':'a b'}", "{'Authorization':'Basic eDp5'}",
                                 "{'!#$%&*+.^_`|~09':'~'}", "{'Accept':'*/*'}"));
    each_refused("headers", VALUES("[]", "'a'", "null", "['X-Key']"), "must be a map");
    each_refused("headers",
                 VALUES("{'':'a'}", "{'a b':'c'}", "{'a:':'c'}", "{'\u00e9':'a'}", "{'a\\n':'b'}"),
                 "must have names of letters");
    each_refused("headers", VALUES("{'X':''}", "{'X':1}", "{'X':null}", "{'X':['a']}"), "must");
    each_refused("headers",
                 VALUES("{'X':'a\\nb'}", "{'X':'a\\r'}", "{'X':'\u00e9'}", "{'X':'a\\u007f'}",
                        "{'X':' a'}", "{'X':'a '}", "{'X':'\\ta'}"),
                 "the value of X");
    assert_refused(with("headers", "{'X-A':'1','x-a':'2'}"), "headers", "is there twice");
}

static void test_headers_that_ess_sets_cannot_be_set(void **state) {
    static const char *const names[] = {
        "content-type",        "Content-Length",    "User-Agent", "Host",
        "connection",          "Transfer-Encoding", "Expect",     "traceparent",
        "X-ESS-Signature",     "x-ess-anything",    "webhook-id", "Webhook-Signature",
        "Proxy-Authorization", "Accept-Encoding",   "Upgrade",    "TE"};
    char value[64];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(value, sizeof value, "{'%s':'a'}", names[i]);
        assert_refused(with("headers", value), "headers", "is set by ESS itself");
    }
    each_taken("headers", VALUES("{'X-ESSENCE':'a'}", "{'Hosts':'a'}", "{'webhooks':'a'}"));
}

static void test_there_are_at_most_32_headers_of_8_kib(void **state) {
    struct buf map = {0};
    (void)state;
    for (int count = 32; count <= 33; count++) {
        buf_clear(&map);
        for (int i = 0; i < count; i++)
            buf_printf(&map, "%c'X-%d':'a'", i ? ',' : '{', i);
        buf_puts(&map, "}");
        assert_int_equal(read_with(&from_api, with("headers", map.data)), count <= 32 ? 0 : -1);
        if (count <= 32)
            spec_fini(&spec);
    }
    buf_clear(&map);
    buf_printf(&map, "{'X-A':'%04096d','X-B':'%04096d'}", 0, 0);
    assert_refused(with("headers", map.data), "headers", "8192 bytes in all");
    buf_fini(&map);
}

static void test_a_description_has_1_to_1024_bytes(void **state) {
    char text[1100];
    (void)state;
    each_taken("description", VALUES("'State MMIS, Maryland \u00e9\\n'"));
    each_refused("description", VALUES("''", "1", "null"), "description: ");
    for (int len = 1024; len <= 1025; len++) {
        snprintf(text, sizeof text, "'%0*d'", len, 0);
        assert_int_equal(read_with(&from_api, with("description", text)), len <= 1024 ? 0 : -1);
        if (len <= 1024)
            spec_fini(&spec);
    }
}

/* --- filter */

static void test_a_filter_is_kept_as_it_was_written_without_white_space(void **state) {
    static const char *const kept[] = {
        "{'data':{'state':['MD','VA'],'copay':[{'numeric':['<',30]}]}}",
        "{'data':{'n':[12345678901234567890123456789,-0.10,1E400,'1','007','a/b','\u00e9']}}",
        "{'topic':[{'prefix':'drug.'}],'$or':[{'key':['k']},{'data':{'a':[null,true]}}]}",
        "{'data':{'a':[{'anything-but':{'prefix':['x','y']}}]}}"};
    char field[1024];
    (void)state;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        snprintf(field, sizeof field, " %s ", kept[i]);
        assert_int_equal(read_with(&from_api, with("filter", field)), 0);
        assert_string_equal(spec.filter, json(kept[i]));
        assert_non_null(strstr(written, spec.filter));
        spec_fini(&spec);
    }
    assert_taken(with("filter", "{ 'data' : { 'state' : [ 'MD' ] } }"));
}

static void test_a_bad_filter_is_refused_with_its_place(void **state) {
    (void)state;
    assert_refused(with("filter", "{'data':{'a':['x',{'numerik':['<',1]}]}}"), "filter.data.a[1]",
                   "filter.data.a[1]: unknown operator 'numerik': known are exactly, prefix");
    assert_refused(with("filter", "{'tipic':['a']}"), "filter.tipic", "unknown: may be topic");
    each_refused("filter", VALUES("'MD'", "['MD']", "1", "true", "null", "{}"), "filter: ");
    assert_refused(with("filter", "{'data':{'a':{'b':{'c':{'d':{'e':{'f':{'g':{'h':[1]}}}}}}}}}"),
                   "filter.data.a.b.c.d.e.f.g.h", "more than 8 levels");
    assert_taken(with("filter", "{'data':{'a':{'b':{'c':{'d':{'e':{'f':{'g':[1]}}}}}}}}"));
}

static void test_a_filter_has_at_most_16_kib_and_200_conditions(void **state) {
    struct buf text = {0};
    (void)state;
    for (int large = 0; large <= 1; large++) {
        buf_clear(&text);
        buf_puts(&text, "{\"url\":\"https://v.example/h\",\"topics\":[\"a\"],\"filter\":"
                        "{\"data\":{\"a\":[");
        for (int i = 0; i < (large ? 200 : 201); i++)
            buf_printf(&text, "%s\"%0*d\"", i ? "," : "", large ? 90 : 10, i);
        buf_puts(&text, "]}}}");
        assert_int_equal(spec_from_json(&spec, (struct span){text.data, text.len}, &from_api, &err),
                         -1);
        assert_non_null(strstr(err.message, large ? "filter: more than 16 KiB"
                                                  : "filter.data.a[200]: more than 200"));
    }
    buf_fini(&text);
}

/* --- writing */

static void assert_written_the_same(const char *one, const char *other) {
    char first[sizeof written];
    assert_taken(one);
    snprintf(first, sizeof first, "%s", written);
    assert_taken(other);
    assert_string_equal(first, written);
}

static void test_equal_specs_are_written_as_equal_bytes(void **state) {
    (void)state;
    assert_written_the_same("{'url':'https://v.example','topics':['a'],'throttle':5}",
                            "{'throttle':5.0,'topics':['a'],'url':'https://v.example'}");
    assert_written_the_same(with("timeout", "'60s'"), with("timeout", "'1m'"));
    assert_written_the_same(with("ordering", "'strict'"), with("max_in_flight", "1"));
    assert_written_the_same(with("ordering", "'strict'"), with("exhausted", "'wait'"));
    assert_written_the_same(
        "{'url':'https://v.example/h','topics':['a'],'ordering':'key','max_in_flight':16}",
        with("ordering", "'key'"));
    assert_written_the_same(with("headers", "{'X-B':'2','X-A':'1'}"),
                            with("headers", "{'X-A':'1','X-B':'2'}"));
    assert_written_the_same(with("secret", "'one'"), with("secret", "'other'"));
    assert_written_the_same(with("from", "1"), with("from", "'end'"));
    assert_written_the_same(with("headers", "{}"), with("from", "'end'"));
}

static void test_what_is_written_is_read_as_the_same(void **state) {
    static const char *const throttles[] = {
        "0.01", "0.1", "0.3", "3.3333333333333335", "12345e-2", "9999.999999999998", "10000"};
    char first[sizeof written];
    (void)state;
    for (size_t i = 0; i < sizeof throttles / sizeof *throttles; i++) {
        assert_int_equal(read_with(&from_api, with("throttle", throttles[i])), 0);
        double throttle = spec.throttle;
        spec_fini(&spec);
        snprintf(first, sizeof first, "%s", written);
        const char *rest = strstr(first, "\"url\""); /* without the empty id */
        snprintf(written, sizeof written, "{%s", rest);
        assert_int_equal(spec_from_json(&spec, span_of(written), &from_api, &err), 0);
        assert_memory_equal(&spec.throttle, &throttle, sizeof throttle);
        spec_fini(&spec);
    }
}

static void test_headers_are_written_as_names_where_values_are_secret(void **state) {
    struct buf out = {0};
    (void)state;
    assert_int_equal(read_with(&from_api, with("headers", "{'X-B':'pl4nted','X-A':'pl4nted'}")), 0);
    spec_to_json(&spec, false, &out);
    assert_string_equal(
        out.data,
        json("{'id':'','url':'https://v.example/h','topics':['a'],'headers':['X-A','X-B']}"));
    buf_fini(&out);
    spec_fini(&spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_seeds_registration_is_taken_as_it_stands),
        cmocka_unit_test(test_every_field_is_read),
        cmocka_unit_test(test_url_and_topics_must_be_there_and_in_a_file_id_and_secret_too),
        cmocka_unit_test(test_unknown_fields_are_refused_by_name),
        cmocka_unit_test(test_a_name_with_a_zero_character_is_no_field),
        cmocka_unit_test(test_what_is_not_an_object_of_json_is_refused),
        cmocka_unit_test(test_a_spec_has_at_most_64_kib),
        cmocka_unit_test(test_the_url_is_checked),
        cmocka_unit_test(test_a_url_has_at_most_2048_bytes),
        cmocka_unit_test(test_an_id_has_1_to_64_letters_digits_underscores_and_hyphens),
        cmocka_unit_test(test_topics_are_1_to_100_patterns),
        cmocka_unit_test(test_a_throttle_is_a_number_from_a_hundredth_to_ten_thousand),
        cmocka_unit_test(test_whole_numbers_have_their_ranges),
        cmocka_unit_test(test_durations_have_their_ranges_and_a_unit),
        cmocka_unit_test(test_from_is_end_beginning_a_cursor_or_a_time),
        cmocka_unit_test(test_ordering_is_one_of_three_and_strict_has_one_in_flight),
        cmocka_unit_test(test_backoff_max_is_not_below_backoff_min),
        cmocka_unit_test(test_a_secret_has_1_to_4096_bytes_and_whsec_needs_base64),
        cmocka_unit_test(test_no_refusal_shows_the_secret_or_a_headers_value),
        cmocka_unit_test(test_headers_are_names_with_printable_values),
        cmocka_unit_test(test_headers_that_ess_sets_cannot_be_set),
        cmocka_unit_test(test_there_are_at_most_32_headers_of_8_kib),
        cmocka_unit_test(test_a_description_has_1_to_1024_bytes),
        cmocka_unit_test(test_a_filter_is_kept_as_it_was_written_without_white_space),
        cmocka_unit_test(test_a_bad_filter_is_refused_with_its_place),
        cmocka_unit_test(test_a_filter_has_at_most_16_kib_and_200_conditions),
        cmocka_unit_test(test_equal_specs_are_written_as_equal_bytes),
        cmocka_unit_test(test_what_is_written_is_read_as_the_same),
        cmocka_unit_test(test_headers_are_written_as_names_where_values_are_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
