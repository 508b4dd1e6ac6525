/* What is published to a topic of AWS SNS, and what SNS answers: the form of its Query API and the
 * verdict on its XML. Pure. */
#ifndef ESS_DISPATCHER_SNS_MESSAGE_H
#define ESS_DISPATCHER_SNS_MESSAGE_H

#include "common/base/buf.h"
#include "common/base/span.h"
#include "dispatcher/channel/channel.h"

enum {
    SNS_BYTES_MAX = 256 * 1024, /* of a message with its attributes */
    SNS_ID_BYTES = 129,         /* of MessageGroupId and MessageDeduplicationId, with the NUL */
    SNS_ATTRIBUTES_MAX = 8,
    SNS_ERROR_BYTES = 128,
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

/* Sets what a FIFO topic wants. The group is the event's key where SNS takes it as it is, else a
 * hash of it, and of an event without a key the topic. The deduplication id is of the feed and the
 * cursor; a replay, a redrive and a test add their number, since they are to arrive again. */
void sns_message_set_fifo(struct sns_message *message, const struct delivery *delivery,
                          const char *feed);

/* As SNS counts it: the body, and of each attribute name, type and value. */
size_t sns_message_bytes(const struct sns_message *message);
/* Appends the form (application/x-www-form-urlencoded) of Publish. */
void sns_message_to_form(const struct sns_message *message, struct buf *out);

/* What an answer means. `error`: the reason in words, with SNS's code; "" where there is none but
 * the status. `said`: SNS's own words, a span of the answer; empty: none. */
enum verdict sns_judge(int status, struct span answer, char error[SNS_ERROR_BYTES],
                       struct span *said);
/* Makes a space of each character that is not printable ASCII. */
void sns_make_printable(char *text);

#endif
