/* Which partitions of subscribers this process owns, and what is allowed there: the group's
 * assignments, the lease, the fences, and the judging of tokens. Pure: the caller reports events
 * and the time, and gets the next step. No Kafka, no clock. After each report, and at
 * ownership_due_ms at the latest, the caller calls ownership_next and carries out the steps until
 * nothing is left to do.
 *
 * Three guards build on each other. The *group* gives a partition to one member at a time. The
 * *lease* binds a member that has not heard from the group for one session (hung, stopped,
 * without broker): without a lease nothing is started or written. The *fence*, a record in the
 * log, voids the writes of an earlier owner. A fence's offset is the owner's epoch, and a token
 * carries its writer's epoch. A token is void if a fence newer than the token's epoch precedes
 * the token. */
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

/* state                to                        meaning
 * PARTITION_OTHERS     ASKING                    not ours
 * PARTITION_ASKING     FENCING LOADING HELD      the group must confirm us before we fence (again)
 * PARTITION_FENCING    ASKING LOADING HELD       our fence is being written, or read back
 * PARTITION_LOADING    ASKING HELD               our fence was read, the specs not yet
 * PARTITION_HELD       ASKING                    lanes run while there is a lease
 *
 * Every state changes to OTHERS when the partition is let go. */
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
    bool started; /* START was given: lanes exist */
    /* lanes are suspended, and continue once the partition is held under a lease */
    bool resume;
    bool specs_ended;     /* the specs were read to the end under this assignment */
    bool fence_due;       /* FENCING: FENCE is to be given */
    bool window_known;    /* nobody else can have sent since our lanes last did */
    uint64_t ask_after;   /* ASKING: an ask with a higher number is to be granted */
    int64_t newest_fence; /* offset of the newest fence read; -1: none */
    int64_t epoch;        /* offset of our fence in force; -1: none */
};

/* phase              to           meaning
 * OWNERSHIP_OUT      IN           no assignment
 * OWNERSHIP_IN       LEAVING OUT  assigned
 * OWNERSHIP_LEAVING  WRITING OUT  nothing starts; attempts in flight have until the deadline
 * OWNERSHIP_WRITING  OUT          the last tokens are being written */
enum ownership_phase {
    OWNERSHIP_OUT,
    OWNERSHIP_IN,
    OWNERSHIP_LEAVING,
    OWNERSHIP_WRITING,
    OWNERSHIP_PHASES
};

struct ownership {
    uint64_t owner; /* names this process in fences */
    int32_t partitions;
    int64_t session_ms;
    enum ownership_phase phase;
    bool stopping;
    bool read_due;       /* an assignment has changed the set of partitions to read */
    bool revoked;        /* the group waits for LET_GO */
    bool suspended;      /* the lease ran out, and SUSPEND was given */
    int64_t deadline_ms; /* of LEAVING and WRITING */
    uint64_t assignment; /* number of the present assignment; 0: none yet */
    int32_t owned;       /* partitions in the present assignment */
    int64_t lease_until_ms;
    int64_t next_ask_ms;
    int64_t next_dispute_ms; /* until then, another owner's fence causes no ask out of turn */
    uint64_t asked;          /* the number of the newest ask */
    struct {
        uint64_t number; /* 0: free */
        int64_t sent_ms;
    } asks[OWNERSHIP_ASKS_MAX]; /* asks of this assignment without an answer */
    struct ownership_partition partition[OWNERSHIP_PARTITIONS_MAX];
};

/* `owner` must be unique among processes, and among earlier structs of this process. Times are
 * from a clock that goes on while the process is stopped and the machine sleeps. */
void ownership_init(struct ownership *o, uint64_t owner, int32_t partitions, int64_t session_ms);

/* --- events */

/* The group has assigned exactly these partitions. No partition of an earlier assignment may
 * still be held. */
void ownership_assigned(struct ownership *o, const int32_t *partitions, int32_t count,
                        int64_t now_ms);
/* The group takes all partitions away. `lost`: another member may own the partitions already. */
void ownership_revoked(struct ownership *o, bool lost, int64_t now_ms);
/* The process is stopping; attempts in flight have until `deadline_ms`. */
void ownership_stop(struct ownership *o, int64_t deadline_ms);

/* The group's answer to an ask. Answers of an earlier assignment are ignored. */
void ownership_answered(struct ownership *o, uint64_t ask, bool granted, int64_t now_ms);

/* The fence of FENCE failed, or its fate is unknown. (Reading the fence proves success.) */
void ownership_fence_failed(struct ownership *o, int32_t partition, uint64_t assignment);

/* A fence at `offset` was read in the partition's tokens, in log order. A fence read before is
 * not counted twice. */
void ownership_fence_read(struct ownership *o, int32_t partition, int64_t offset, uint64_t owner,
                          uint64_t assignment, int64_t now_ms);
/* The partition's specs were read to the end, as of READ. */
void ownership_specs_read(struct ownership *o, int32_t partition);

/* A token was read, written under `epoch` (-1: none) with `number`; see token_choose. */
bool ownership_token_read(const struct ownership *o, int32_t partition, int64_t epoch,
                          int64_t number, struct token_choice *choice);

/* --- next steps */

enum ownership_act {
    OWNERSHIP_NOTHING,
    /* read the partitions not in OTHERS to their ends, and forget all other partitions */
    OWNERSHIP_READ,
    OWNERSHIP_ASK, /* commit to the group, then call ownership_answered with this ask's number */
    /* append a fence with `owner` and this assignment to the partition's tokens */
    OWNERSHIP_FENCE,
    /* start the partition's lanes; `window_full`: an earlier owner may have used up the
     * throttles' windows */
    OWNERSHIP_START,
    OWNERSHIP_RESUME,  /* lanes may continue; `rewrite`: write all tokens again first */
    OWNERSHIP_SUSPEND, /* start and write nothing from now on: close everything in flight */
    /* the grace is over: close everything still in flight, and write all tokens */
    OWNERSHIP_WRITE,
    /* stop all lanes and write nothing; then answer the group if the group waits */
    OWNERSHIP_LET_GO,
};
struct ownership_step {
    enum ownership_act act;
    int32_t partition;
    bool window_full, rewrite;
    uint64_t ask;
};

/* The present facts for ownership_next. */
struct ownership_view {
    int64_t now_ms;
    int64_t in_flight; /* deliveries under way */
    int64_t unwritten; /* tokens sent and not yet reported */
};

/* The next step; OWNERSHIP_NOTHING if nothing is left to do. */
struct ownership_step ownership_next(struct ownership *o, const struct ownership_view *view);
/* When to call ownership_next without a new event; INT64_MAX: never. */
int64_t ownership_due_ms(const struct ownership *o);

/* --- permissions */

bool ownership_leased(const struct ownership *o, int64_t now_ms);
/* A lane of the partition may start something. */
bool ownership_may_start(const struct ownership *o, int32_t partition, int64_t now_ms);
/* A token of the partition may be written, under ownership_epoch. */
bool ownership_may_write(const struct ownership *o, int32_t partition, int64_t now_ms);
int64_t ownership_epoch(const struct ownership *o, int32_t partition);
/* Everything assigned is held, and the lanes run. */
bool ownership_settled(const struct ownership *o, int64_t now_ms);
/* ownership_stop was called, and all is let go. */
bool ownership_ended(const struct ownership *o);

#endif
