/* The partitions that are this process's; see partitions.h. Callbacks only tell ownership what
 * happened. What follows from it is done in one place, `run`: at every wake-up, after the group's
 * queue was drained and before anything else, and before each wait. */
#include "dispatcher/ownership/partitions.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/kafka/group.h"
#include "common/kafka/table.h"
#include "common/model/claim.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/subscriber/subscribers.h"

_Static_assert((int)OWNERSHIP_PARTITIONS_MAX == (int)SUBSCRIBER_PARTITIONS_MAX,
               "every partition has a place");

enum { LEAVE_MS = 5000, FAILURE_LOG_PERIOD_MS = 10000, FETCH_WAIT_MS = 250, TRIM_MS = 5000 };

struct partitions {
    struct dispatcher *dispatcher;
    struct group *group;
    struct ownership ownership;
    struct table *table; /* NULL: closed */
    const char *topics[3];
    bool is_assigned; /* by the group, whether open or not: */
    int32_t assigned[SUBSCRIBER_PARTITIONS_MAX], assigned_count;
    int64_t assigned_ms;
    bool settled; /* and said so */
    int64_t window_ms[SUBSCRIBER_PARTITIONS_MAX];
    int64_t newest_number; /* of all tokens */
    struct loop_hook hook;
    struct loop_timer due, watchdog, trim;
    struct log_limit failures, disputes, claims;
    char claim_trouble[512]; /* why a claim was not written, "" since one was read */
};

/* --- claims */

struct claim_append {
    struct append append;
    struct dispatcher *dispatcher;
    int32_t partition;
    uint64_t owner, assignment;
};

static void note_claim_failed(struct partitions *p, int32_t partition, const char *reason) {
    int64_t held_back;
    snprintf(p->claim_trouble, sizeof p->claim_trouble,
             "partitions cannot be claimed in %s: %.150s", p->dispatcher->tokens_topic, reason);
    if (log_limit_pass(&p->claims, clock_ms(), FAILURE_LOG_PERIOD_MS, &held_back))
        log_warn("claim_not_written", LOG_N("partition", partition), LOG_S("reason", reason),
                 LOG_N("held_back", held_back));
}

static void on_claim_reported(struct append *append, const struct producer_report *report) {
    struct claim_append *a = (struct claim_append *)append;
    struct partitions *p = a->dispatcher->partitions;
    if (report->fate != PRODUCER_WRITTEN && p && p->ownership.owner == a->owner) {
        note_claim_failed(p, a->partition, report->reason);
        ownership_claim_failed(&p->ownership, a->partition, a->assignment);
    }
    free(a);
}

static void claim(struct partitions *p, int32_t partition) {
    struct dispatcher *d = p->dispatcher;
    const struct ownership *o = &p->ownership;
    struct buf value = {0};
    struct error err;
    struct claim_append *a = mem_zero(sizeof *a);
    *a = (struct claim_append){.append.reported = on_claim_reported,
                               .dispatcher = d,
                               .partition = partition,
                               .owner = o->owner,
                               .assignment = o->assignment};
    claim_to_json(o->owner, o->assignment, &value);
    const struct producer_record record = {.topic = d->tokens_topic,
                                           .partition = partition,
                                           .key = claim_key(),
                                           .value = {value.data, value.len}};
    if (producer_send(d->producer, &record, &a->append, &err)) {
        ownership_claim_failed(&p->ownership, partition, o->assignment);
        free(a);
    }
    buf_fini(&value);
}

/* --- what ownership says is to be done */

static void read_assigned(struct partitions *p) {
    struct error err;
    bool chosen[SUBSCRIBER_PARTITIONS_MAX];
    for (int32_t i = 0; i < p->ownership.partitions; i++) {
        chosen[i] = p->ownership.partition[i].state != PARTITION_OTHERS;
        if (!chosen[i]) {
            subscribers_forget(p->dispatcher->subscribers, i);
            p->window_ms[i] = INT64_MIN;
        }
    }
    if (table_choose(p->table, chosen, &err))
        dispatcher_start_over(p->dispatcher, err.message);
}

static void start(struct partitions *p, const struct ownership_step *step) {
    struct subscribers *all = p->dispatcher->subscribers;
    if (step->window_full)
        p->window_ms[step->partition] = clock_ms();
    if (step->act == OWNERSHIP_START)
        subscribers_start(all, step->partition);
    else
        subscribers_resume(all, step->partition, step->rewrite);
}

static void carry_out(struct partitions *p, const struct ownership_step *step) {
    struct subscribers *all = p->dispatcher->subscribers;
    switch (step->act) {
    case OWNERSHIP_READ:
        read_assigned(p);
        break;
    case OWNERSHIP_ASK:
        if (group_ask(p->group, p->assigned[0], step->ask))
            ownership_answered(&p->ownership, step->ask, false, clock_ms());
        break;
    case OWNERSHIP_CLAIM:
        claim(p, step->partition);
        break;
    case OWNERSHIP_START:
    case OWNERSHIP_RESUME:
        start(p, step);
        break;
    case OWNERSHIP_SUSPEND:
        log_warn("lease_expired",
                 LOG_S("reason",
                       "the group was not heard of for a session; nothing is sent until it is"));
        subscribers_close(all);
        break;
    case OWNERSHIP_WRITE:
        subscribers_close(all);
        subscribers_write(all);
        break;
    case OWNERSHIP_LET_GO:
        subscribers_stop(all);
        group_release(p->group);
        break;
    case OWNERSHIP_NOTHING:
        break;
    }
}

static void note_settled(struct partitions *p) {
    const struct dispatcher *d = p->dispatcher;
    bool settled = partitions_settled(p);
    if (settled && !p->settled) {
        loop_timer_set(d->loop, &p->trim, clock_ms() + TRIM_MS);
        log_info("ready", LOG_S("feed", d->genesis.feed), LOG_N("end", feed_end(d->feed)),
                 LOG_N("partitions", p->ownership.owned),
                 LOG_N("subscribers", subscribers_count(d->subscribers)),
                 LOG_N("after_ms", clock_ms() - p->assigned_ms));
    }
    p->settled = settled;
}

static void run(struct partitions *p) {
    const struct dispatcher *d = p->dispatcher;
    struct ownership *o = &p->ownership;
    struct ownership_step step;
    do {
        const struct ownership_view view = {.now_ms = clock_ms(),
                                            .in_flight = d->capacity.in_flight +
                                                         d->dead_letters_pending,
                                            .unwritten = d->tokens_pending};
        step = ownership_next(o, &view);
        carry_out(p, &step);
    } while (step.act != OWNERSHIP_NOTHING);
    note_settled(p);
    if (ownership_ended(o))
        group_leave(p->group);
    int64_t due = ownership_due_ms(o);
    if (due == INT64_MAX)
        loop_timer_clear(d->loop, &p->due);
    else if (p->due.slot == 0 || p->due.at_ms != due)
        loop_timer_set(d->loop, &p->due, due);
}

static void after_wait(void *arg) {
    struct partitions *p = arg;
    group_drain(p->group);
    run(p);
}

static bool before_wait(void *arg) {
    run(arg);
    return false;
}

static void on_due(void *arg) { (void)arg; } /* the loop has woken up: that is all */

/* Gives back what was read ahead: with thousands of subscribers several megabytes, in the arenas of
 * librdkafka's threads. */
static void on_trim(void *arg) {
    (void)arg;
    malloc_trim(0);
}

/* --- what the group says */

/* Partitions that were added to the topic after the feed was begun are the group's to give, and
 * hold nothing. */
static void drop_added(struct partitions *p) {
    int32_t kept = 0;
    for (int32_t i = 0; i < p->assigned_count; i++)
        if (p->assigned[i] < p->ownership.partitions)
            p->assigned[kept++] = p->assigned[i];
    p->assigned_count = kept;
}

static void tell_assigned(struct partitions *p) {
    p->assigned_ms = clock_ms();
    drop_added(p);
    ownership_assigned(&p->ownership, p->assigned, p->assigned_count, p->assigned_ms);
}

static void on_assigned(void *arg, const int32_t *partitions, int32_t count) {
    struct partitions *p = arg;
    p->assigned_count = 0;
    for (int32_t i = 0; i < count; i++)
        if (partitions[i] >= 0 && partitions[i] < SUBSCRIBER_PARTITIONS_MAX)
            p->assigned[p->assigned_count++] = partitions[i];
    p->is_assigned = true;
    log_info("assigned", LOG_N("partitions", count));
    if (p->table)
        tell_assigned(p);
    run(p);
}

static void on_revoked(void *arg, bool lost) {
    struct partitions *p = arg;
    p->is_assigned = false;
    if (lost)
        log_warn("partitions_lost", LOG_S("reason", "the group has taken this member for gone"));
    else
        log_info("revoked", LOG_N("in_flight", p->dispatcher->capacity.in_flight));
    ownership_revoked(&p->ownership, lost, clock_ms());
    run(p);
}

static void on_answered(void *arg, uint64_t ask, bool granted) {
    struct partitions *p = arg;
    ownership_answered(&p->ownership, ask, granted, clock_ms());
}

static void on_group_failed(void *arg, bool fatal, const char *reason) {
    struct partitions *p = arg;
    int64_t held_back;
    if (fatal) {
        ownership_revoked(&p->ownership, true, clock_ms());
        run(p);
        dispatcher_refuse(p->dispatcher, "group_failed", reason);
    } else if (log_limit_pass(&p->failures, clock_ms(), FAILURE_LOG_PERIOD_MS, &held_back)) {
        log_warn("group_error", LOG_S("reason", reason), LOG_N("held_back", held_back));
    }
}

static void on_left(void *arg) {
    struct partitions *p = arg;
    loop_stop(p->dispatcher->loop);
}

/* --- what the log says */

static void note_dispute(struct partitions *p, const struct table_record *record) {
    int64_t held_back;
    if (log_limit_pass(&p->disputes, clock_ms(), FAILURE_LOG_PERIOD_MS, &held_back))
        log_warn("claimed_by_another", LOG_N("partition", record->partition),
                 LOG_N("offset", record->offset), LOG_N("held_back", held_back),
                 LOG_S("reason", "the group is asked, and if it says that the partition is ours it "
                                 "is claimed again"));
}

static void on_record(void *arg, const struct table_record *record) {
    struct partitions *p = arg;
    uint64_t owner, assignment;
    if (record->topic != p->topics[1] || !span_equal(record->key, claim_key())) {
        subscribers_read(p->dispatcher->subscribers, record);
        return;
    }
    claim_from_json(record->value, &owner, &assignment);
    if (owner == p->ownership.owner)
        p->claim_trouble[0] = 0;
    if (owner != p->ownership.owner && p->ownership.partition[record->partition].epoch >= 0)
        note_dispute(p, record);
    ownership_claim_read(&p->ownership, record->partition, record->offset, owner, assignment,
                         clock_ms());
}

static void on_ended(void *arg, const char *topic, int32_t partition) {
    struct partitions *p = arg;
    if (topic == p->topics[0])
        ownership_specs_read(&p->ownership, partition);
}

/* Lanes go on as they are: what is known of them stays true until it is read otherwise. */
static void on_table_trouble(void *arg, const char *reason) {
    (void)arg;
    if (reason)
        log_warn("subscribers_not_read", LOG_S("reason", reason));
    else
        log_info("subscribers_read_again");
}

static void on_table_failed(void *arg, const char *reason) {
    struct partitions *p = arg;
    dispatcher_start_over(p->dispatcher, reason);
}

/* --- life */

static uint64_t new_owner(struct dispatcher *d) {
    uint64_t owner = dispatcher_random(d);
    return owner ? owner : 1;
}

static void own_nothing(struct partitions *p) {
    struct dispatcher *d = p->dispatcher;
    ownership_init(&p->ownership, new_owner(d), d->genesis.subscriber_partitions, GROUP_SESSION_MS);
}

struct partitions *partitions_new(struct dispatcher *d, struct error *err) {
    struct partitions *p = mem_zero(sizeof *p);
    *p = (struct partitions){
        .dispatcher = d,
        .topics = {d->subscribers_topic, d->tokens_topic, NULL},
        .hook = {.before_wait = before_wait, .after_wait = after_wait, .arg = p}};
    own_nothing(p);
    const struct group_options options = {.kafka = &d->settings.kafka,
                                          .group = d->group,
                                          .topic = d->subscribers_topic,
                                          .assigned = on_assigned,
                                          .revoked = on_revoked,
                                          .answered = on_answered,
                                          .failed = on_group_failed,
                                          .left = on_left,
                                          .arg = p};
    p->group = group_new(d->loop, &options, err);
    if (!p->group) {
        free(p);
        return NULL;
    }
    loop_timer_init(&p->due, on_due, p);
    loop_timer_init(&p->trim, on_trim, p);
    loop_hook_add(d->loop, &p->hook);
    return p;
}

int partitions_open(struct partitions *p, struct error *err) {
    struct dispatcher *d = p->dispatcher;
    if (p->ownership.partitions != d->genesis.subscriber_partitions)
        own_nothing(p); /* the topics were made again, with another number */
    const struct table_options options = {.kafka = &d->settings.kafka,
                                          .topics = p->topics,
                                          .partitions = p->ownership.partitions,
                                          .chosen = true,
                                          .fetch_wait_ms = FETCH_WAIT_MS,
                                          .record = on_record,
                                          .ended = on_ended,
                                          .trouble = on_table_trouble,
                                          .failed = on_table_failed,
                                          .arg = p};
    p->table = table_new(d->loop, &options, err);
    if (!p->table)
        return -1;
    for (int32_t i = 0; i < p->ownership.partitions; i++)
        p->window_ms[i] = INT64_MIN;
    if (p->is_assigned)
        tell_assigned(p);
    return 0;
}

/* Another owner from now on: what this one has under way must not be taken for the next one's. */
void partitions_close(struct partitions *p) {
    if (!p || !p->table)
        return;
    subscribers_stop(p->dispatcher->subscribers);
    own_nothing(p);
    group_release(p->group);
    table_free(p->table);
    p->table = NULL;
    p->settled = false;
}

static void on_watchdog(void *arg) {
    struct partitions *p = arg;
    log_warn(
        "group_not_left",
        LOG_S("reason",
              "no broker answers; the group takes this member for gone when its session ends"));
    loop_stop(p->dispatcher->loop);
}

void partitions_stop(struct partitions *p, int64_t deadline_ms) {
    ownership_stop(&p->ownership, deadline_ms);
    loop_timer_init(&p->watchdog, on_watchdog, p);
    loop_timer_set(p->dispatcher->loop, &p->watchdog, deadline_ms + OWNERSHIP_WRITE_MS + LEAVE_MS);
}

void partitions_free(struct partitions *p) {
    if (!p)
        return;
    partitions_close(p);
    loop_timer_clear(p->dispatcher->loop, &p->due);
    loop_timer_clear(p->dispatcher->loop, &p->watchdog);
    loop_timer_clear(p->dispatcher->loop, &p->trim);
    loop_hook_remove(p->dispatcher->loop, &p->hook);
    group_free(p->group);
    free(p);
}

/* --- what may be done */

const char *partitions_trouble(const struct partitions *p) {
    return p && p->table ? table_trouble(p->table) : NULL;
}

const char *partitions_claim_trouble(const struct partitions *p) {
    return p && p->claim_trouble[0] ? p->claim_trouble : NULL;
}

bool partitions_settled(const struct partitions *p) {
    return p && p->table && ownership_settled(&p->ownership, clock_ms());
}

bool partitions_started(const struct partitions *p, int32_t partition) {
    return p->ownership.partition[partition].started;
}

bool partitions_may_start(const struct partitions *p, int32_t partition) {
    return ownership_may_start(&p->ownership, partition, clock_ms());
}

bool partitions_may_write(const struct partitions *p, int32_t partition) {
    return ownership_may_write(&p->ownership, partition, clock_ms());
}

int64_t partitions_epoch(const struct partitions *p, int32_t partition) {
    return ownership_epoch(&p->ownership, partition);
}

int64_t partitions_newest_number(const struct partitions *p) { return p->newest_number; }

int64_t partitions_next_number(struct partitions *p) { return ++p->newest_number; }

bool partitions_token_read(struct partitions *p, int32_t partition, const struct token *token,
                           struct token_choice *choice) {
    if (token->number > p->newest_number)
        p->newest_number = token->number;
    return ownership_token_read(&p->ownership, partition, token->epoch, token->number, choice);
}

int64_t partitions_window_ms(const struct partitions *p, int32_t partition) {
    return p->window_ms[partition];
}
