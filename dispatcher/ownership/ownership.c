/* Ownership of partitions; see ownership.h. Only ownership_set_state changes a partition's state,
 * and only ownership_set_phase changes the phase. Events are noted, and ownership_next alone
 * decides, so that events arriving together are judged together. */
#include "dispatcher/ownership/ownership.h"

#include <assert.h>
#include <string.h>

enum { ASKS_A_SESSION = 4 };

#define GO(state) (1U << (state))

static void ownership_set_state(struct ownership_partition *p, enum partition_state state) {
    static const unsigned legal[PARTITION_STATES] = {
        [PARTITION_OTHERS] = GO(PARTITION_ASKING),
        [PARTITION_ASKING] = GO(PARTITION_FENCING) | GO(PARTITION_LOADING) | GO(PARTITION_HELD),
        [PARTITION_FENCING] = GO(PARTITION_ASKING) | GO(PARTITION_LOADING) | GO(PARTITION_HELD),
        [PARTITION_LOADING] = GO(PARTITION_ASKING) | GO(PARTITION_HELD),
        [PARTITION_HELD] = GO(PARTITION_ASKING),
    };
    assert(state == PARTITION_OTHERS || (legal[p->state] & GO(state)));
    p->state = state;
    p->fence_due = state == PARTITION_FENCING;
}

static void ownership_set_phase(struct ownership *o, enum ownership_phase phase) {
    static const unsigned legal[OWNERSHIP_PHASES] = {
        [OWNERSHIP_OUT] = GO(OWNERSHIP_IN),
        [OWNERSHIP_IN] = GO(OWNERSHIP_LEAVING),
        [OWNERSHIP_LEAVING] = GO(OWNERSHIP_WRITING),
    };
    assert(phase == OWNERSHIP_OUT || (legal[o->phase] & GO(phase)));
    o->phase = phase;
}

void ownership_init(struct ownership *o, uint64_t owner, int32_t partitions, int64_t session_ms) {
    assert(partitions <= OWNERSHIP_PARTITIONS_MAX);
    *o = (struct ownership){.owner = owner,
                            .partitions = partitions,
                            .session_ms = session_ms,
                            .lease_until_ms = INT64_MIN};
    for (int32_t i = 0; i < partitions; i++)
        o->partition[i] = (struct ownership_partition){
            .state = PARTITION_OTHERS, .newest_fence = -1, .epoch = -1};
}

/* --- events */

/* The group must confirm the partition again before the partition is ours. */
static void ownership_ask_for(struct ownership *o, struct ownership_partition *p) {
    ownership_set_state(p, PARTITION_ASKING);
    p->ask_after = o->asked;
    p->epoch = -1;
}

/* What is known about a partition's log stays until the next assignment decides whether the
 * partition is read on. */
static void ownership_let_go(struct ownership *o) {
    ownership_set_phase(o, OWNERSHIP_OUT);
    o->suspended = false;
    o->read_due = false;
    o->lease_until_ms = INT64_MIN;
    for (int32_t i = 0; i < o->partitions; i++) {
        struct ownership_partition *p = &o->partition[i];
        ownership_set_state(p, PARTITION_OTHERS);
        p->started = p->resume = p->specs_ended = false;
        p->epoch = -1;
    }
}

void ownership_assigned(struct ownership *o, const int32_t *partitions, int32_t count,
                        int64_t now_ms) {
    bool ours[OWNERSHIP_PARTITIONS_MAX] = {false};
    assert(o->phase == OWNERSHIP_OUT || o->owned == 0);
    if (o->stopping)
        return;
    ownership_let_go(o);
    ownership_set_phase(o, OWNERSHIP_IN);
    o->assignment++;
    memset(o->asks, 0, sizeof o->asks);
    o->owned = count;
    o->next_ask_ms = now_ms;
    o->read_due = true;
    for (int32_t i = 0; i < count; i++)
        ours[partitions[i]] = true;
    for (int32_t i = 0; i < o->partitions; i++) {
        struct ownership_partition *p = &o->partition[i];
        if (ours[i]) {
            ownership_ask_for(o, p);
        } else { /* nothing is known about the partition from here on */
            p->newest_fence = -1;
            p->window_known = false;
        }
    }
}

void ownership_revoked(struct ownership *o, bool lost, int64_t now_ms) {
    o->revoked = true;
    if (o->phase == OWNERSHIP_OUT)
        return;
    if (lost) {
        ownership_let_go(o);
    } else if (o->phase == OWNERSHIP_IN) {
        ownership_set_phase(o, OWNERSHIP_LEAVING);
        o->deadline_ms = now_ms + OWNERSHIP_GRACE_MS;
    } else if (o->phase == OWNERSHIP_LEAVING && o->deadline_ms > now_ms + OWNERSHIP_GRACE_MS) {
        o->deadline_ms = now_ms + OWNERSHIP_GRACE_MS;
    }
}

void ownership_stop(struct ownership *o, int64_t deadline_ms) {
    o->stopping = true;
    if (o->phase != OWNERSHIP_IN)
        return;
    ownership_set_phase(o, OWNERSHIP_LEAVING);
    o->deadline_ms = deadline_ms;
}

void ownership_answered(struct ownership *o, uint64_t ask, bool granted, int64_t now_ms) {
    int64_t until = INT64_MIN;
    for (int i = 0; i < OWNERSHIP_ASKS_MAX; i++) {
        if (o->asks[i].number != ask)
            continue;
        until = o->asks[i].sent_ms + o->session_ms;
        o->asks[i].number = 0;
    }
    if (!granted || until <= now_ms || o->phase == OWNERSHIP_OUT)
        return;
    if (o->lease_until_ms < until)
        o->lease_until_ms = until;
    for (int32_t i = 0; i < o->partitions; i++)
        if (o->partition[i].state == PARTITION_ASKING && ask > o->partition[i].ask_after)
            ownership_set_state(&o->partition[i], PARTITION_FENCING);
}

void ownership_fence_failed(struct ownership *o, int32_t partition, uint64_t assignment) {
    struct ownership_partition *p = &o->partition[partition];
    if (assignment == o->assignment && p->state == PARTITION_FENCING)
        ownership_ask_for(o, p); /* a retry can wait for the next answer in turn */
}

/* Our fence is the newest: tokens written under its epoch are valid. */
static void ownership_take_epoch(struct ownership_partition *p, int64_t offset) {
    p->epoch = offset;
    if (p->state != PARTITION_LOADING && p->state != PARTITION_HELD)
        ownership_set_state(p, p->specs_ended ? PARTITION_HELD : PARTITION_LOADING);
}

void ownership_fence_read(struct ownership *o, int32_t partition, int64_t offset, uint64_t owner,
                          uint64_t assignment, int64_t now_ms) {
    struct ownership_partition *p = &o->partition[partition];
    if (offset <= p->newest_fence)
        return;
    p->newest_fence = offset;
    if (owner == o->owner) {
        /* A late fence of an earlier assignment proves nothing, but voids the tokens before the
         * fence as well. */
        if (p->state != PARTITION_OTHERS && (assignment == o->assignment || p->epoch >= 0))
            ownership_take_epoch(p, offset);
        return;
    }
    p->window_known = false;
    if (p->epoch < 0)
        return; /* an older fence than ours */
    p->resume = p->started;
    ownership_ask_for(o, p);
    /* two processes that each believe to own the partition (two groups, by mistake) must not
     * fence as fast as possible */
    if (now_ms < o->next_dispute_ms)
        return;
    o->next_ask_ms = now_ms;
    o->next_dispute_ms = now_ms + o->session_ms / ASKS_A_SESSION;
}

void ownership_specs_read(struct ownership *o, int32_t partition) {
    struct ownership_partition *p = &o->partition[partition];
    if (p->state == PARTITION_OTHERS)
        return;
    p->specs_ended = true;
    if (p->state == PARTITION_LOADING)
        ownership_set_state(p, PARTITION_HELD);
}

bool ownership_token_read(const struct ownership *o, int32_t partition, int64_t epoch,
                          int64_t number, struct token_choice *choice) {
    return token_choose(choice, epoch, number, o->partition[partition].newest_fence);
}

/* --- permissions */

bool ownership_leased(const struct ownership *o, int64_t now_ms) {
    return o->phase != OWNERSHIP_OUT && now_ms < o->lease_until_ms;
}

bool ownership_may_start(const struct ownership *o, int32_t partition, int64_t now_ms) {
    const struct ownership_partition *p = &o->partition[partition];
    return o->phase == OWNERSHIP_IN && p->state == PARTITION_HELD && p->started && !p->resume &&
           ownership_leased(o, now_ms);
}

bool ownership_may_write(const struct ownership *o, int32_t partition, int64_t now_ms) {
    const struct ownership_partition *p = &o->partition[partition];
    return p->state == PARTITION_HELD && p->started && ownership_leased(o, now_ms);
}

int64_t ownership_epoch(const struct ownership *o, int32_t partition) {
    return o->partition[partition].epoch;
}

bool ownership_settled(const struct ownership *o, int64_t now_ms) {
    if (o->phase != OWNERSHIP_IN || (o->owned && !ownership_leased(o, now_ms)))
        return false;
    for (int32_t i = 0; i < o->partitions; i++)
        if (o->partition[i].state != PARTITION_OTHERS && !ownership_may_start(o, i, now_ms))
            return false;
    return true;
}

bool ownership_ended(const struct ownership *o) {
    return o->stopping && o->phase == OWNERSHIP_OUT && !o->revoked;
}

/* --- next steps */

static bool ownership_any_started(const struct ownership *o) {
    for (int32_t i = 0; i < o->partitions; i++)
        if (o->partition[i].started)
            return true;
    return false;
}

static struct ownership_step ownership_suspend(struct ownership *o) {
    o->suspended = true;
    for (int32_t i = 0; i < o->partitions; i++)
        o->partition[i].resume |= o->partition[i].started;
    return (struct ownership_step){.act = OWNERSHIP_SUSPEND};
}

/* A free place for another ask; -1: none. */
static int ownership_free_ask(const struct ownership *o) {
    for (int i = 0; o->phase != OWNERSHIP_OUT && o->owned && i < OWNERSHIP_ASKS_MAX; i++)
        if (o->asks[i].number == 0)
            return i;
    return -1;
}

static struct ownership_step ownership_ask(struct ownership *o, int place, int64_t now_ms) {
    o->asks[place].number = ++o->asked;
    o->asks[place].sent_ms = now_ms;
    o->next_ask_ms = now_ms + o->session_ms / ASKS_A_SESSION;
    return (struct ownership_step){.act = OWNERSHIP_ASK, .ask = o->asked};
}

/* Leaves the assignment, with or without writing the last tokens. */
static struct ownership_step ownership_leave(struct ownership *o,
                                             const struct ownership_view *view) {
    bool leased = ownership_leased(o, view->now_ms), overdue = view->now_ms >= o->deadline_ms;
    if (leased && o->phase == OWNERSHIP_LEAVING) {
        if (view->in_flight > 0 && !overdue)
            return (struct ownership_step){.act = OWNERSHIP_NOTHING};
        ownership_set_phase(o, OWNERSHIP_WRITING);
        o->deadline_ms = view->now_ms + OWNERSHIP_WRITE_MS;
        return (struct ownership_step){.act = OWNERSHIP_WRITE};
    }
    if (leased && view->unwritten > 0 && !overdue)
        return (struct ownership_step){.act = OWNERSHIP_NOTHING};
    ownership_let_go(o);
    o->revoked = false;
    return (struct ownership_step){.act = OWNERSHIP_LET_GO};
}

static struct ownership_step ownership_start_or_resume(struct ownership_partition *p,
                                                       int32_t partition) {
    struct ownership_step step = {.act = p->started ? OWNERSHIP_RESUME : OWNERSHIP_START,
                                  .partition = partition,
                                  .window_full = !p->window_known,
                                  .rewrite = !p->window_known};
    p->started = p->window_known = true;
    p->resume = false;
    return step;
}

/* The first partition with something to do. */
static struct ownership_step ownership_next_of_partitions(struct ownership *o, int64_t now_ms) {
    bool leased = ownership_leased(o, now_ms);
    for (int32_t i = 0; i < o->partitions; i++) {
        struct ownership_partition *p = &o->partition[i];
        if (p->fence_due) {
            p->fence_due = false;
            return (struct ownership_step){.act = OWNERSHIP_FENCE, .partition = i};
        }
        if (leased && p->state == PARTITION_HELD && (!p->started || p->resume))
            return ownership_start_or_resume(p, i);
    }
    return (struct ownership_step){.act = OWNERSHIP_NOTHING};
}

struct ownership_step ownership_next(struct ownership *o, const struct ownership_view *view) {
    bool leased = ownership_leased(o, view->now_ms);
    if (o->phase == OWNERSHIP_OUT) {
        bool revoked = o->revoked;
        o->revoked = false;
        return (struct ownership_step){.act = revoked ? OWNERSHIP_LET_GO : OWNERSHIP_NOTHING};
    }
    if (!leased && !o->suspended && ownership_any_started(o))
        return ownership_suspend(o);
    if (leased)
        o->suspended = false;
    if (o->read_due) {
        o->read_due = false;
        return (struct ownership_step){.act = OWNERSHIP_READ};
    }
    int place = view->now_ms >= o->next_ask_ms ? ownership_free_ask(o) : -1;
    if (place >= 0)
        return ownership_ask(o, place, view->now_ms);
    return o->phase == OWNERSHIP_IN ? ownership_next_of_partitions(o, view->now_ms)
                                    : ownership_leave(o, view);
}

int64_t ownership_due_ms(const struct ownership *o) {
    int64_t due = ownership_free_ask(o) >= 0 ? o->next_ask_ms : INT64_MAX;
    if (o->phase != OWNERSHIP_OUT && !o->suspended && ownership_any_started(o) &&
        o->lease_until_ms < due)
        due = o->lease_until_ms;
    if ((o->phase == OWNERSHIP_LEAVING || o->phase == OWNERSHIP_WRITING) && o->deadline_ms < due)
        due = o->deadline_ms;
    return due;
}
