/* The form of a Publish, what a FIFO topic is given, and what SNS's answers mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "dispatcher/channel/delivery.h"
#include "dispatcher/channel/sns_message.h"

#define EVENT(members)                                                                             \
    "{\"topic\":\"a.b\",\"cursor\":42,\"prev_cursor\":41,\"id\":\"x\"," members                    \
    "\"data\":{\"key\":1}}"

static struct delivery delivery_of(enum delivery_kind kind, const char *event) {
    struct delivery delivery = {
        .kind = kind, .cursor = 42, .job = 7, .topic = span_of("a.b"), .id = span_of("ess-test-5")};
    buf_puts(&delivery.body, event);
    return delivery;
}

/* --- the form */

static void the_form_encodes_all_but_the_unreserved_characters(void **state) {
    struct sns_message message = {.topic_arn = span_of("arn:aws:sns:us-east-1:123456789012:t"),
                                  .body = span_of("{\"a\":\"\xc3\xa9 +&=%~-._\"}")};
    struct buf form = {0};
    (void)state;
    sns_message_add(&message, "ess-id", span_of("a/b"));
    sns_message_add(&message, "ess-empty", (struct span){0}); /* SNS takes none */
    sns_message_to_form(&message, &form);
    assert_string_equal(buf_string(&form),
                        "Action=Publish&Version=2010-03-31&"
                        "TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A123456789012%3At&"
                        "MessageAttributes.entry.1.Name=ess-id&"
                        "MessageAttributes.entry.1.Value.DataType=String&"
                        "MessageAttributes.entry.1.Value.StringValue=a%2Fb&"
                        "Message=%7B%22a%22%3A%22%C3%A9%20%2B%26%3D%25~-._%22%7D");
    buf_fini(&form);
}

static void every_byte_of_a_message_arrives(void **state) {
    char body[256];
    struct buf form = {0};
    (void)state;
    for (int i = 0; i < 256; i++)
        body[i] = (char)i;
    const struct sns_message message = {.topic_arn = span_of("t"), .body = {body, sizeof body}};
    sns_message_to_form(&message, &form);
    const char *at = strstr(buf_string(&form), "&Message=") + strlen("&Message=");
    for (unsigned i = 0; i < 256; i++) {
        unsigned byte = (unsigned char)*at++;
        if (byte == '%') {
            const char digits[3] = {at[0], at[1], 0};
            byte = (unsigned)strtoul(digits, NULL, 16);
            at += 2;
        }
        assert_int_equal(byte, i);
    }
    assert_int_equal(*at, 0);
    buf_fini(&form);
}

static void the_size_counts_names_types_and_values(void **state) {
    struct sns_message message = {.body = span_of("12345")};
    (void)state;
    assert_int_equal(sns_message_bytes(&message), 5);
    sns_message_add(&message, "name", span_of("value"));
    assert_int_equal(sns_message_bytes(&message), 5 + 4 + strlen("String") + 5);
}

/* --- attributes */

static const char *attribute(const struct sns_message *message, const char *name) {
    static char text[64];
    for (size_t i = 0; i < message->attributes_count; i++) {
        if (strcmp(message->attributes[i].name, name) != 0)
            continue;
        snprintf(text, sizeof text, "%.*s", (int)message->attributes[i].value.len,
                 message->attributes[i].value.data);
        return text;
    }
    return "";
}

static void the_attributes_are_the_events(void **state) {
    struct delivery delivery = delivery_of(DELIVERY_LIVE, EVENT(""));
    struct sns_message message = {0};
    struct sns_texts texts;
    (void)state;
    sns_message_add_delivery(&message, &delivery, &texts);
    assert_string_equal(attribute(&message, "ess-topic"), "a.b");
    assert_string_equal(attribute(&message, "ess-cursor"), "42");
    assert_string_equal(attribute(&message, "ess-prev-cursor"), "41");
    assert_string_equal(attribute(&message, "ess-id"), "ess-test-5");
    assert_string_equal(attribute(&message, "ess-replay"), "");
    buf_fini(&delivery.body);
}

static void a_redrive_names_its_job_and_a_test_has_no_cursor(void **state) {
    static const char body[] = "{\"topic\":\"a.b\",\"id\":\"x\",\"data\":{\"prev_cursor\":3}}";
    struct delivery redrive = delivery_of(DELIVERY_REDRIVE, body),
                    test = delivery_of(DELIVERY_TEST, body);
    struct sns_message message = {0}, other = {0};
    struct sns_texts texts;
    (void)state;
    sns_message_add_delivery(&message, &redrive, &texts);
    assert_string_equal(attribute(&message, "ess-replay"), "7");
    assert_string_equal(attribute(&message, "ess-prev-cursor"), "");
    sns_message_add_delivery(&other, &test, &texts);
    assert_int_equal(other.attributes_count, 2);
    buf_fini(&redrive.body);
    buf_fini(&test.body);
}

/* --- FIFO */

static const char *group_of(const char *event) {
    static char group[SNS_ID_BYTES];
    struct delivery delivery = delivery_of(DELIVERY_LIVE, event);
    struct sns_message message = {0};
    sns_message_set_fifo(&message, &delivery, "feed");
    snprintf(group, sizeof group, "%s", message.group);
    buf_fini(&delivery.body);
    return group;
}

#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static void the_group_is_the_key_or_its_hash_or_the_topic(void **state) {
    (void)state;
    assert_string_equal(group_of(EVENT("\"key\":\"md\\\"1\",")), "md\"1");
    assert_string_equal(group_of(EVENT("")), "a.b");
    /* sha256sum of "a b" */
    assert_string_equal(group_of(EVENT("\"key\":\"a b\",")),
                        "sha256-c8687a08aa5d6ed2044328fa6a697ab8e96dc34291e8c2034ae8c38e6fcc6d65");
    assert_string_equal(group_of(EVENT("\"key\":\"" HUNDRED TEN TEN "12345678\",")),
                        HUNDRED TEN TEN "12345678");
    assert_int_equal(
        strncmp(group_of(EVENT("\"key\":\"" HUNDRED TEN TEN "123456789\",")), "sha256-", 7), 0);
    assert_int_equal(strncmp(group_of(EVENT("\"key\":\"\xc3\xa9\",")), "sha256-", 7), 0);
}

/* As another program can append it. */
static void a_key_that_is_not_valid_gives_the_group_of_the_topic(void **state) {
    (void)state;
    assert_string_equal(group_of(EVENT("\"key\":\"\\q\",")), "a.b");
    assert_string_equal(group_of(EVENT("\"key\":\"\\u12\",")), "a.b");
    assert_string_equal(group_of(EVENT("\"key\":5,")), "a.b");
    assert_string_equal(group_of("{\"topic\":\"a.b\",\"key\":\"}"), "a.b");
}

static void a_replay_has_a_deduplication_id_of_its_own(void **state) {
    static const struct {
        enum delivery_kind kind;
        const char *id;
    } cases[] = {{DELIVERY_LIVE, "feed-42"},
                 {DELIVERY_REPLAY, "feed-42-7"},
                 {DELIVERY_REDRIVE, "feed-42-7"},
                 {DELIVERY_TEST, "feed-ess-test-5"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct delivery delivery = delivery_of(cases[i].kind, EVENT(""));
        struct sns_message message = {0};
        sns_message_set_fifo(&message, &delivery, "feed");
        assert_string_equal(message.deduplication, cases[i].id);
        buf_fini(&delivery.body);
    }
}

/* --- answers */

static char error[SNS_ERROR_BYTES];
static struct span said;

static enum verdict judge(int status, const char *answer) {
    return sns_judge(status, span_of(answer), error, &said);
}

static enum verdict judge_code(int status, const char *code, const char *message) {
    static char answer[512];
    snprintf(answer, sizeof answer,
             "<ErrorResponse><Error><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>",
             code, message);
    return judge(status, answer);
}

static void only_a_2xx_with_a_message_id_is_delivered(void **state) {
    (void)state;
    assert_int_equal(judge(200, "<MessageId>567910cd</MessageId>"), VERDICT_DELIVERED);
    assert_string_equal(error, "");
    static const char *const others[] = {"", "<html>", "<MessageId></MessageId>", "<MessageId>5",
                                         "</MessageId><MessageId>"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(judge(200, others[i]), VERDICT_FAILED);
        assert_string_equal(error, "the answer is not SNS's: it has no MessageId");
    }
    for (int status = 0; status <= 999; status++)
        if (status < 200 || status > 299)
            assert_int_not_equal(judge(status, "<MessageId>5</MessageId>"), VERDICT_DELIVERED);
}

static void what_an_operator_can_mend_is_tried_again(void **state) {
    static const char *const codes[] = {"NotFound",
                                        "AuthorizationError",
                                        "InvalidClientTokenId",
                                        "SignatureDoesNotMatch",
                                        "ExpiredToken",
                                        "ExpiredTokenException",
                                        "AuthorizationErrorException",
                                        "EndpointDisabled",
                                        "KMSAccessDenied",
                                        "OfAnother"};
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        assert_int_equal(judge_code(i % 2 ? 403 : 400, codes[i], "words"), VERDICT_FAILED);
        assert_true(strstr(error, ": "));
    }
    assert_string_equal(error, "OfAnother: words");
    assert_int_equal(judge(400, ""), VERDICT_FAILED);
    assert_string_equal(error, "");
    assert_int_equal(judge(500, ""), VERDICT_FAILED);
    assert_int_equal(judge(302, ""), VERDICT_FAILED);
}

static void throttling_is_by_code_or_status(void **state) {
    (void)state;
    assert_int_equal(judge_code(400, "Throttling", "Rate exceeded"), VERDICT_OVERLOADED);
    assert_int_equal(judge_code(400, "ThrottledException", ""), VERDICT_OVERLOADED);
    assert_int_equal(judge_code(400, "ThrottlingException", ""), VERDICT_OVERLOADED);
    assert_int_equal(judge_code(429, "OfAnother", ""), VERDICT_OVERLOADED);
    assert_int_equal(judge(429, ""), VERDICT_OVERLOADED);
    assert_int_equal(judge(503, "<html>"), VERDICT_OVERLOADED);
    assert_int_equal(judge(0, ""), VERDICT_UNANSWERED);
}

static void a_message_that_sns_never_takes_is_refused(void **state) {
    (void)state;
    assert_int_equal(judge_code(400, "InvalidParameter", "Invalid parameter: Message too long"),
                     VERDICT_REFUSED);
    assert_string_equal(error, "InvalidParameter: Invalid parameter: Message too long");
    assert_int_equal(judge_code(400, "InvalidParameterValueException", "x"), VERDICT_REFUSED);
    assert_int_equal(judge(413, ""), VERDICT_REFUSED);
    assert_int_equal(judge_code(400, "InvalidParameter", "Invalid parameter: TopicArn"),
                     VERDICT_FAILED);
    assert_int_equal(judge_code(500, "InvalidParameter", "x"), VERDICT_FAILED);
}

static void an_answer_that_is_cut_or_hostile_is_read_within_its_bounds(void **state) {
    static const char answer[] = "<Code>Throttling</Code><Message>\x01\x7f\xff%s%n</Message>";
    char exact[sizeof answer];
    (void)state;
    for (size_t len = 0; len < sizeof answer; len++) {
        memcpy(exact, answer, len);
        memset(exact + len, 'x', sizeof exact - len);
        enum verdict verdict = sns_judge(400, (struct span){exact, len}, error, &said);
        assert_int_equal(verdict, len >= strlen("<Code>Throttling</Code>") ? VERDICT_OVERLOADED
                                                                           : VERDICT_FAILED);
    }
    assert_int_equal(judge_code(400,
                                "Of\x01"
                                "Another",
                                "\x7f%s%n\xff"),
                     VERDICT_FAILED);
    assert_string_equal(error, "Of Another:  %s%n ");
}

/* --- batches */

static void a_batch_numbers_its_entries(void **state) {
    struct sns_message message = {.topic_arn = span_of("t"), .body = span_of("a")};
    struct buf form = {0};
    (void)state;
    sns_message_add(&message, "ess-id", span_of("x"));
    snprintf(message.group, sizeof message.group, "g");
    snprintf(message.deduplication, sizeof message.deduplication, "d");
    sns_batch_begin(message.topic_arn, &form);
    sns_batch_add(&message, 0, &form);
    sns_batch_add(&message, 9, &form);
#define ENTRY(number, id)                                                                          \
    "&PublishBatchRequestEntries.member." number ".Id=" id                                         \
    "&PublishBatchRequestEntries.member." number ".MessageAttributes.entry.1.Name=ess-id"          \
    "&PublishBatchRequestEntries.member." number                                                   \
    ".MessageAttributes.entry.1.Value.DataType=String"                                             \
    "&PublishBatchRequestEntries.member." number ".MessageAttributes.entry.1.Value.StringValue=x"  \
    "&PublishBatchRequestEntries.member." number ".MessageGroupId=g"                               \
    "&PublishBatchRequestEntries.member." number ".MessageDeduplicationId=d"                       \
    "&PublishBatchRequestEntries.member." number ".Message=a"
    assert_string_equal(buf_string(&form),
                        "Action=PublishBatch&Version=2010-03-31&TopicArn=t" ENTRY("1", "0")
                            ENTRY("10", "9"));
    buf_fini(&form);
}

static void an_event_of_a_batch_is_a_message_of_its_own(void **state) {
    struct delivery batch = {.kind = DELIVERY_LIVE, .batch = true};
    struct sns_event event;
    (void)state;
    delivery_begin_event(&batch, 41);
    buf_puts(&batch.body, EVENT(""));
    delivery_end_event(&batch);
    delivery_begin_event(&batch, 42);
    buf_puts(&batch.body, "{\"topic\":\"c\",\"cursor\":42,\"id\":\"a\\\"b\",\"data\":1}");
    delivery_end_event(&batch);
    delivery_end(&batch);
    sns_event_of(&batch, 1, &event);
    assert_true(event.delivery.cursor == 42 && span_equal(event.delivery.topic, span_of("c")) &&
                span_equal(event.delivery.id, span_of("a\"b")));
    assert_int_equal(event.delivery.body.data[event.delivery.body.len - 1], '}');
    delivery_fini(&batch);
}

#define TAKEN(id) "<member><MessageId>m</MessageId><Id>" id "</Id></member>"
#define FAILED(id, code)                                                                           \
    "<member><Id>" id "</Id><Code>" code "</Code><Message>words</Message></member>"
#define RESULT(taken, failed)                                                                      \
    "<PublishBatchResponse><PublishBatchResult><Successful>" taken "</Successful><Failed>" failed  \
    "</Failed></PublishBatchResult></PublishBatchResponse>"

static void each_entry_of_a_batch_is_judged_by_its_code(void **state) {
    enum verdict each[SNS_ENTRIES_MAX];
    bool judged;
    const struct span answer = span_of(RESULT(
        TAKEN("2") TAKEN("0"), FAILED("1", "InvalidParameter") FAILED("3", "ThrottledException")
                                   FAILED("4", "Odd") FAILED("99", "Odd") FAILED("x", "Odd")));
    (void)state;
    assert_int_equal(sns_judge_batch(200, answer, 6, each, &judged, error, &said),
                     VERDICT_DELIVERED);
    assert_true(judged);
    const enum verdict expected[] = {VERDICT_DELIVERED,  VERDICT_REFUSED, VERDICT_DELIVERED,
                                     VERDICT_OVERLOADED, VERDICT_FAILED,  VERDICT_FAILED};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(each[i], expected[i]);
    assert_string_equal(error, "InvalidParameter: words");
}

static void what_sns_says_of_a_whole_batch_is_on_all(void **state) {
    enum verdict each[SNS_ENTRIES_MAX];
    bool judged;
    (void)state;
    assert_int_equal(sns_judge_batch(200, span_of(RESULT("", FAILED("0", "Throttled"))), 1, each,
                                     &judged, error, &said),
                     VERDICT_OVERLOADED);
    assert_true(judged);
    assert_int_equal(sns_judge_batch(400,
                                     span_of("<Code>BatchRequestTooLong</Code><Message>m"
                                             "</Message>"),
                                     2, each, &judged, error, &said),
                     VERDICT_REFUSED);
    assert_false(judged);
    assert_int_equal(sns_judge_batch(200, span_of("<html/>"), 2, each, &judged, error, &said),
                     VERDICT_FAILED);
    assert_false(judged);
    assert_int_equal(sns_judge_batch(0, (struct span){0}, 2, each, &judged, error, &said),
                     VERDICT_UNANSWERED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_form_encodes_all_but_the_unreserved_characters),
        cmocka_unit_test(every_byte_of_a_message_arrives),
        cmocka_unit_test(the_size_counts_names_types_and_values),
        cmocka_unit_test(the_attributes_are_the_events),
        cmocka_unit_test(a_redrive_names_its_job_and_a_test_has_no_cursor),
        cmocka_unit_test(the_group_is_the_key_or_its_hash_or_the_topic),
        cmocka_unit_test(a_key_that_is_not_valid_gives_the_group_of_the_topic),
        cmocka_unit_test(a_replay_has_a_deduplication_id_of_its_own),
        cmocka_unit_test(only_a_2xx_with_a_message_id_is_delivered),
        cmocka_unit_test(what_an_operator_can_mend_is_tried_again),
        cmocka_unit_test(throttling_is_by_code_or_status),
        cmocka_unit_test(a_message_that_sns_never_takes_is_refused),
        cmocka_unit_test(an_answer_that_is_cut_or_hostile_is_read_within_its_bounds),
        cmocka_unit_test(a_batch_numbers_its_entries),
        cmocka_unit_test(an_event_of_a_batch_is_a_message_of_its_own),
        cmocka_unit_test(each_entry_of_a_batch_is_judged_by_its_code),
        cmocka_unit_test(what_sns_says_of_a_whole_batch_is_on_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
