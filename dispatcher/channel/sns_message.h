/* What is published to a topic of AWS SNS, and what SNS answers: the form of its Query API and the
 * verdict on its XML. Pure. */
#ifndef ESS_DISPATCHER_SNS_MESSAGE_H
#define ESS_DISPATCHER_SNS_MESSAGE_H

#include "common/base/buf.h"
#include "common/base/span.h"
#include "common/model/event.h"
#include "dispatcher/channel/channel.h"

enum {
    SNS_BYTES_MAX = 256 * 1024, /* of a message with its attributes */
    SNS_ID_BYTES = 129,         /* of MessageGroupId and MessageDeduplicationId, with the NUL */
    SNS_ATTRIBUTES_MAX = 8,
    SNS_ERROR_BYTES = 128,
    SNS_ENTRIES_MAX = 10, /* of a PublishBatch, which has SNS_BYTES_MAX in all */
};

struct sns_attribute {
    const char *name;
    struct span value;
};

struct sns_message {
    struct span topic_arn, body;
    struct sns_attribute attributes[SNS_ATTRIBUTES_MAX];
    size_t attributes_count;
    char group[SNS_ID_BYTES], deduplication[SNS_ID_BYTES]; /* "": not for a FIFO topic */
};

/* Adds ess-topic, ess-cursor, ess-prev-cursor, ess-id and ess-replay, as far as the delivery has
 * them. What is added points into the delivery or into `texts`, which must stay. */
struct sns_texts {
    char cursor[24], job[24];
};
void sns_message_add_delivery(struct sns_message *message, const struct delivery *delivery,
                              struct sns_texts *texts);
void sns_message_add(struct sns_message *message, const char *name, struct span value);

/* One event of a batch as a delivery of its own. It points into the batch's delivery. */
struct sns_event {
    struct delivery delivery;
    char id[EVENT_ID_BYTES_MAX + 1];
};
void sns_event_of(const struct delivery *batch, size_t number, struct sns_event *event);

/* Sets what a FIFO topic wants. The group is the event's key where SNS takes it as it is, else a
 * hash of it, and of an event without a key the topic. The deduplication id is of the feed and the
 * cursor; a replay, a redrive and a test add their number, since they are to arrive again. */
void sns_message_set_fifo(struct sns_message *message, const struct delivery *delivery,
                          const char *feed);

/* As SNS counts it: the body, and of each attribute name, type and value. */
size_t sns_message_bytes(const struct sns_message *message);
/* Appends the form (application/x-www-form-urlencoded) of Publish. */
void sns_message_to_form(const struct sns_message *message, struct buf *out);
/* Appends a part of the form of PublishBatch: the beginning, and entry `number` (from 0). */
void sns_batch_begin(struct span topic_arn, struct buf *out);
void sns_batch_add(const struct sns_message *message, size_t number, struct buf *out);

/* What an answer means. `error`: the reason in words, with SNS's code; "" if the answer has only
 * a status. `said`: SNS's own words, a span of the answer; may be empty. */
enum verdict sns_judge(int status, struct span answer, char error[SNS_ERROR_BYTES],
                       struct span *said);
/* The same of a PublishBatch with `count` entries. With a 2xx, `each` gets the verdict on each
 * entry, and the verdict returned is that on SNS: DELIVERED if it took an entry. Otherwise the
 * verdict is on all, and *judged is false. */
enum verdict sns_judge_batch(int status, struct span answer, size_t count,
                             enum verdict each[SNS_ENTRIES_MAX], bool *judged,
                             char error[SNS_ERROR_BYTES], struct span *said);
/* Makes a space of each character that is not printable ASCII. */
void sns_make_printable(char *text);

#endif
