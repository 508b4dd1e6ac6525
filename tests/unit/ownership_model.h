/* The model under ownership's schedules: a clock, messages that take their time, a log a partition,
 * the group's coordinator, and each process's handle, which works while the process's loop is busy.
 * One world. */
#ifndef ESS_TESTS_OWNERSHIP_MODEL_H
#define ESS_TESTS_OWNERSHIP_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "dispatcher/ownership/ownership.h"

enum { PROCESSES = 3, PARTITIONS = 3, LANES = 2, MEMBERS = 16, MESSAGES = 1024, EVENTS = 4 };
enum {
    TICK_MS = 20,
    SESSION_MS = 10000,
    HEARTBEAT_MS = 500,
    REBALANCE_MS = 15000,
    TIMEOUT_MS = 5000,
    LAG_MS = 90000
};
/* --- the log */

struct record {
    bool fence, gone; /* gone: compacted away */
    int64_t at_ms;
    uint64_t owner, assignment;
    int lane;
    int64_t epoch, number, position;
};

struct log {
    struct record *records;
    int64_t count, cap;
    int64_t newest_epoch;    /* under which anything was started */
    uint64_t last_starter;   /* of lanes */
    int64_t received[LANES]; /* by the receiver: everything up to here */
};

/* --- what is under way */

enum kind {
    JOIN,
    HEARTBEAT,
    COMMIT,
    LEAVE,
    PRODUCE,
    JOINED,
    HEARTBEAT_ANSWER,
    COMMIT_ANSWER,
    REPORT
};
struct message {
    bool used, left; /* left: it is out of the process that sends it */
    enum kind kind;
    int process;
    uint64_t life; /* of the process that sent it or is to get it */
    int64_t due_ms;
    uint64_t member, generation;
    enum { OK, REBALANCE, REFUSED } answer;
    unsigned mask; /* JOINED */
    uint64_t ask;  /* COMMIT */
    int partition;
    bool unknown; /* PRODUCE: written, but reported as failed */
    bool late;    /* PRODUCE: out of its order */
    struct record record;
};

/* --- the coordinator */

struct member {
    uint64_t id; /* 0: none */
    int process;
    uint64_t life;
    bool joined;
    int64_t expires_ms;
};

/* --- a process: the group's handle, which has a thread of its own, and the loop */

struct lane {
    bool running, in_flight;
    int64_t position, ends_ms, token_due_ms;
    int64_t kept; /* position of the token that is kept */
    struct token_choice choice;
};

struct event {
    bool assign, lost;
    unsigned mask;
};

struct process {
    bool alive, stopped, leaving;
    uint64_t life;
    int64_t until_ms, busy_until_ms; /* of being stopped or dead; of one long callback */
    enum { APART, JOINING, MEMBER, REVOKING } handle;
    uint64_t member, generation;
    unsigned mask;
    int64_t heartbeat_ms, heard_ms;
    struct event events[EVENTS];
    int events_count;
    struct ownership o;
    int64_t unwritten, newest_number;
    bool follows[PARTITIONS], specs_due[PARTITIONS];
    int64_t read[PARTITIONS];
    struct lane lanes[PARTITIONS][LANES];
};

static struct {
    uint64_t random;
    int64_t now, outage_until_ms;
    bool faults;
    struct log logs[PARTITIONS];
    struct message messages[MESSAGES];
    struct member members[MEMBERS];
    uint64_t last_id, generation;
    bool preparing;
    int64_t preparing_until_ms;
    struct process processes[PROCESSES];
    int64_t disputes, voids, losses, suspensions, starts, takeovers,
        lates; /* that the schedules are not tame */
} w;

static inline uint64_t random_64(void) {
    w.random ^= w.random << 13;
    w.random ^= w.random >> 7;
    w.random ^= w.random << 17;
    return w.random;
}
static inline int64_t below(int64_t n) { return (int64_t)(random_64() % (uint64_t)n); }
static inline bool chance(int per_mille) { return below(1000) < per_mille; }
static inline bool runs(const struct process *p) { return p->alive && !p->stopped; }

static inline struct message *send(enum kind kind, int process, int64_t delay_ms) {
    for (int i = 0; i < MESSAGES; i++) {
        struct message *m = &w.messages[i];
        if (m->used)
            continue;
        *m = (struct message){.used = true,
                              .kind = kind,
                              .process = process,
                              .life = w.processes[process].life,
                              .due_ms = w.now + delay_ms};
        m->left = !chance(300);
        return m;
    }
    fail_msg("too many messages");
    return NULL;
}

static inline int64_t network_ms(void) {
    return w.faults && chance(30) ? below(3000) : 1 + below(15);
}

/* --- coordinator */

static inline struct member *member_of(uint64_t id) {
    for (int i = 0; i < MEMBERS; i++)
        if (id && w.members[i].id == id)
            return &w.members[i];
    return NULL;
}

static inline void prepare(void) {
    if (!w.preparing)
        w.preparing_until_ms = w.now + REBALANCE_MS;
    w.preparing = true;
}

/* As the range strategy does: consecutive partitions, in the members' order. */
static inline void complete_rebalance(void) {
    int count = 0, number = 0, first = 0;
    for (int i = 0; i < MEMBERS; i++)
        count += w.members[i].id != 0;
    w.preparing = false;
    w.generation++;
    for (int i = 0; i < MEMBERS; i++) {
        struct member *m = &w.members[i];
        if (!m->id)
            continue;
        int share = PARTITIONS / count + (number++ < PARTITIONS % count);
        struct message *answer = send(JOINED, m->process, network_ms());
        answer->life = m->life;
        answer->member = m->id;
        answer->generation = w.generation;
        answer->mask = ((1U << share) - 1) << first;
        first += share;
        m->joined = false;
        m->expires_ms = w.now + SESSION_MS;
    }
}

static inline void tick_coordinator(void) {
    bool all = true, any = false;
    for (int i = 0; i < MEMBERS; i++) {
        struct member *m = &w.members[i];
        bool expired = m->id && !m->joined &&
                       (w.now >= m->expires_ms || (w.preparing && w.now >= w.preparing_until_ms));
        if (expired) {
            m->id = 0;
            prepare();
        }
        any |= m->id != 0;
        all &= !m->id || m->joined;
    }
    if (w.preparing && all && any)
        complete_rebalance();
}

static inline void on_join(const struct message *m) {
    struct member *member = member_of(m->member);
    for (int i = 0; !member && i < MEMBERS; i++)
        member = w.members[i].id ? NULL : &w.members[i];
    assert_non_null(member);
    *member = (struct member){
        .id = m->member, .process = m->process, .life = m->life, .joined = true};
    prepare();
}

static inline void on_ask(const struct message *m) {
    struct member *member = member_of(m->member);
    struct message *answer = send(m->kind == COMMIT ? COMMIT_ANSWER : HEARTBEAT_ANSWER, m->process,
                                  network_ms());
    answer->life = m->life;
    answer->member = m->member;
    answer->ask = m->ask;
    answer->answer = !member || m->generation != w.generation ? REFUSED
                     : w.preparing && m->kind == HEARTBEAT    ? REBALANCE
                                                              : OK;
    if (answer->answer != REFUSED)
        member->expires_ms = w.now + SESSION_MS;
}

static inline void append(const struct message *m) {
    struct log *log = &w.logs[m->partition];
    if (log->count == log->cap)
        log->records = mem_resize(log->records, (size_t)(log->cap += 4096) * sizeof *log->records);
    log->records[log->count] = m->record;
    log->records[log->count++].at_ms = w.now;
    struct message *report = send(REPORT, m->process, m->unknown ? TIMEOUT_MS : network_ms());
    report->life = m->life;
    report->partition = m->partition;
    report->record = m->record;
    report->answer = m->unknown ? REFUSED : OK;
}

/* --- the group's handle, as librdkafka has it */

static inline void tell(struct process *p, struct event event) {
    assert_true(p->events_count < EVENTS);
    p->events[p->events_count++] = event;
}

static inline void revoke(struct process *p, bool lost) {
    w.losses += lost;
    p->handle = p->mask ? REVOKING : APART;
    if (p->mask)
        tell(p, (struct event){.lost = lost});
    if (lost)
        p->member = 0;
}

static inline void tick_handle(struct process *p) {
    int number = (int)(p - w.processes);
    if (p->handle == APART && !p->leaving) {
        struct message *m = send(JOIN, number, network_ms());
        p->member = p->member ? p->member : ++w.last_id;
        m->member = p->member;
        p->handle = JOINING;
    }
    if (p->handle == MEMBER && w.now >= p->heard_ms + SESSION_MS)
        revoke(p, true);
    if ((p->handle == MEMBER || p->handle == REVOKING) && w.now >= p->heartbeat_ms) {
        struct message *m = send(HEARTBEAT, number, network_ms());
        m->member = p->member;
        m->generation = p->generation;
        p->heartbeat_ms = w.now + HEARTBEAT_MS;
    }
}

static inline void on_joined(struct process *p, const struct message *m) {
    if (p->handle != JOINING || m->member != p->member)
        return;
    p->handle = MEMBER;
    p->generation = m->generation;
    p->mask = m->mask;
    p->heard_ms = w.now;
    tell(p, (struct event){.assign = true, .mask = m->mask});
}

static inline void on_heartbeat_answer(struct process *p, const struct message *m) {
    if (m->member != p->member)
        return;
    if (m->answer != REFUSED)
        p->heard_ms = w.now;
    if (p->handle == MEMBER && m->answer != OK)
        revoke(p, m->answer == REFUSED);
    else if (p->handle == REVOKING && m->answer == REFUSED)
        p->member = 0;
}

#endif
