/* Ownership in whole schedules: three processes share partitions through a model of Kafka's group
 * coordinator and a model log, are stopped, killed, ended politely and cut off, and their records
 * are late, lost, or written though nobody knows. Asserted at every step: at most one process may
 * start; epochs never go back; neither a void token nor an older one of the same owner is ever
 * taken while a better one is in the log; no event is skipped; and once the faults end, all is held
 * and good again. Seeded: a failure names its seed. */
#include "tests/unit/ownership_model.h"

enum { FAULTS_MS = 240000, CALM_MS = 60000, SEEDS = 150 };

/* --- the loop of a process */

/* One producer keeps its order. */
static void keep_order(struct message *m) {
    for (int i = 0; i < MESSAGES; i++) {
        const struct message *other = &w.messages[i];
        bool same = other != m && other->used && other->kind == PRODUCE && other->life == m->life &&
                    other->partition == m->partition;
        if (same && !other->late && other->due_ms > m->due_ms)
            m->due_ms = other->due_ms;
    }
}

static void produce(struct process *p, int partition, struct record record) {
    struct message *m = send(PRODUCE, (int)(p - w.processes), network_ms());
    m->partition = partition;
    m->record = record;
    m->unknown = w.faults && chance(20);
    m->late = w.faults &&
              chance(20); /* its producer is replaced, and appends it behind the next one's */
    p->unwritten++;
    if (m->late)
        m->due_ms += below(3000);
    else
        keep_order(m);
}

static void write_token(struct process *p, int partition, int lane) {
    struct lane *l = &p->lanes[partition][lane];
    l->token_due_ms = INT64_MAX;
    l->choice.rewrite = false;
    produce(p, partition,
            (struct record){.lane = lane,
                            .epoch = ownership_epoch(&p->o, partition),
                            .number = ++p->newest_number,
                            .position = l->position});
}

static void write_tokens(struct process *p, int partition, bool void_only) {
    for (int i = 0; i < LANES; i++)
        if (p->lanes[partition][i].running &&
            (!void_only || p->lanes[partition][i].choice.rewrite) &&
            ownership_may_write(&p->o, partition, w.now))
            write_token(p, partition, i);
}

static void close_in_flight(struct process *p) {
    for (int i = 0; i < PARTITIONS * LANES; i++)
        p->lanes[i / LANES][i % LANES].in_flight = false;
}

static int64_t in_flight(const struct process *p) {
    int64_t count = 0;
    for (int i = 0; i < PARTITIONS * LANES; i++)
        count += p->lanes[i / LANES][i % LANES].in_flight;
    return count;
}

/* What the whole log says, had nothing been compacted: -1 where there is no token. */
static int64_t true_position(int partition, int lane, int64_t upto) {
    int64_t newest_fence = -1, valid = -1, any = -1;
    const struct record *newest = NULL;
    for (int64_t i = 0; i < upto; i++) {
        const struct record *r = &w.logs[partition].records[i];
        if (r->fence) {
            newest_fence = i;
        } else if (r->lane == lane) {
            bool late = newest && newest->epoch == r->epoch && newest->number > r->number;
            newest = late || r->epoch < newest_fence ? newest : r;
            valid = newest ? newest->position : -1;
            any = r->position;
        }
    }
    return valid >= 0 ? valid : any;
}

static void start_lanes(struct process *p, const struct ownership_step *step) {
    struct log *log = &w.logs[step->partition];
    w.starts++;
    w.takeovers += log->last_starter && log->last_starter != p->life;
    assert_true(step->window_full || log->last_starter == p->life);
    log->last_starter = p->life;
    for (int i = 0; i < LANES; i++) {
        struct lane *l = &p->lanes[step->partition][i];
        assert_int_equal(l->choice.kept == CHOICE_NONE ? -1 : l->kept,
                         true_position(step->partition, i, p->read[step->partition]));
        l->position = l->choice.kept == CHOICE_NONE ? 0 : l->kept;
        l->running = true;
        l->token_due_ms = INT64_MAX;
    }
    write_tokens(p, step->partition, true);
}

static void follow(struct process *p) {
    for (int i = 0; i < PARTITIONS; i++) {
        bool ours = p->o.partition[i].state != PARTITION_OTHERS;
        if (!p->follows[i] || !ours) {
            p->read[i] = 0;
            memset(p->lanes[i], 0, sizeof p->lanes[i]);
        }
        p->follows[i] = p->specs_due[i] = ours;
    }
}

static void let_go(struct process *p) {
    close_in_flight(p);
    for (int i = 0; i < PARTITIONS * LANES; i++)
        p->lanes[i / LANES][i % LANES].running = false;
    if (p->handle == REVOKING)
        p->handle = APART;
}

static void stop(struct process *p) {
    p->stopped = true;
    p->until_ms = w.now + below(chance(500) ? 3000 : 40000);
}

static void do_step(struct process *p, const struct ownership_step *step) {
    struct message *m;
    switch (step->act) {
    case OWNERSHIP_READ:
        follow(p);
        break;
    case OWNERSHIP_ASK:
        m = send(COMMIT, (int)(p - w.processes), network_ms());
        m->member = p->member;
        m->generation = p->generation;
        m->ask = step->ask;
        if (w.faults && chance(5))
            stop(p); /* so that its answer is read long after */
        break;
    case OWNERSHIP_FENCE:
        produce(p, step->partition,
                (struct record){.fence = true, .owner = p->o.owner, .assignment = p->o.assignment});
        if (w.faults && chance(40))
            stop(p); /* so that it comes when another has fenced */
        break;
    case OWNERSHIP_START:
        start_lanes(p, step);
        break;
    case OWNERSHIP_RESUME:
        w.disputes += step->rewrite;
        if (step->rewrite)
            write_tokens(p, step->partition, false);
        break;
    case OWNERSHIP_SUSPEND:
        w.suspensions++;
        close_in_flight(p);
        break;
    case OWNERSHIP_WRITE:
        close_in_flight(p);
        for (int i = 0; i < PARTITIONS; i++)
            write_tokens(p, i, false);
        break;
    case OWNERSHIP_LET_GO:
        let_go(p);
        break;
    case OWNERSHIP_NOTHING:
        break;
    }
}

static void settle_ownership(struct process *p) {
    struct ownership_step step;
    do {
        const struct ownership_view view = {
            .now_ms = w.now, .in_flight = in_flight(p), .unwritten = p->unwritten};
        step = ownership_next(&p->o, &view);
        do_step(p, &step);
    } while (step.act != OWNERSHIP_NOTHING);
}

static void drain_group(struct process *p) {
    for (int i = 0; i < p->events_count; i++) {
        int32_t list[PARTITIONS], count = 0;
        for (int32_t k = 0; k < PARTITIONS; k++)
            if (p->events[i].mask & (1U << k))
                list[count++] = k;
        if (p->events[i].assign)
            ownership_assigned(&p->o, list, count, w.now);
        else
            ownership_revoked(&p->o, p->events[i].lost, w.now);
        settle_ownership(p);
    }
    p->events_count = 0;
}

static void read_record(struct process *p, int partition, int64_t offset) {
    const struct record *r = &w.logs[partition].records[offset];
    if (r->gone)
        return;
    if (r->fence) {
        ownership_fence_read(&p->o, partition, offset, r->owner, r->assignment, w.now);
        return;
    }
    struct lane *l = &p->lanes[partition][r->lane];
    p->newest_number = r->number > p->newest_number ? r->number : p->newest_number;
    w.lates += l->choice.kept == CHOICE_VALID && r->epoch == l->choice.epoch &&
               r->number < l->choice.number;
    if (ownership_token_read(&p->o, partition, r->epoch, r->number, &l->choice))
        l->kept = r->position;
    w.voids += l->choice.rewrite;
    if (l->choice.rewrite && l->running && ownership_may_write(&p->o, partition, w.now))
        write_token(p, partition, r->lane);
}

static void read_logs(struct process *p) {
    for (int i = 0; i < PARTITIONS; i++) {
        for (int64_t turns = below(30); p->follows[i] && turns > 0 && p->read[i] < w.logs[i].count;
             turns--) {
            read_record(p, i, p->read[i]++);
            settle_ownership(p);
        }
        if (p->specs_due[i] && chance(100)) {
            p->specs_due[i] = false;
            ownership_specs_read(&p->o, i);
            settle_ownership(p);
        }
    }
}

static void receive(struct log *log, int lane, int64_t event) {
    assert_true(event <= log->received[lane] + 1);
    if (event > log->received[lane])
        log->received[lane] = event;
}

static void run_lane(struct process *p, int partition, int lane) {
    struct log *log = &w.logs[partition];
    struct lane *l = &p->lanes[partition][lane];
    if (l->in_flight && w.now >= l->ends_ms) {
        assert_true(log->last_starter == p->life);
        l->in_flight = false;
        receive(log, lane, ++l->position);
        if (l->token_due_ms == INT64_MAX)
            l->token_due_ms = w.now + below(900);
    }
    if (l->running && w.now >= l->token_due_ms && ownership_may_write(&p->o, partition, w.now))
        write_token(p, partition, lane);
    if (!l->running || l->in_flight || !ownership_may_start(&p->o, partition, w.now) || chance(800))
        return;
    assert_true(ownership_epoch(&p->o, partition) >= log->newest_epoch);
    log->newest_epoch = ownership_epoch(&p->o, partition);
    assert_true(log->last_starter == p->life);
    l->in_flight = true;
    l->ends_ms = w.now + below(chance(100) ? 4000 : 200);
    if (chance(500))
        receive(log, lane, l->position + 1); /* whatever becomes of the answer */
}

static void tick_loop(struct process *p) {
    if (w.now < p->busy_until_ms)
        return;
    drain_group(p);
    settle_ownership(p);
    read_logs(p);
    for (int i = 0; i < PARTITIONS * LANES; i++)
        run_lane(p, i / LANES, i % LANES);
    if (w.faults && chance(2))
        p->busy_until_ms = w.now + below(2500);
}

static void on_report(struct process *p, const struct message *m) {
    p->unwritten--;
    if (m->answer == OK)
        return;
    if (m->record.fence)
        ownership_fence_failed(&p->o, m->partition, m->record.assignment);
    else if (p->lanes[m->partition][m->record.lane].running)
        p->lanes[m->partition][m->record.lane].token_due_ms = w.now;
}

/* --- messages arrive */

static void arrive(struct message *slot) {
    const struct message message = *slot, *m = &message; /* the slot may be used for an answer */
    struct process *p = &w.processes[m->process];
    bool to_broker = m->kind <= PRODUCE, same_life = p->alive && p->life == m->life;
    if (to_broker && !m->left && same_life && p->stopped)
        return; /* it waits in a process that is stopped */
    if (to_broker && w.now < w.outage_until_ms)
        return;
    if (!to_broker && same_life && p->stopped)
        return; /* it waits in the socket */
    slot->used = false;
    if (!to_broker && !same_life)
        return;
    if (m->kind == JOIN)
        on_join(m);
    else if (m->kind == HEARTBEAT || m->kind == COMMIT)
        on_ask(m);
    else if (m->kind == LEAVE && member_of(m->member))
        member_of(m->member)->joined = false, member_of(m->member)->expires_ms = w.now;
    else if (m->kind == PRODUCE)
        append(m);
    else if (m->kind == JOINED)
        on_joined(p, m);
    else if (m->kind == HEARTBEAT_ANSWER)
        on_heartbeat_answer(p, m);
    else if (m->kind == COMMIT_ANSWER)
        ownership_answered(&p->o, m->ask, m->answer == OK, w.now);
    else if (m->kind == REPORT)
        on_report(p, m);
}

/* --- faults */

static void begin_process(struct process *p) {
    *p = (struct process){.alive = true, .life = ++w.last_id};
    ownership_init(&p->o, p->life, PARTITIONS, SESSION_MS);
}

static void end_process(struct process *p, int64_t pause_ms) {
    for (int i = 0; i < MESSAGES; i++)
        if (w.messages[i].used && !w.messages[i].left && w.messages[i].life == p->life)
            w.messages[i].used = false;
    p->alive = false;
    p->until_ms = w.now + pause_ms;
}

static void tick_fate(struct process *p) {
    if (!p->alive && w.now >= p->until_ms)
        begin_process(p);
    else if (p->stopped && w.now >= p->until_ms)
        p->stopped = false;
    else if (p->alive && p->leaving && ownership_ended(&p->o) && !p->stopped) {
        struct message *m = send(LEAVE, (int)(p - w.processes), network_ms());
        m->member = p->member;
        m->left = true;
        end_process(p, below(5000));
    }
    if (!w.faults || !runs(p) || !chance(2))
        return;
    int64_t pick = below(3);
    if (pick == 0) {
        end_process(p, below(20000));
    } else if (pick == 1) {
        stop(p);
    } else if (!p->leaving) {
        p->leaving = true;
        ownership_stop(&p->o, w.now + below(8000));
    }
}

static void compact(void) {
    for (int i = 0; i < PARTITIONS; i++) {
        bool fence_above = false, above[LANES] = {false};
        for (int64_t k = w.logs[i].count - 1; k >= 0; k--) {
            struct record *r = &w.logs[i].records[k];
            bool *seen = r->fence ? &fence_above : &above[r->lane];
            r->gone |= *seen && r->at_ms < w.now - LAG_MS;
            *seen = true;
        }
    }
}

static void assert_one_owner(void) {
    for (int i = 0; i < PARTITIONS; i++) {
        int owners = 0;
        for (int k = 0; k < PROCESSES; k++)
            owners += w.processes[k].alive && ownership_may_start(&w.processes[k].o, i, w.now);
        assert_in_range(owners, 0, 1);
    }
}

static void tick(void) {
    w.now += TICK_MS;
    if (w.faults && w.now >= w.outage_until_ms && chance(1) && chance(100))
        w.outage_until_ms = w.now + below(20000);
    for (int i = 0; i < MESSAGES; i++)
        if (w.messages[i].used && w.messages[i].due_ms <= w.now)
            arrive(&w.messages[i]);
    tick_coordinator();
    for (int i = 0; i < PROCESSES; i++) {
        tick_fate(&w.processes[i]);
        if (!runs(&w.processes[i]))
            continue;
        tick_handle(&w.processes[i]);
        tick_loop(&w.processes[i]);
    }
    assert_one_owner();
    if (chance(2))
        compact();
}

static void assert_all_is_good(void) {
    for (int i = 0; i < PARTITIONS; i++) {
        int owners = 0;
        for (int k = 0; k < PROCESSES; k++)
            owners += runs(&w.processes[k]) && ownership_may_start(&w.processes[k].o, i, w.now);
        assert_int_equal(owners, 1);
        for (int lane = 0; lane < LANES; lane++)
            assert_in_range(w.logs[i].received[lane] - true_position(i, lane, w.logs[i].count), 0,
                            30);
    }
}

static void run_schedule(uint64_t seed) {
    for (int i = 0; i < PARTITIONS; i++) {
        free(w.logs[i].records);
        w.logs[i] = (struct log){.newest_epoch = -1};
    }
    memset(w.messages, 0, sizeof w.messages);
    memset(w.members, 0, sizeof w.members);
    memset(w.processes, 0, sizeof w.processes);
    w.random = seed * 0x9e3779b97f4a7c15 + 1;
    w.now = 1000000;
    w.outage_until_ms = 0;
    w.preparing = false;
    w.faults = true;
    for (int64_t end = w.now + FAULTS_MS; w.now < end;)
        tick();
    w.faults = false;
    for (int64_t end = w.now + CALM_MS; w.now < end;)
        tick();
    assert_all_is_good();
}

static void test_no_schedule_breaks_ownership(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        run_schedule(seed);
    }
    print_message("starts %lld takeovers %lld disputes %lld voids %lld losses %lld suspensions "
                  "%lld lates %lld\n",
                  (long long)w.starts, (long long)w.takeovers, (long long)w.disputes,
                  (long long)w.voids, (long long)w.losses, (long long)w.suspensions,
                  (long long)w.lates);
    assert_true(w.takeovers > SEEDS && w.disputes > 10 && w.voids > SEEDS && w.losses > SEEDS &&
                w.suspensions > SEEDS / 2);
    assert_true(w.lates > SEEDS / 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_schedule_breaks_ownership)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
