/* Questions about a partition's end on librdkafka's mock broker: many at once, cancelled ones, and
 * answers still due at the end. */
#include "common/kafka/offsets.h"
#include "feed_world.h"

enum { RECORDS = 7, QUESTIONS = 250 };

struct asker {
    struct world *world;
    struct offsets *offsets;
    struct offsets_question *other; /* cancelled by the first answer */
    int answers, failures;
    int64_t end;
};

static void on_answer(void *arg, const struct offsets_answer *answer, const struct error *err) {
    struct asker *a = arg;
    a->answers++;
    a->failures += !answer;
    assert_true(answer || *err->message);
    if (answer)
        a->end = answer->end;
    offsets_drop(a->other);
    a->other = NULL;
}

static struct offsets_question *ask(struct asker *a) {
    return offsets_ask(a->offsets, "ess.events", 0, NULL, 0, on_answer, a);
}

static void open_world(struct world *w, struct asker *a) {
    struct error err;
    setup_log(w, RECORDS, 10);
    *a = (struct asker){.world = w, .offsets = offsets_new(w->loop, &w->config, &err), .end = -1};
    assert_non_null(a->offsets);
}

static bool answered_once(void *arg) { return ((struct asker *)arg)->answers == 1; }
static bool all_answered(void *arg) { return ((struct asker *)arg)->answers == QUESTIONS; }

static void each_of_many_questions_is_answered_once(void **state) {
    struct world w;
    struct asker a;
    (void)state;
    open_world(&w, &a);
    for (int i = 0; i < QUESTIONS; i++)
        ask(&a);
    assert_int_equal(a.answers, 0);
    run_until(&w, all_answered, &a);
    assert_int_equal(a.failures, 0);
    assert_int_equal(a.end, RECORDS);
    offsets_free(a.offsets);
    teardown(&w);
}

static void what_was_dropped_is_not_answered(void **state) {
    struct world w;
    struct asker a;
    (void)state;
    open_world(&w, &a);
    offsets_drop(ask(&a)); /* its task is running */
    offsets_drop(ask(&a)); /* waits for the next task */
    ask(&a);
    a.other = ask(&a); /* in the same answer */
    run_until(&w, answered_once, &a);
    ask(&a);
    a.answers = 0;
    run_until(&w, answered_once, &a);
    assert_int_equal(a.end, RECORDS);
    offsets_free(a.offsets);
    teardown(&w);
}

static void on_answer_free(void *arg, const struct offsets_answer *answer,
                           const struct error *err) {
    struct asker *a = arg;
    (void)answer, (void)err;
    a->answers++;
    offsets_free(a->offsets);
}

static void an_answer_may_free_the_offsets(void **state) {
    struct world w;
    struct asker a;
    (void)state;
    open_world(&w, &a);
    offsets_drop(ask(&a));
    for (int i = 0; i < 2; i++) /* both in one answer */
        offsets_ask(a.offsets, "ess.events", 0, NULL, 0, on_answer_free, &a);
    run_until(&w, answered_once, &a);
    teardown(&w);
    assert_int_equal(a.answers, 1);
}

static void freed_while_a_leader_is_asked_they_tell_nothing(void **state) {
    struct world w;
    struct asker a;
    (void)state;
    open_world(&w, &a);
    for (int i = 0; i < 3; i++)
        ask(&a);
    offsets_free(a.offsets);
    teardown(&w);
    assert_int_equal(a.answers, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_of_many_questions_is_answered_once),
        cmocka_unit_test(what_was_dropped_is_not_answered),
        cmocka_unit_test(an_answer_may_free_the_offsets),
        cmocka_unit_test(freed_while_a_leader_is_asked_they_tell_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
