/* A message for SNS, and SNS's answer; see sns_message.h. */
#include "dispatcher/channel/sns_message.h"

#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>

#include "common/base/hex.h"
#include "common/base/number.h"
#include "common/json/json_string.h"
#include "common/json/json_walk.h"
#include "common/model/event.h"
#include "common/net/form.h"
#include "dispatcher/channel/delivery.h"

/* --- the message */

void sns_message_add(struct sns_message *m, const char *name, struct span value) {
    if (value.len)
        m->attributes[m->attributes_count++] = (struct sns_attribute){name, value};
}

/* Returns the value of a member before the event's data, or an empty span if no such member is
 * there. */
static struct span sns_member_of(struct span body, const char *wanted) {
    struct json_walk walk;
    struct span name, value;
    for (json_walk_init(&walk, body); json_walk_name(&walk, &name);) {
        if (span_equal(name, span_of("data")))
            break;
        value = json_walk_take(&walk);
        if (span_equal(name, span_of(wanted)))
            return value;
    }
    return (struct span){0};
}

static struct span sns_body_of(const struct delivery *delivery) {
    return (struct span){delivery->body.data, delivery->body.len};
}

static struct span sns_unquoted(struct span text) {
    return text.len >= 2 ? (struct span){text.data + 1, text.len - 2} : (struct span){0};
}

void sns_event_of(const struct delivery *batch, size_t number, struct sns_event *event) {
    const struct span body = delivery_event_body(batch, number), id = sns_member_of(body, "id");
    const long id_len = json_string_is_valid(id) ? json_unescape(id, event->id, sizeof event->id)
                                                 : 0;
    event->delivery = (struct delivery){
        .kind = batch->kind,
        .job = batch->job,
        .cursor = batch->events[number].cursor,
        .number = batch->number,
        .topic = sns_unquoted(sns_member_of(body, "topic")),
        .id = {event->id, id_len > 0 ? (size_t)id_len : 0},
        .body = {.data = batch->body.data + batch->events[number].at, .len = body.len},
    };
}

static bool sns_is_replay(const struct delivery *delivery) {
    return delivery->kind == DELIVERY_REPLAY || delivery->kind == DELIVERY_REDRIVE;
}

void sns_message_add_delivery(struct sns_message *m, const struct delivery *delivery,
                              struct sns_texts *texts) {
    sns_message_add(m, "ess-topic", delivery->topic);
    if (delivery->kind != DELIVERY_TEST) {
        snprintf(texts->cursor, sizeof texts->cursor, "%" PRId64, delivery->cursor);
        sns_message_add(m, "ess-cursor", span_of(texts->cursor));
    }
    sns_message_add(m, "ess-prev-cursor", sns_member_of(sns_body_of(delivery), "prev_cursor"));
    sns_message_add(m, "ess-id", delivery->id);
    if (sns_is_replay(delivery)) {
        snprintf(texts->job, sizeof texts->job, "%" PRId64, delivery->job);
        sns_message_add(m, "ess-replay", span_of(texts->job));
    }
}

static bool sns_takes_id(struct span text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    return text.len > 0 && text.len < SNS_ID_BYTES;
}

static void sns_hash(struct span text, char out[SNS_ID_BYTES]) {
    unsigned char hash[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)text.data, text.len, hash);
    int len = snprintf(out, SNS_ID_BYTES, "sha256-");
    hex_put(hash, sizeof hash, out + len);
}

/* The group is the event's key. A key that is not valid JSON, which only another program can have
 * appended, is none. */
static void sns_set_group(struct sns_message *m, const struct delivery *delivery) {
    char key[EVENT_KEY_BYTES_MAX + 1];
    const struct span quoted = sns_member_of(sns_body_of(delivery), "key");
    const long len = json_string_is_valid(quoted) ? json_unescape(quoted, key, sizeof key) : 0;
    const struct span text = {key, len > 0 ? (size_t)len : 0};
    const struct span group = text.len ? text : delivery->topic;
    if (sns_takes_id(group))
        snprintf(m->group, sizeof m->group, "%.*s", (int)group.len, group.data);
    else
        sns_hash(group, m->group);
}

void sns_message_set_fifo(struct sns_message *m, const struct delivery *delivery,
                          const char *feed) {
    char *out = m->deduplication;
    const size_t size = sizeof m->deduplication;
    sns_set_group(m, delivery);
    if (delivery->kind == DELIVERY_TEST)
        snprintf(out, size, "%s-%.*s", feed, (int)delivery->id.len, delivery->id.data);
    else if (sns_is_replay(delivery))
        snprintf(out, size, "%s-%" PRId64 "-%" PRId64, feed, delivery->cursor, delivery->job);
    else
        snprintf(out, size, "%s-%" PRId64, feed, delivery->cursor);
}

/* --- its form */

static const char data_type[] = "String";

size_t sns_message_bytes(const struct sns_message *m) {
    size_t bytes = m->body.len;
    for (size_t i = 0; i < m->attributes_count; i++)
        bytes += strlen(m->attributes[i].name) + strlen(data_type) + m->attributes[i].value.len;
    return bytes;
}

/* A name of a batch's entry begins with `prefix`. */
static void sns_put(struct buf *out, const char *prefix, const char *name, struct span value) {
    char whole[160];
    snprintf(whole, sizeof whole, "%s%s", prefix, name);
    form_put(out, whole, value);
}

static void sns_put_attribute(struct buf *out, const char *prefix, size_t number,
                              const struct sns_attribute *attribute) {
    char entry[96];
    snprintf(entry, sizeof entry, "%sMessageAttributes.entry.%zu.", prefix, number);
    sns_put(out, entry, "Name", span_of(attribute->name));
    sns_put(out, entry, "Value.DataType", span_of(data_type));
    sns_put(out, entry, "Value.StringValue", attribute->value);
}

static void sns_put_message(const struct sns_message *m, const char *prefix, struct buf *out) {
    for (size_t i = 0; i < m->attributes_count; i++)
        sns_put_attribute(out, prefix, i + 1, &m->attributes[i]);
    if (*m->group) {
        sns_put(out, prefix, "MessageGroupId", span_of(m->group));
        sns_put(out, prefix, "MessageDeduplicationId", span_of(m->deduplication));
    }
    sns_put(out, prefix, "Message", m->body);
}

void sns_message_to_form(const struct sns_message *m, struct buf *out) {
    buf_puts(out, "Action=Publish&Version=2010-03-31");
    sns_put(out, "", "TopicArn", m->topic_arn);
    sns_put_message(m, "", out);
}

void sns_batch_begin(struct span topic_arn, struct buf *out) {
    buf_puts(out, "Action=PublishBatch&Version=2010-03-31");
    sns_put(out, "", "TopicArn", topic_arn);
}

void sns_batch_add(const struct sns_message *m, size_t number, struct buf *out) {
    char prefix[64], id[24];
    snprintf(prefix, sizeof prefix, "PublishBatchRequestEntries.member.%zu.", number + 1);
    snprintf(id, sizeof id, "%zu", number);
    sns_put(out, prefix, "Id", span_of(id));
    sns_put_message(m, prefix, out);
}

/* --- the answer */

static const char *sns_find(struct span text, const char *wanted) {
    return text.len ? memmem(text.data, text.len, wanted, strlen(wanted)) : NULL;
}

/* What stands in the first element of this name; empty: nothing. */
static struct span sns_element(struct span xml, const char *name) {
    char open[40], close[40];
    snprintf(open, sizeof open, "<%s>", name);
    snprintf(close, sizeof close, "</%s>", name);
    const char *begin = sns_find(xml, open);
    if (!begin)
        return (struct span){0};
    begin += strlen(open);
    const char *end = sns_find((struct span){begin, (size_t)(xml.data + xml.len - begin)}, close);
    return end ? (struct span){begin, (size_t)(end - begin)} : (struct span){0};
}

/* Codes of SNS, without "Exception" at their ends. What an operator can mend is tried again; what
 * SNS will never take is not. A code that is not here is judged by its status. */
static const struct sns_code {
    const char *code;
    enum verdict verdict;
    const char *words; /* NULL: SNS's own */
} codes[] = {
    {"NotFound", VERDICT_FAILED, "the topic does not exist: create it, or correct topic_arn"},
    {"AuthorizationError", VERDICT_FAILED, "these credentials need the right sns:Publish"},
    {"AccessDenied", VERDICT_FAILED, "these credentials need the right sns:Publish"},
    {"InvalidClientTokenId", VERDICT_FAILED, "AWS does not know the access key: correct it"},
    {"UnrecognizedClient", VERDICT_FAILED, "AWS does not know the access key: correct it"},
    {"SignatureDoesNotMatch", VERDICT_FAILED, "the secret key does not fit: correct it"},
    {"IncompleteSignature", VERDICT_FAILED, "the access key is malformed: correct it"},
    {"ExpiredToken", VERDICT_FAILED, "the session token has expired: give new credentials"},
    {"RequestExpired", VERDICT_FAILED, "the clock of this machine is wrong: set it"},
    {"Throttling", VERDICT_OVERLOADED, "SNS asks for a pause"},
    {"Throttled", VERDICT_OVERLOADED, "SNS asks for a pause"},
    {"TooManyRequests", VERDICT_OVERLOADED, "SNS asks for a pause"},
    {"RequestLimitExceeded", VERDICT_OVERLOADED, "SNS asks for a pause"},
    {"KMSThrottling", VERDICT_OVERLOADED, "the key service of the topic asks for a pause"},
    {"BatchRequestTooLong", VERDICT_REFUSED, NULL},
    {"InvalidParameter", VERDICT_REFUSED, NULL},
    {"InvalidParameterValue", VERDICT_REFUSED, NULL},
    {"ParameterValueInvalid", VERDICT_REFUSED, NULL},
    {"Validation", VERDICT_REFUSED, NULL},
};

static const struct sns_code *sns_code_find(struct span code) {
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (span_equal(code, span_of(codes[i].code)))
            return &codes[i];
    return NULL;
}

static struct span sns_code_of(struct span answer) {
    static const char suffix[] = "Exception";
    enum { SUFFIX_BYTES = sizeof suffix - 1 };
    struct span code = sns_element(answer, "Code");
    if (code.len > SUFFIX_BYTES &&
        memcmp(code.data + code.len - SUFFIX_BYTES, suffix, SUFFIX_BYTES) == 0)
        code.len -= SUFFIX_BYTES;
    return code;
}

static enum verdict sns_judge_status(int status) {
    if (status == 413)
        return VERDICT_REFUSED;
    return status == 429 || status == 503 ? VERDICT_OVERLOADED : VERDICT_FAILED;
}

void sns_make_printable(char *text) {
    for (char *c = text; *c; c++)
        *c = *c >= ' ' && *c <= '~' ? *c : ' ';
}

static void sns_put_words(char error[SNS_ERROR_BYTES], struct span code, struct span words) {
    snprintf(error, SNS_ERROR_BYTES, "%.*s: %.*s", (int)code.len, code.data, (int)words.len,
             words.data);
    sns_make_printable(error);
}

enum verdict sns_judge(int status, struct span answer, char error[SNS_ERROR_BYTES],
                       struct span *said) {
    const struct span code = sns_code_of(answer);
    const struct sns_code *known = sns_code_find(code);
    *said = sns_element(answer, "Message");
    *error = 0;
    if (status == 0)
        return VERDICT_UNANSWERED;
    if (status >= 200 && status <= 299) {
        if (sns_element(answer, "MessageId").len)
            return VERDICT_DELIVERED;
        snprintf(error, SNS_ERROR_BYTES, "the answer is not SNS's: it has no MessageId");
        return VERDICT_FAILED;
    }
    if (code.len)
        sns_put_words(error, code, known && known->words ? span_of(known->words) : *said);
    if (known && known->verdict == VERDICT_REFUSED)
        return status < 500 && !sns_find(*said, "TopicArn") ? VERDICT_REFUSED : VERDICT_FAILED;
    return known ? known->verdict : sns_judge_status(status);
}

/* --- the answer to a batch */

/* Takes the next <member> off the list. Returns false at the end of the list. */
static bool sns_take_member(struct span *list, struct span *member) {
    *member = sns_element(*list, "member");
    if (!member->data)
        return false;
    const char *end = member->data + member->len, *list_end = list->data + list->len;
    *list = (struct span){end, (size_t)(list_end - end)};
    return true;
}

/* Returns the number of the entry that a member is about, or `count` for an unknown entry. */
static size_t sns_entry_of(struct span member, size_t count) {
    int64_t number = number_parse(sns_element(member, "Id"));
    return number >= 0 && (size_t)number < count ? (size_t)number : count;
}

/* Judges an entry that SNS did not take. An error code of an entry never means that the request is
 * wrong. */
static enum verdict sns_judge_entry(struct span member, char error[SNS_ERROR_BYTES],
                                    struct span *said) {
    const struct span code = sns_code_of(member), words = sns_element(member, "Message");
    const struct sns_code *known = sns_code_find(code);
    if (!*error) {
        sns_put_words(error, code, known && known->words ? span_of(known->words) : words);
        *said = words;
    }
    return known ? known->verdict : VERDICT_FAILED;
}

static void sns_judge_failed(struct span list, size_t count, enum verdict each[SNS_ENTRIES_MAX],
                             char error[SNS_ERROR_BYTES], struct span *said) {
    for (struct span member; sns_take_member(&list, &member);) {
        size_t entry = sns_entry_of(member, count);
        if (entry < count)
            each[entry] = sns_judge_entry(member, error, said);
    }
}

/* The worst that was met says something about SNS only if it took nothing. */
static enum verdict sns_judge_all(const enum verdict *each, size_t count) {
    enum verdict all = VERDICT_REFUSED;
    for (size_t i = 0; i < count; i++) {
        if (each[i] == VERDICT_DELIVERED)
            return VERDICT_DELIVERED;
        if (each[i] != VERDICT_REFUSED && all != VERDICT_OVERLOADED)
            all = each[i];
    }
    return all;
}

enum verdict sns_judge_batch(int status, struct span answer, size_t count,
                             enum verdict each[SNS_ENTRIES_MAX], bool *judged,
                             char error[SNS_ERROR_BYTES], struct span *said) {
    *judged = status >= 200 && status <= 299 && sns_find(answer, "<PublishBatchRes");
    if (!*judged)
        return sns_judge(status, answer, error, said);
    struct span list = sns_element(answer, "Successful");
    *error = 0;
    *said = (struct span){0};
    for (size_t i = 0; i < count; i++)
        each[i] = VERDICT_FAILED; /* one that the answer says nothing about is sent again */
    for (struct span member; sns_take_member(&list, &member);) {
        size_t entry = sns_entry_of(member, count);
        if (entry < count && sns_element(member, "MessageId").len)
            each[entry] = VERDICT_DELIVERED;
    }
    sns_judge_failed(sns_element(answer, "Failed"), count, each, error, said);
    return sns_judge_all(each, count);
}
