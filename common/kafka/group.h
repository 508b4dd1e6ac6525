/* Membership in a consumer group, and nothing else: which partitions of a topic are this member's.
 * Nothing is ever fetched; the one thing committed is a question to the group, whether this member
 * still is one. Loop thread only; nothing blocks but group_free. */
#ifndef ESS_KAFKA_GROUP_H
#define ESS_KAFKA_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/config.h"

struct group;

/* After it, a member that was not heard of is none any more, and its partitions go to others. */
enum { GROUP_SESSION_MS = 10000 };

struct group_options {
    const struct kafka_config *kafka;
    const char *group, *topic;
    /* The partitions that are this member's from now on. */
    void (*assigned)(void *arg, const int32_t *partitions, int32_t count);
    /* All are taken away. The group waits for group_release; but when they are `lost`, others may
     * have them already. */
    void (*revoked)(void *arg, bool lost);
    /* The answer to an ask: granted when the group took this for one of its present members. */
    void (*answered)(void *arg, uint64_t ask, bool granted);
    /* Something that an operator should know of. `fatal`: this membership cannot go on. */
    void (*failed)(void *arg, bool fatal, const char *reason);
    void (*left)(void *arg); /* after group_leave */
    void *arg;
};

struct group *group_new(struct loop *loop, const struct group_options *options, struct error *err);

/* Handles all that the group has said. Call it first at every wake-up, so that nothing is done on
 * old news. */
void group_drain(struct group *group);

/* Commits to one of the member's partitions; `answered` is called with the number (above 0), unless
 * group_free is first. Returns -1 when that is impossible; then no answer comes. */
int group_ask(struct group *group, int32_t partition, uint64_t ask);

/* What was revoked has been let go. Does nothing when nothing was revoked. */
void group_release(struct group *group);

/* Leaves the group; `left` is called once that is done. Takes seconds when no broker answers. */
void group_leave(struct group *group);

/* Makes the handle go fatal, as a broker's answer can. For tests. */
void group_break(struct group *group);

/* May block until librdkafka's threads have ended. One that has not left is a member until its
 * session ends. */
void group_free(struct group *group);

#endif
