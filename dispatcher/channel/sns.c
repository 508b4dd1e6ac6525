/* AWS SNS; see sns.h. A publish has copies of all that it needs, so that a new spec can come while
 * it is under way. */
#include "dispatcher/channel/sns.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/model/event.h"
#include "common/model/event_form.h"
#include "common/model/sns_target.h"
#include "dispatcher/channel/delivery.h"
#include "dispatcher/channel/https_post.h"
#include "dispatcher/channel/sns_message.h"

enum { ANSWER_BYTES = 16384, SAID_BYTES = 128 };

static const char no_credentials[] =
    "no AWS credentials: give the subscriber its own, or set "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for ess-dispatcher";

/* One attempt. */
struct sns_publish {
    struct loop *loop;
    struct delivery *delivery;
    struct https_post *post; /* NULL: nothing is sent, and `soon` reports why */
    struct loop_timer soon;
    enum verdict verdict;
    char error[SNS_ERROR_BYTES];
    struct buf form;
    /* of a batch: the verdict on each event, and which of them are entries of the request */
    enum verdict *each;
    size_t entries[SNS_ENTRIES_MAX], entries_count;
    char *scope, *access_key_id, *secret_access_key;
    struct https_sigv4 sigv4;
};

static void sns_publish_free(struct sns_publish *p) {
    loop_timer_clear(p->loop, &p->soon);
    buf_fini(&p->form);
    free(p->each);
    free(p->scope);
    free(p->access_key_id);
    mem_wipe_string(p->secret_access_key);
    free(p);
}

static void sns_report(struct sns_publish *p, const struct outcome *outcome) {
    p->delivery->under_way = NULL;
    p->delivery->done(p->delivery, outcome);
    sns_publish_free(p);
}

/* The verdict on SNS; *each_judged: those on the events stand in p->each. */
static enum verdict sns_judge_entries(struct sns_publish *p, const struct https_result *result,
                                      bool *each_judged, char error[SNS_ERROR_BYTES],
                                      struct span *said) {
    enum verdict of_entries[SNS_ENTRIES_MAX];
    enum verdict verdict = sns_judge_batch(result->status, result->answer, p->entries_count,
                                           of_entries, each_judged, error, said);
    if (!*each_judged && verdict == VERDICT_REFUSED && p->entries_count == 1) {
        of_entries[0] = verdict;
        *each_judged = true;
    }
    for (size_t i = 0; *each_judged && i < p->entries_count; i++)
        p->each[p->entries[i]] = of_entries[i];
    return verdict;
}

static void sns_on_done(void *arg, const struct https_result *result) {
    struct sns_publish *p = arg;
    char said[SAID_BYTES], error[SNS_ERROR_BYTES];
    struct span message;
    bool each_judged = false;
    enum verdict verdict = p->each ? sns_judge_entries(p, result, &each_judged, error, &message)
                                   : sns_judge(result->status, result->answer, error, &message);
    if (*error)
        memcpy(p->error, error, sizeof error); /* else there may be that of an event too large */
    snprintf(said, sizeof said, "%.*s", (int)message.len, message.data ? message.data : "");
    sns_make_printable(said);
    struct outcome outcome = https_outcome(result, verdict);
    if (*p->error)
        outcome.error = p->error;
    if (*said)
        outcome.excerpt = said;
    if (each_judged)
        outcome.each = p->each;
    sns_report(p, &outcome);
}

/* --- what is not sent */

static void sns_on_soon(void *arg) {
    struct sns_publish *p = arg;
    const struct outcome outcome = {
        .verdict = p->verdict,
        .error = p->error,
        .each = p->verdict == VERDICT_REFUSED ? p->each : NULL,
    };
    sns_report(p, &outcome);
}

/* The caller of send is never called back from within. */
static void sns_fail_soon(struct sns_publish *p, enum verdict verdict) {
    p->verdict = verdict;
    loop_timer_set(p->loop, &p->soon, clock_ms());
}

/* --- credentials */

struct sns_credentials {
    const char *access_key_id, *secret_access_key, *session_token; /* NULL: none */
};

static const char *sns_environment(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static struct sns_credentials sns_credentials_of(const struct sns_target *target) {
    if (target->access_key_id)
        return (struct sns_credentials){target->access_key_id, target->secret_access_key,
                                        target->session_token};
    return (struct sns_credentials){sns_environment("AWS_ACCESS_KEY_ID"),
                                    sns_environment("AWS_SECRET_ACCESS_KEY"),
                                    sns_environment("AWS_SESSION_TOKEN")};
}

/* --- sending */

/* Texts of a message's attributes. */
struct sns_proof {
    char seconds[24], signature[SIGNING_STANDARD_BYTES];
};

/* libcurl 7.88 signs every header of the list, and a host without its port: so there is no header
 * that takes one away, and the host is given. */
static struct curl_slist *sns_headers(const struct sns_target *target,
                                      const struct sns_credentials *credentials) {
    const char *host = target->url + strlen("https://");
    char *name = mem_copy_string(host, strcspn(host, "/"));
    struct curl_slist *list = signing_add(NULL, "Host", name);
    free(name);
    list = signing_add(list, "Content-Type", "application/x-www-form-urlencoded");
    if (credentials->session_token)
        list = signing_add(list, "x-amz-security-token", credentials->session_token);
    return list;
}

static void sns_post(const struct sns *sns, struct sns_publish *p,
                     const struct sns_credentials *credentials) {
    const struct spec *spec = sns->spec;
    struct buf scope = {0};
    buf_printf(&scope, "aws:amz:%s:sns", spec->sns->signing_region);
    p->scope = buf_detach(&scope, NULL);
    p->access_key_id = mem_copy_string(credentials->access_key_id,
                                       strlen(credentials->access_key_id));
    p->secret_access_key = mem_copy_string(credentials->secret_access_key,
                                           strlen(credentials->secret_access_key));
    p->sigv4 = (struct https_sigv4){p->scope, p->access_key_id, p->secret_access_key};
    const struct https_request request = {
        .url = spec->sns->url,
        .headers = sns_headers(spec->sns, credentials),
        .body = {p->form.data, p->form.len},
        .sigv4 = &p->sigv4,
        .answer_max = ANSWER_BYTES,
        .timeout_ms = spec->timeout_ms >= 0 ? spec->timeout_ms : sns->timeout_ms,
        .fresh = p->delivery->fresh,
        .done = sns_on_done,
        .arg = p,
    };
    p->post = https_send(sns->client, &request);
}

static void sns_sign(const struct sns *sns, struct sns_message *message, struct sns_proof *proof,
                     const struct delivery *delivery) {
    const int64_t wall_ms = clock_wall_ms();
    char id[EVENT_ID_BYTES_MAX + 1];
    snprintf(id, sizeof id, "%.*s", (int)delivery->id.len, delivery->id.data);
    *proof = (struct sns_proof){.seconds = ""};
    snprintf(proof->seconds, sizeof proof->seconds, "%" PRId64, wall_ms / 1000);
    signing_standard(sns->signing, sns->spec, id, wall_ms, message->body, proof->signature);
    sns_message_add(message, "ess-timestamp", span_of(proof->seconds));
    sns_message_add(message, "ess-signature", span_of(proof->signature));
    sns_message_add(message, "ess-key-id", span_of(signing_key_id(sns->signing, sns->spec)));
}

/* What of a message is not the delivery's. */
struct sns_made {
    struct buf body;
    struct sns_texts texts;
    struct sns_proof proof;
};

/* Of a delivery with one event. The caller frees made->body. */
static void sns_make_message(const struct sns *sns, const struct delivery *delivery,
                             struct sns_message *message, struct sns_made *made) {
    const struct sns_target *target = sns->spec->sns;
    made->body = (struct buf){0};
    event_form_put(sns->spec->form, sns->feed,
                   (struct span){delivery->body.data, delivery->body.len}, &made->body);
    *message = (struct sns_message){.topic_arn = span_of(target->topic_arn),
                                    .body = {made->body.data, made->body.len}};
    sns_message_add_delivery(message, delivery, &made->texts);
    sns_sign(sns, message, &made->proof, delivery);
    if (target->fifo)
        sns_message_set_fifo(message, delivery, sns->feed);
}

/* Whether SNS takes a message of this size at all. If not, the error says so. */
static bool sns_is_small_enough(struct sns_publish *p, size_t bytes) {
    if (bytes > SNS_BYTES_MAX)
        snprintf(p->error, sizeof p->error,
                 "the message has %zu bytes with its attributes; SNS takes %d", bytes,
                 SNS_BYTES_MAX);
    return bytes <= SNS_BYTES_MAX;
}

/* Returns whether there is something to send. */
static bool sns_make_form(const struct sns *sns, struct sns_publish *p) {
    struct sns_message message;
    struct sns_made made;
    sns_make_message(sns, p->delivery, &message, &made);
    sns_message_to_form(&message, &p->form);
    buf_fini(&made.body);
    return sns_is_small_enough(p, sns_message_bytes(&message));
}

/* --- a batch */

static bool sns_has_group(char groups[][SNS_ID_BYTES], size_t count, const char *group) {
    for (size_t i = 0; i < count; i++)
        if (*group && strcmp(groups[i], group) == 0)
            return true;
    return false;
}

/* What happens to the next event of a batch. */
enum sns_entry { SNS_ENTRY_ADDED, SNS_ENTRY_REFUSED, SNS_ENTRY_LEFT };

struct sns_entries {
    char groups[SNS_ENTRIES_MAX][SNS_ID_BYTES];
    size_t bytes;
};

static enum sns_entry sns_add_entry(struct sns_publish *p, const struct sns_message *message,
                                    struct sns_entries *entries) {
    const size_t bytes = sns_message_bytes(message), count = p->entries_count;
    if (!sns_is_small_enough(p, bytes))
        return SNS_ENTRY_REFUSED;
    if (count == SNS_ENTRIES_MAX || entries->bytes + bytes > SNS_BYTES_MAX ||
        sns_has_group(entries->groups, count, message->group))
        return SNS_ENTRY_LEFT;
    entries->bytes += bytes;
    memcpy(entries->groups[count], message->group, sizeof message->group);
    sns_batch_add(message, count, &p->form);
    return SNS_ENTRY_ADDED;
}

static enum sns_entry sns_add_event(const struct sns *sns, struct sns_publish *p, size_t number,
                                    struct sns_entries *entries) {
    struct sns_event event;
    struct sns_message message;
    struct sns_made made;
    sns_event_of(p->delivery, number, &event);
    sns_make_message(sns, &event.delivery, &message, &made);
    enum sns_entry result = sns_add_entry(p, &message, entries);
    buf_fini(&made.body);
    return result;
}

/* The form has as many of the first events as fit. An event too large for SNS is refused here. */
static bool sns_make_batch(const struct sns *sns, struct sns_publish *p) {
    const size_t count = delivery_count(p->delivery);
    struct sns_entries entries = {.bytes = 0};
    p->each = mem_zero(count * sizeof *p->each);
    for (size_t i = 0; i < count; i++)
        p->each[i] = VERDICT_CALLED_OFF;
    sns_batch_begin(span_of(sns->spec->sns->topic_arn), &p->form);
    for (size_t i = 0; i < count; i++) {
        enum sns_entry result = sns_add_event(sns, p, i, &entries);
        if (result == SNS_ENTRY_LEFT)
            break;
        if (result == SNS_ENTRY_REFUSED)
            p->each[i] = VERDICT_REFUSED;
        else
            p->entries[p->entries_count++] = i;
    }
    return p->entries_count;
}

static void sns_send(struct channel *channel, struct delivery *delivery) {
    const struct sns *sns = (const struct sns *)channel;
    const struct sns_credentials credentials = sns_credentials_of(sns->spec->sns);
    struct sns_publish *p = mem_zero(sizeof *p);
    *p = (struct sns_publish){.loop = sns->loop, .delivery = delivery};
    loop_timer_init(&p->soon, sns_on_soon, p);
    delivery->under_way = p;
    if (!(delivery->batch ? sns_make_batch : sns_make_form)(sns, p)) {
        sns_fail_soon(p, VERDICT_REFUSED);
    } else if (!credentials.access_key_id || !credentials.secret_access_key) {
        snprintf(p->error, sizeof p->error, "%s", no_credentials);
        sns_fail_soon(p, VERDICT_FAILED);
    } else {
        sns_post(sns, p, &credentials);
    }
}

static void sns_cancel(struct channel *channel, struct delivery *delivery) {
    struct sns_publish *p = delivery->under_way;
    (void)channel;
    if (p->post)
        https_cancel(p->post);
    sns_publish_free(p);
}

void sns_init(struct sns *sns, struct loop *loop, struct https_client *client,
              struct signing *signing, const struct spec *spec, const char *feed,
              int64_t timeout_ms) {
    *sns = (struct sns){.channel = {.send = sns_send, .cancel = sns_cancel},
                        .loop = loop,
                        .client = client,
                        .signing = signing,
                        .spec = spec,
                        .feed = feed,
                        .timeout_ms = timeout_ms};
}
