/* Membership in a consumer group on librdkafka's mock broker: what members are notified of, and
 * that the answer to an ask says whether the asker is still a member. */
#include "common/kafka/group.h"

#include <string.h>

#include "feed_world.h"

enum { PARTITIONS = 8, MEMBERS = 2 };

struct member {
    struct group *group;
    bool assigned, has_left;
    int32_t partitions[PARTITIONS], count;
    int revoked, lost, fatal;
    uint64_t answered;
    bool granted;
    char reason[200];
};

static struct world world;
static struct member members[MEMBERS];

static void on_assigned(void *arg, const int32_t *partitions, int32_t count) {
    struct member *m = arg;
    m->assigned = true;
    m->count = count;
    memcpy(m->partitions, partitions, (size_t)count * sizeof *partitions);
}

static void on_revoked(void *arg, bool lost) {
    struct member *m = arg;
    m->assigned = false;
    m->revoked++;
    m->lost += lost; /* no release follows */
}

static void on_answered(void *arg, uint64_t ask, bool granted) {
    struct member *m = arg;
    m->answered = ask;
    m->granted = granted;
}

static void on_failed(void *arg, bool fatal, const char *reason) {
    struct member *m = arg;
    m->fatal += fatal;
    snprintf(m->reason, sizeof m->reason, "%s", reason);
}

static void on_left(void *arg) { ((struct member *)arg)->has_left = true; }

static void join(struct member *m) {
    struct error err;
    const struct group_options options = {.kafka = &world.config,
                                          .group = "ess-dispatcher",
                                          .topic = "ess.subscribers",
                                          .assigned = on_assigned,
                                          .revoked = on_revoked,
                                          .answered = on_answered,
                                          .failed = on_failed,
                                          .left = on_left,
                                          .arg = m};
    *m = (struct member){.group = group_new(world.loop, &options, &err)};
    assert_non_null(m->group);
}

static int begin(void **state) {
    (void)state;
    setup(&world);
    memset(members, 0, sizeof members);
    rd_kafka_mock_topic_create(world.mock, "ess.subscribers", PARTITIONS, 1);
    return 0;
}

static int end(void **state) {
    (void)state;
    for (int i = 0; i < MEMBERS; i++)
        group_free(members[i].group);
    teardown(&world);
    return 0;
}

static bool first_has_all(void *arg) {
    return (void)arg, members[0].assigned && members[0].count == PARTITIONS;
}
static bool first_was_told(void *arg) { return (void)arg, members[0].revoked > 0; }
static bool was_answered(void *arg) { return members[0].answered == *(const uint64_t *)arg; }
static bool first_has_left(void *arg) { return (void)arg, members[0].has_left; }
static bool first_failed(void *arg) { return (void)arg, members[0].fatal > 0; }

/* Returns whether the ask is granted. */
static bool ask(uint64_t number) {
    assert_int_equal(group_ask(members[0].group, members[0].partitions[0], number), 0);
    run_until(&world, was_answered, &number);
    return members[0].granted;
}

static void test_one_member_has_all_and_its_asks_are_granted_until_it_breaks(void **state) {
    (void)state;
    join(&members[0]);
    run_until(&world, first_has_all, NULL);
    for (uint64_t n = 1; n < 5; n++)
        assert_true(ask(n));
    group_release(members[0].group); /* nothing was revoked */
    assert_true(ask(9));
    assert_int_equal(members[0].revoked, 0);
    group_break(members[0].group);
    run_until(&world, first_failed, NULL);
    assert_non_null(strstr(members[0].reason, "broken by a test"));
}

static void test_a_second_member_waits_until_the_first_has_let_go_or_has_left(void **state) {
    (void)state;
    join(&members[0]);
    run_until(&world, first_has_all, NULL);
    join(&members[1]);
    run_until(&world, first_was_told, NULL);
    ask(1); /* answered meanwhile: Kafka grants it, the mock does not */
    assert_false(members[1].assigned);
    assert_int_equal(members[0].lost, 0);
    group_leave(members[0].group);
    group_leave(members[0].group); /* once is enough */
    run_until(&world, first_has_left, NULL);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_one_member_has_all_and_its_asks_are_granted_until_it_breaks),
        CASE(test_a_second_member_waits_until_the_first_has_let_go_or_has_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
