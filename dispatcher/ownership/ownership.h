/* Which partitions of subscribers this process owns and what it may do with them: the consumer
 * group's assignments, the lease, fences, and the judging of tokens.
 *
 * Pure: it is told what happened and what time it is, and says what to do next; it never touches
 * Kafka or a clock. Its owner calls ownership_next after whatever it told, does what that says, and
 * asks again until there is nothing to do; at the latest at ownership_due_ms.
 *
 * Three guards stand on each other. The *group* gives a partition to one member at a time. The
 * *lease* ends what a member may do when it has not heard of the group for one session (it hung,
 * was stopped, lost the broker): nothing is started or written without it. The *fence*, a record in
 * the log, voids whatever an earlier owner still writes: its offset is the owner's epoch, tokens
 * carry their writer's, and one is void when a newer fence than its own stands before it. */
#ifndef ESS_DISPATCHER_OWNERSHIP_H
#define ESS_DISPATCHER_OWNERSHIP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/model/token.h"

enum {
    OWNERSHIP_PARTITIONS_MAX = 1024,
    OWNERSHIP_GRACE_MS = 5000,
    OWNERSHIP_WRITE_MS = 1000,
    OWNERSHIP_ASKS_MAX = 2
};

/*                       from → to
 *   PARTITION_OTHERS    ASKING                    not ours
 *   PARTITION_ASKING    FENCING LOADING HELD     the group is to confirm that it is ours before we
 * fence it (again) PARTITION_FENCING  ASKING LOADING HELD       our fence is on its way, or
 * written and not yet read PARTITION_LOADING   ASKING HELD               our fence was read, but
 * not all specs PARTITION_HELD      ASKING                    its lanes run, while there is a lease
 * and every one → OTHERS, when it is let go. */
enum partition_state {
    PARTITION_OTHERS,
    PARTITION_ASKING,
    PARTITION_FENCING,
    PARTITION_LOADING,
    PARTITION_HELD,
    PARTITION_STATES
};

struct ownership_partition {
    enum partition_state state;
    bool started;         /* START was given: its lanes exist */
    bool resume;          /* they are held up, and go on once it is held under a lease */
    bool specs_ended;     /* its specs were read to their end under this assignment */
    bool fence_due;       /* FENCING: FENCE is to be given */
    bool window_known;    /* nobody else can have sent since our lanes last did */
    uint64_t ask_after;   /* ASKING: an ask with a higher number is to be granted */
    int64_t newest_fence; /* offset of the newest one read; -1: none */
    int64_t epoch;        /* offset of our fence in force; -1: none */
};

/*   OWNERSHIP_OUT      IN                    no assignment
 *   OWNERSHIP_IN       LEAVING OUT           assigned
 *   OWNERSHIP_LEAVING  WRITING OUT           nothing starts; what is in flight may end until the
 * deadline OWNERSHIP_WRITING  OUT                   the last tokens are on their way */
enum ownership_phase {
    OWNERSHIP_OUT,
    OWNERSHIP_IN,
    OWNERSHIP_LEAVING,
    OWNERSHIP_WRITING,
    OWNERSHIP_PHASES
};

struct ownership {
    uint64_t owner; /* names this process in its fences */
    int32_t partitions;
    int64_t session_ms;
    enum ownership_phase phase;
    bool stopping;
    bool read_due;       /* an assignment has changed what is to be read */
    bool revoked;        /* the group waits for LET_GO */
    bool suspended;      /* the lease ran out, and SUSPEND was given */
    int64_t deadline_ms; /* of LEAVING and WRITING */
    uint64_t assignment; /* counts them; 0: none yet */
    int32_t owned;       /* partitions of the present one */
    int64_t lease_until_ms;
    int64_t next_ask_ms;
    int64_t
        next_dispute_ms; /* before it no fence of another's makes the group be asked out of turn */
    uint64_t asked;      /* asks ever made: the number of the newest one */
    struct {
        uint64_t number; /* 0: free */
        int64_t sent_ms;
    } asks[OWNERSHIP_ASKS_MAX]; /* of this assignment, without an answer */
    struct ownership_partition partition[OWNERSHIP_PARTITIONS_MAX];
};

/* `owner` must differ from every other process's (and from that of an earlier struct of this one).
 * Times are of one clock that goes on while the process is stopped and the machine sleeps. */
void ownership_init(struct ownership *o, uint64_t owner, int32_t partitions, int64_t session_ms);

/* --- what happened */

/* The group has assigned these partitions, and no others. None of an earlier assignment may still
 * be held. */
void ownership_assigned(struct ownership *o, const int32_t *partitions, int32_t count,
                        int64_t now_ms);
/* The group takes all away. `lost`: another may have them already. */
void ownership_revoked(struct ownership *o, bool lost, int64_t now_ms);
/* The process is to end; what is in flight may do so until `deadline_ms`. */
void ownership_stop(struct ownership *o, int64_t deadline_ms);

/* The group's answer to the ask of that number. One of an earlier assignment is passed over. */
void ownership_answered(struct ownership *o, uint64_t ask, bool granted, int64_t now_ms);

/* The fence of FENCE could not be appended, or nobody knows. (That it was is learned by reading
 * it.) */
void ownership_fence_failed(struct ownership *o, int32_t partition, uint64_t assignment);

/* A fence was read in the partition's tokens, at `offset`. In log order; what was read before is
 * not counted twice. */
void ownership_fence_read(struct ownership *o, int32_t partition, int64_t offset, uint64_t owner,
                          uint64_t assignment, int64_t now_ms);
/* The partition's specs were read to their end, which was asked for after READ. */
void ownership_specs_read(struct ownership *o, int32_t partition);

/* A token was read that was written under `epoch` (-1: none) with `number`; see token_choose. */
bool ownership_token_read(const struct ownership *o, int32_t partition, int64_t epoch,
                          int64_t number, struct token_choice *choice);

/* --- what to do */

enum ownership_act {
    OWNERSHIP_NOTHING,
    OWNERSHIP_READ, /* read the partitions that are not OTHERS, to their ends, and forget all others
                     */
    OWNERSHIP_ASK,  /* commit to the group, and tell ownership_answered with this ask's number */
    OWNERSHIP_FENCE,   /* append a fence to the partition's tokens, with `owner` and this assignment
                        */
    OWNERSHIP_START,   /* start the partition's lanes; `window_full`: another may have used up their
                          throttles' windows */
    OWNERSHIP_RESUME,  /* they may go on; with `rewrite`, write all their tokens anew first */
    OWNERSHIP_SUSPEND, /* nothing may start or be written from now on: close all that is in flight
                        */
    OWNERSHIP_WRITE,   /* the grace is over: close what is still in flight, and write all tokens */
    OWNERSHIP_LET_GO,  /* stop all lanes and write nothing; then give the group its answer if it
                          waits for one */
};
struct ownership_step {
    enum ownership_act act;
    int32_t partition;
    bool window_full, rewrite;
    uint64_t ask;
};

/* The world as it is now. */
struct ownership_view {
    int64_t now_ms;
    int64_t in_flight; /* deliveries under way */
    int64_t unwritten; /* tokens sent and not yet reported */
};

/* What to do now; OWNERSHIP_NOTHING when there is nothing. */
struct ownership_step ownership_next(struct ownership *o, const struct ownership_view *view);
/* When ownership_next is to be asked even though nothing happens; INT64_MAX: never. */
int64_t ownership_due_ms(const struct ownership *o);

/* --- what may be done */

bool ownership_leased(const struct ownership *o, int64_t now_ms);
/* A lane of the partition may start something. */
bool ownership_may_start(const struct ownership *o, int32_t partition, int64_t now_ms);
/* A token of the partition may be written, under ownership_epoch. */
bool ownership_may_write(const struct ownership *o, int32_t partition, int64_t now_ms);
int64_t ownership_epoch(const struct ownership *o, int32_t partition);
/* All that is assigned is held, and its lanes run. */
bool ownership_settled(const struct ownership *o, int64_t now_ms);
/* ownership_stop was called, and all is let go. */
bool ownership_ended(const struct ownership *o);

#endif
