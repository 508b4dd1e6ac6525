/* Personal data by its form: what is found, what is not, and that no text makes the search slow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/pii/detect.h"

enum {
    SSN = 1 << DETECT_SSN,
    EMAIL = 1 << DETECT_EMAIL,
    PHONE = 1 << DETECT_PHONE,
    CARD = 1 << DETECT_CARD,
    ALL = 15
};

/* The text with each match as [match]. */
static void mark(struct span text, unsigned kinds, struct buf *out) {
    struct detect detect;
    size_t begin, end, at = 0;
    buf_clear(out);
    detect_init(&detect, text, kinds);
    while (detect_next(&detect, at, &begin, &end)) {
        assert_true(begin >= at && end > begin && end <= text.len);
        buf_append(out, text.data + at, begin - at);
        buf_printf(out, "[%.*s]", (int)(end - begin), text.data + begin);
        at = end;
    }
    buf_append(out, text.data + at, text.len - at);
}

struct example {
    const char *text, *marked; /* marked NULL: nothing is found */
};

static void check(unsigned kinds, const struct example *examples, size_t count) {
    struct buf out = {0};
    for (size_t i = 0; i < count; i++) {
        char *text = mem_alloc(strlen(examples[i].text)); /* no NUL at the end, so that a sanitizer
                                                             detects a read beyond the end */
        memcpy(text, examples[i].text, strlen(examples[i].text));
        mark((struct span){text, strlen(examples[i].text)}, kinds, &out);
        assert_string_equal(buf_string(&out),
                            examples[i].marked ? examples[i].marked : examples[i].text);
        free(text);
    }
    buf_fini(&out);
}
#define CHECK(kinds, examples) check(kinds, examples, sizeof examples / sizeof *examples)

static void test_social_security_numbers(void **state) {
    static const struct example examples[] = {
        {"123-45-6789", "[123-45-6789]"},
        {"123 45 6789", "[123 45 6789]"},
        {"123.45.6789", "[123.45.6789]"},
        {"123\xe2\x80\x91"
         "45\xe2\x80\x91"
         "6789",
         "[123\xe2\x80\x91"
         "45\xe2\x80\x91"
         "6789]"},
        {"123\xc2\xa0"
         "45\xc2\xa0"
         "6789",
         "[123\xc2\xa0"
         "45\xc2\xa0"
         "6789]"},
        {"SSN123-45-6789, or 987-65-4321.", "SSN[123-45-6789], or [987-65-4321]."},
        {"a123-45-6789b", "a[123-45-6789]b"},
        {"123 - 45 - 6789", "[123 - 45 - 6789]"},
        {"123--45--6789", "[123--45--6789]"},
        {"123    45    6789", NULL},
        {"123-45 6789", NULL},
        {"0123-45-6789", NULL},
        {"123-45-67890", NULL},
        {"123-456-789", NULL},
        {"123-45-678", NULL},
        {"123456789", NULL},
        {"123--45-6789", NULL},
        {"2024-05-07T14:03:11Z", NULL},
        {"123-45-", NULL},
        {"12", NULL},
        {"", NULL},
    };
    (void)state;
    CHECK(SSN, examples);
}

static void test_email_addresses(void **state) {
    static const struct example examples[] = {
        {"ann@example.com", "[ann@example.com]"},
        {"<ann.o'neil+tag@mail.example.co.uk>.", "<[ann.o'neil+tag@mail.example.co.uk]>."},
        {"mailto:ann@example.com?subject=x", "mailto:[ann@example.com]?subject=x"},
        {"a@b.cd,c@d.ef", "[a@b.cd],[c@d.ef]"},
        {"j\xc3\xbcrgen@m\xc3\xbcller.de", "[j\xc3\xbcrgen@m\xc3\xbcller.de]"},
        {"ann@example.com-", "[ann@example.com]-"},
        {"ann@example.com...", "[ann@example.com]..."},
        {"ann@localhost", NULL},
        {"@example.com", NULL},
        {"ann@", NULL},
        {"ann@.com", NULL},
        {"ann@1.2", NULL},
        {"ann @example.com", NULL},
        {"at@all and ann@example.com", "at@all and [ann@example.com]"},
        {"x@y@example.com", "x@[y@example.com]"},
    };
    (void)state;
    CHECK(EMAIL, examples);
}

static void test_phone_numbers(void **state) {
    static const struct example examples[] = {
        {"555-123-4567", "[555-123-4567]"},
        {"(555) 123-4567", "[(555) 123-4567]"},
        {"(555)123-4567", "[(555)123-4567]"},
        {"555.123.4567", "[555.123.4567]"},
        {"555 - 123 - 4567", "[555 - 123 - 4567]"},
        {"1 - 555 - 123 - 4567", "[1 - 555 - 123 - 4567]"},
        {"(555)  123--4567", "[(555)  123--4567]"},
        {"1-555-123-4567", "[1-555-123-4567]"},
        {"1 (555) 123 4567", "[1 (555) 123 4567]"},
        {"+1 (555) 123-4567", "[+1 (555) 123-4567]"},
        {"+15551234567", "[+15551234567]"},
        {"+49 30/123456-78", "[+49 30/123456-78]"},
        {"tel:+44 20 7946 0958!", "tel:[+44 20 7946 0958]!"},
        {"call 555 123 4567 or 555 765 4321", "call [555 123 4567] or [555 765 4321]"},
        {"5551234567", NULL},
        {"555-123-45678", NULL},
        {"5555-123-4567", NULL},
        {"(555-123-4567", "([555-123-4567]"},
        {"+1234567890123456", NULL},
        {"+123456", NULL},
        {"2+1234567", NULL},
        {"00002-8215", NULL},
        {"2024-05-07T14:03:11+00:00", NULL},
        {"+", NULL},
        {"(", NULL},
        {"(55", NULL},
        {"+1 (5", NULL},
    };
    (void)state;
    CHECK(PHONE, examples);
}

static void test_payment_cards(void **state) {
    static const struct example examples[] = {
        {"4111111111111111", "[4111111111111111]"},
        {"4111 1111 1111 1111", "[4111 1111 1111 1111]"},
        {"4111-1111-1111-1111 12/29", "[4111-1111-1111-1111] 12/29"},
        {"5555 5555 5555 4444", "[5555 5555 5555 4444]"},
        {"378282246310005", "[378282246310005]"},
        {"3782 822463 10005", "[3782 822463 10005]"},
        {"6011111111111117", "[6011111111111117]"},
        {"2223003122003222", "[2223003122003222]"},
        {"4222222222222", "[4222222222222]"},
        {"(4111111111111111)", "([4111111111111111])"},
        {"4111 1111 1111 1111 2029", "[4111 1111 1111 1111] 2029"},
        {"no 12 4111 1111 1111 1111", "no 12 [4111 1111 1111 1111]"},
        {"4111111111111112", NULL},
        {"411111111111111", NULL},
        {"04111111111111111", NULL},
        {"41111111111111111", NULL},
        {"1715090591123", NULL},
        {"a4111111111111111", NULL},
        {"4111111111111111f", NULL},
        {"4111  1111 - 1111 1111", "[4111  1111 - 1111 1111]"},
        {"4111    1111 1111 1111", NULL},
        {"411111111111", NULL},
    };
    (void)state;
    CHECK(CARD, examples);
}

static void test_of_several_kinds_each_is_found_and_the_longest_at_one_place(void **state) {
    static const struct example examples[] = {
        {"ann@example.com, 123-45-6789, 555-123-4567, 4111111111111111",
         "[ann@example.com], [123-45-6789], [555-123-4567], [4111111111111111]"},
        {"555-123-4567@example.com", "[555-123-4567@example.com]"},
        {"123-45-6789,ann@example.com", "[123-45-6789],[ann@example.com]"},
        {"x", NULL},
    };
    (void)state;
    CHECK(ALL, examples);
    static const struct example unasked[] = {{"ann@example.com 123-45-6789", NULL}};
    CHECK(0, unasked);
}

static void test_the_kinds_have_names(void **state) {
    (void)state;
    assert_int_equal(detect_kind_of("ssn"), DETECT_SSN);
    assert_int_equal(detect_kind_of("email"), DETECT_EMAIL);
    assert_int_equal(detect_kind_of("phone"), DETECT_PHONE);
    assert_int_equal(detect_kind_of("card"), DETECT_CARD);
    assert_int_equal(detect_kind_of("SSN"), -1);
    assert_int_equal(detect_kind_of(""), -1);
}

/* A megabyte of each takes less than a second of CPU, with room for a sanitizer. Quadratic time
 * would take minutes. */
static void test_no_text_makes_it_slow(void **state) {
    static const char *const pieces[] = {"a",
                                         "@",
                                         "a@",
                                         "a.",
                                         "@a.",
                                         "1",
                                         "4",
                                         "4 ",
                                         "+",
                                         "+1",
                                         "+1 (1",
                                         "(555)",
                                         "123-45-6789",
                                         "a@b.c",
                                         "1-2-",
                                         "555 ",
                                         "a@b.cd 123-45-6789 ",
                                         "4111 1111 1111 1111 "};
    struct buf text = {0};
    (void)state;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct detect detect;
        size_t begin, end, at = 0;
        buf_clear(&text);
        while (text.len < 1000000)
            buf_puts(&text, pieces[i]);
        clock_t began = clock();
        detect_init(&detect, (struct span){text.data, text.len}, ALL);
        while (detect_next(&detect, at, &begin, &end))
            at = end;
        assert_true((double)(clock() - began) / CLOCKS_PER_SEC < 2);
    }
    buf_fini(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_social_security_numbers),
        cmocka_unit_test(test_email_addresses),
        cmocka_unit_test(test_phone_numbers),
        cmocka_unit_test(test_payment_cards),
        cmocka_unit_test(test_of_several_kinds_each_is_found_and_the_longest_at_one_place),
        cmocka_unit_test(test_the_kinds_have_names),
        cmocka_unit_test(test_no_text_makes_it_slow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
