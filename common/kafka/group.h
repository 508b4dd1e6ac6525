/* Membership in a consumer group, and nothing else: the partitions of a topic assigned to this
 * member. Never fetches. Commits only to ask the group whether this member still belongs. Loop
 * thread only; only group_free blocks. */
#ifndef ESS_KAFKA_GROUP_H
#define ESS_KAFKA_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/config.h"

struct group;

/* After this silence the group drops a member and reassigns the partitions. */
enum { GROUP_SESSION_MS = 10000 };

struct group_options {
    const struct kafka_config *kafka;
    const char *group, *topic;
    /* Partitions assigned from now on. */
    void (*assigned)(void *arg, const int32_t *partitions, int32_t count);
    /* All partitions are revoked. The group waits for group_release, unless they are `lost`:
     * another member may already have them. */
    void (*revoked)(void *arg, bool lost);
    /* The answer to an ask: granted when the group counts this member as present. */
    void (*answered)(void *arg, uint64_t ask, bool granted);
    /* A fault to show to operators. `fatal`: this membership cannot continue. */
    void (*failed)(void *arg, bool fatal, const char *reason);
    void (*left)(void *arg); /* after group_leave */
    void *arg;
};

struct group *group_new(struct loop *loop, const struct group_options *options, struct error *err);

/* Handles all pending group events. Call first at every wake-up, so that nothing acts on old
 * news. */
void group_drain(struct group *group);

/* Asks by a commit to one of the member's partitions. Calls `answered` with the number (above 0),
 * unless group_free comes first. Returns -1 when impossible; then no answer follows. */
int group_ask(struct group *group, int32_t partition, uint64_t ask);

/* Confirms that the revoked partitions were given up. Does nothing without a revocation. */
void group_release(struct group *group);

/* Leaves the group; calls `left` when done, after seconds without a broker. */
void group_leave(struct group *group);

/* Makes the handle fail as after a fatal answer. For tests. */
void group_break(struct group *group);

/* May block until librdkafka's threads have ended. A member that has not left stays in the group
 * until the session ends. */
void group_free(struct group *group);

#endif
