/* This process's partitions; see partitions.h. Callbacks only report events to ownership. `run`
 * alone carries out the steps: at every wake-up after the group's queue was drained, and before
 * each wait. */
#include "dispatcher/ownership/partitions.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/kafka/group.h"
#include "common/kafka/producer.h"
#include "common/kafka/table.h"
#include "common/model/fence.h"
#include "common/model/subscriber.h"

_Static_assert((int)OWNERSHIP_PARTITIONS_MAX == (int)SUBSCRIBER_PARTITIONS_MAX,
               "every partition has a place");

enum { LEAVE_MS = 5000, FAILURE_LOG_PERIOD_MS = 10000, FETCH_WAIT_MS = 250, TRIM_MS = 5000 };

struct fence_append {
    struct append append;
    struct partitions *partitions; /* NULL: the partitions are gone */
    int32_t partition;
    uint64_t owner, assignment;
    struct fence_append *prev, *next;
};

struct partitions {
    struct partitions_options options;
    struct fence_append *fences_under_way;
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
    struct log_limit failures, disputes, fences;
    char fence_trouble[512]; /* why a fence was not written; "" once a fence was read */
    char group_trouble[256]; /* the group's newest error, "" since an assignment */
};

/* --- fences */

static void partitions_note_fence_failed(struct partitions *p, int32_t partition,
                                         const char *reason) {
    int64_t held_back;
    snprintf(p->fence_trouble, sizeof p->fence_trouble, "partitions cannot be fenced in %s: %.150s",
             p->options.tokens_topic, reason);
    if (log_limit_pass(&p->fences, clock_ms(), FAILURE_LOG_PERIOD_MS, &held_back))
        log_warn("claim_not_written", LOG_N("partition", partition), LOG_S("reason", reason),
                 LOG_N("held_back", held_back));
}

static void partitions_on_fence_reported(struct append *append,
                                         const struct producer_report *report) {
    struct fence_append *a = (struct fence_append *)append;
    struct partitions *p = a->partitions;
    if (p)
        DL_DELETE(p->fences_under_way, a);
    if (report->fate != PRODUCER_WRITTEN && p && p->ownership.owner == a->owner) {
        partitions_note_fence_failed(p, a->partition, report->reason);
        ownership_fence_failed(&p->ownership, a->partition, a->assignment);
    }
    free(a);
}

static void partitions_fence(struct partitions *p, int32_t partition) {
    const struct ownership *o = &p->ownership;
    struct buf value = {0};
    struct error err;
    struct fence_append *a = mem_zero(sizeof *a);
    *a = (struct fence_append){.append.reported = partitions_on_fence_reported,
                               .partitions = p,
                               .partition = partition,
                               .owner = o->owner,
                               .assignment = o->assignment};
    fence_to_json(o->owner, o->assignment, &value);
    const struct producer_record record = {.topic = p->options.tokens_topic,
                                           .partition = partition,
                                           .key = fence_key(),
                                           .value = {value.data, value.len}};
    if (producer_send(p->options.producer, &record, &a->append, &err)) {
        ownership_fence_failed(&p->ownership, partition, o->assignment);
        free(a);
    } else {
        DL_APPEND(p->fences_under_way, a);
    }
    buf_fini(&value);
}

static void partitions_forget_fences(struct partitions *p) {
    struct fence_append *a, *next;
    DL_FOREACH_SAFE(p->fences_under_way, a, next) {
        DL_DELETE(p->fences_under_way, a);
        a->partitions = NULL;
    }
}

/* --- ownership's steps */

static void partitions_read_assigned(struct partitions *p) {
    struct error err;
    bool chosen[SUBSCRIBER_PARTITIONS_MAX];
    for (int32_t i = 0; i < p->ownership.partitions; i++) {
        chosen[i] = p->ownership.partition[i].state != PARTITION_OTHERS;
        if (!chosen[i]) {
            p->options.owner.forget(p->options.arg, i);
            p->window_ms[i] = INT64_MIN;
        }
    }
    if (table_choose(p->table, chosen, &err))
        p->options.owner.start_over(p->options.arg, err.message);
}

static void partitions_start_lanes(struct partitions *p, const struct ownership_step *step) {
    const struct partitions_owner *owner = &p->options.owner;
    if (step->window_full)
        p->window_ms[step->partition] = clock_ms();
    if (step->act == OWNERSHIP_START)
        owner->start(p->options.arg, step->partition);
    else
        owner->resume(p->options.arg, step->partition, step->rewrite);
}

static void partitions_carry_out(struct partitions *p, const struct ownership_step *step) {
    const struct partitions_owner *owner = &p->options.owner;
    switch (step->act) {
    case OWNERSHIP_READ:
        partitions_read_assigned(p);
        break;
    case OWNERSHIP_ASK:
        if (group_ask(p->group, p->assigned[0], step->ask))
            ownership_answered(&p->ownership, step->ask, false, clock_ms());
        break;
    case OWNERSHIP_FENCE:
        partitions_fence(p, step->partition);
        break;
    case OWNERSHIP_START:
    case OWNERSHIP_RESUME:
        partitions_start_lanes(p, step);
        break;
    case OWNERSHIP_SUSPEND:
        log_warn("lease_expired", LOG_S("reason", "no answer from the consumer group for a "
                                                  "session; nothing is sent before an answer"));
        owner->close(p->options.arg);
        break;
    case OWNERSHIP_WRITE:
        owner->close(p->options.arg);
        owner->write(p->options.arg);
        break;
    case OWNERSHIP_LET_GO:
        owner->stop(p->options.arg);
        group_release(p->group);
        break;
    case OWNERSHIP_NOTHING:
        break;
    }
}

static void partitions_note_settled(struct partitions *p) {
    bool settled = partitions_settled(p);
    if (settled && !p->settled) {
        loop_timer_set(p->options.loop, &p->trim, clock_ms() + TRIM_MS);
        p->options.owner.settled(p->options.arg, p->ownership.owned, clock_ms() - p->assigned_ms);
    }
    p->settled = settled;
}

static void partitions_run(struct partitions *p) {
    struct ownership *o = &p->ownership;
    struct ownership_step step;
    do {
        struct ownership_view view = {.now_ms = clock_ms()};
        p->options.owner.look(p->options.arg, &view);
        step = ownership_next(o, &view);
        partitions_carry_out(p, &step);
    } while (step.act != OWNERSHIP_NOTHING);
    partitions_note_settled(p);
    if (ownership_ended(o))
        group_leave(p->group);
    int64_t due = ownership_due_ms(o);
    if (due == INT64_MAX)
        loop_timer_clear(p->options.loop, &p->due);
    else if (p->due.slot == 0 || p->due.at_ms != due)
        loop_timer_set(p->options.loop, &p->due, due);
}

static void partitions_after_wait(void *arg) {
    struct partitions *p = arg;
    group_drain(p->group);
    partitions_run(p);
}

static bool partitions_before_wait(void *arg) {
    partitions_run(arg);
    return false;
}

static void partitions_on_due(void *arg) { (void)arg; } /* only wakes the loop */

/* Returns the memory of read-ahead: with thousands of subscribers several megabytes in the arenas
 * of librdkafka's threads. */
static void partitions_on_trim(void *arg) {
    (void)arg;
    malloc_trim(0);
}

/* --- events of the group */

/* Drops partitions added to the topic after the feed was begun: the group may assign them, but
 * they hold nothing. */
static void partitions_drop_added(struct partitions *p) {
    int32_t kept = 0;
    for (int32_t i = 0; i < p->assigned_count; i++)
        if (p->assigned[i] < p->ownership.partitions)
            p->assigned[kept++] = p->assigned[i];
    p->assigned_count = kept;
}

static void partitions_tell_assigned(struct partitions *p) {
    p->assigned_ms = clock_ms();
    partitions_drop_added(p);
    ownership_assigned(&p->ownership, p->assigned, p->assigned_count, p->assigned_ms);
}

static void partitions_on_assigned(void *arg, const int32_t *partitions, int32_t count) {
    struct partitions *p = arg;
    p->assigned_count = 0;
    for (int32_t i = 0; i < count; i++)
        if (partitions[i] >= 0 && partitions[i] < SUBSCRIBER_PARTITIONS_MAX)
            p->assigned[p->assigned_count++] = partitions[i];
    p->is_assigned = true;
    p->group_trouble[0] = 0;
    log_info("assigned", LOG_N("partitions", count));
    if (p->table)
        partitions_tell_assigned(p);
    partitions_run(p);
}

static int64_t partitions_in_flight(const struct partitions *p) {
    struct ownership_view view = {.now_ms = clock_ms()};
    p->options.owner.look(p->options.arg, &view);
    return view.in_flight;
}

static void partitions_on_revoked(void *arg, bool lost) {
    struct partitions *p = arg;
    p->is_assigned = false;
    if (lost)
        log_warn("partitions_lost",
                 LOG_S("reason", "the consumer group considers this member gone"));
    else
        log_info("revoked", LOG_N("in_flight", partitions_in_flight(p)));
    ownership_revoked(&p->ownership, lost, clock_ms());
    partitions_run(p);
}

static void partitions_on_answered(void *arg, uint64_t ask, bool granted) {
    struct partitions *p = arg;
    ownership_answered(&p->ownership, ask, granted, clock_ms());
}

static void partitions_on_group_failed(void *arg, bool fatal, const char *reason) {
    struct partitions *p = arg;
    int64_t held_back;
    snprintf(p->group_trouble, sizeof p->group_trouble, "the group of dispatchers: %s", reason);
    if (fatal) {
        ownership_revoked(&p->ownership, true, clock_ms());
        partitions_run(p);
        p->options.owner.refuse(p->options.arg, "group_failed", reason);
    } else if (log_limit_pass(&p->failures, clock_ms(), FAILURE_LOG_PERIOD_MS, &held_back)) {
        log_warn("group_error", LOG_S("reason", reason), LOG_N("held_back", held_back));
    }
}

static void partitions_on_left(void *arg) {
    struct partitions *p = arg;
    loop_stop(p->options.loop);
}

/* --- events of the log */

static void partitions_note_dispute(struct partitions *p, const struct kafka_record *record) {
    int64_t held_back;
    if (log_limit_pass(&p->disputes, clock_ms(), FAILURE_LOG_PERIOD_MS, &held_back))
        log_warn("claimed_by_another", LOG_N("partition", record->partition),
                 LOG_N("offset", record->offset), LOG_N("held_back", held_back),
                 LOG_S("reason", "the group is asked; a confirmed partition is fenced again"));
}

static void partitions_on_record(void *arg, const struct kafka_record *record) {
    struct partitions *p = arg;
    uint64_t owner, assignment;
    if (record->topic != p->topics[1] || !span_equal(record->key, fence_key())) {
        p->options.owner.read(p->options.arg, record);
        return;
    }
    fence_from_json(record->value, &owner, &assignment);
    if (owner == p->ownership.owner)
        p->fence_trouble[0] = 0;
    if (owner != p->ownership.owner && p->ownership.partition[record->partition].epoch >= 0)
        partitions_note_dispute(p, record);
    ownership_fence_read(&p->ownership, record->partition, record->offset, owner, assignment,
                         clock_ms());
}

static void partitions_on_ended(void *arg, const char *topic, int32_t partition) {
    struct partitions *p = arg;
    if (topic == p->topics[0])
        ownership_specs_read(&p->ownership, partition);
}

/* Lanes continue: what is known stays true until new records are read. */
static void partitions_on_table_trouble(void *arg, const char *reason) {
    (void)arg;
    if (reason)
        log_warn("subscribers_not_read", LOG_S("reason", reason));
    else
        log_info("subscribers_read_again");
}

static void partitions_on_table_failed(void *arg, const char *reason) {
    struct partitions *p = arg;
    p->options.owner.start_over(p->options.arg, reason);
}

/* --- life */

static uint64_t partitions_new_owner(const struct partitions *p) {
    uint64_t owner = p->options.owner.random(p->options.arg);
    return owner ? owner : 1;
}

static void partitions_own_nothing(struct partitions *p, int32_t count) {
    ownership_init(&p->ownership, partitions_new_owner(p), count, GROUP_SESSION_MS);
}

struct partitions *partitions_new(const struct partitions_options *options, struct error *err) {
    struct partitions *p = mem_zero(sizeof *p);
    *p = (struct partitions){.options = *options,
                             .topics = {options->subscribers_topic, options->tokens_topic, NULL},
                             .hook = {.before_wait = partitions_before_wait,
                                      .after_wait = partitions_after_wait,
                                      .arg = p}};
    partitions_own_nothing(p, 0);
    const struct group_options group = {.kafka = options->kafka,
                                        .group = options->group,
                                        .topic = options->subscribers_topic,
                                        .assigned = partitions_on_assigned,
                                        .revoked = partitions_on_revoked,
                                        .answered = partitions_on_answered,
                                        .failed = partitions_on_group_failed,
                                        .left = partitions_on_left,
                                        .arg = p};
    p->group = group_new(options->loop, &group, err);
    if (!p->group) {
        free(p);
        return NULL;
    }
    loop_timer_init(&p->due, partitions_on_due, p);
    loop_timer_init(&p->trim, partitions_on_trim, p);
    loop_hook_add(options->loop, &p->hook);
    return p;
}

int partitions_open(struct partitions *p, int32_t count, struct error *err) {
    if (p->ownership.partitions != count)
        partitions_own_nothing(
            p, count); /* at first, and when the topics were made again with another */
    const struct table_options options = {.kafka = p->options.kafka,
                                          .topics = p->topics,
                                          .partitions = count,
                                          .chosen = true,
                                          .fetch_wait_ms = FETCH_WAIT_MS,
                                          .record = partitions_on_record,
                                          .ended = partitions_on_ended,
                                          .trouble = partitions_on_table_trouble,
                                          .failed = partitions_on_table_failed,
                                          .arg = p};
    p->table = table_new(p->options.loop, &options, err);
    if (!p->table)
        return -1;
    for (int32_t i = 0; i < count; i++)
        p->window_ms[i] = INT64_MIN;
    if (p->is_assigned)
        partitions_tell_assigned(p);
    return 0;
}

/* A new owner follows: asks and fences under way must not count for the next owner. */
void partitions_close(struct partitions *p) {
    if (!p || !p->table)
        return;
    p->options.owner.stop(p->options.arg);
    partitions_own_nothing(p, p->ownership.partitions);
    group_release(p->group);
    table_free(p->table);
    p->table = NULL;
    p->settled = false;
}

static void partitions_on_watchdog(void *arg) {
    struct partitions *p = arg;
    log_warn(
        "group_not_left",
        LOG_S("reason",
              "no broker answers; the consumer group drops this member when the session ends"));
    loop_stop(p->options.loop);
}

void partitions_stop(struct partitions *p, int64_t deadline_ms) {
    ownership_stop(&p->ownership, deadline_ms);
    loop_timer_init(&p->watchdog, partitions_on_watchdog, p);
    loop_timer_set(p->options.loop, &p->watchdog, deadline_ms + OWNERSHIP_WRITE_MS + LEAVE_MS);
}

void partitions_free(struct partitions *p) {
    if (!p)
        return;
    partitions_close(p);
    loop_timer_clear(p->options.loop, &p->due);
    loop_timer_clear(p->options.loop, &p->watchdog);
    loop_timer_clear(p->options.loop, &p->trim);
    loop_hook_remove(p->options.loop, &p->hook);
    group_free(p->group);
    partitions_forget_fences(p);
    free(p);
}

/* --- permissions */

const char *partitions_trouble(const struct partitions *p) {
    return p && p->table ? table_trouble(p->table) : NULL;
}

const char *partitions_fence_trouble(const struct partitions *p) {
    return p && p->fence_trouble[0] ? p->fence_trouble : NULL;
}

const char *partitions_group_trouble(const struct partitions *p) {
    return p && p->group_trouble[0] ? p->group_trouble : NULL;
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
