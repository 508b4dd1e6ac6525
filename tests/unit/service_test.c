/* Several services in one process, without a broker: two ingests and three dispatchers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/role.h"
#include "ingest/ingest.h"
#include "ingest/role.h"

enum { PATIENCE_MS = 20000 };

static char *arguments[] = {"service_test",
                            "--kafka.brokers=127.0.0.1:1",
                            "--ingest.listen=127.0.0.1:0",
                            "--dispatcher.listen=127.0.0.1:0",
                            "--subscribers.dir=none",
                            "--secrets.key_file=/nonexistent/secrets.key",
                            "--log.level=error"};

static void open_service(struct service *s, const struct service_role *role, void *arg) {
    char *no_variables[] = {NULL};
    assert_int_equal(settings_load(&s->settings, role->program,
                                   sizeof arguments / sizeof *arguments, arguments, no_variables,
                                   &s->exit_status),
                     0);
    s->exit_status = 0;
    assert_int_equal(service_open(s, role, arg), 0);
}

/* A question to a broker that is not there takes 4 s, and closing waits for 3 s. */
static void close_service(struct service *s) {
    if (service_close(s))
        return;
    assert_true(loop_free(s->loop));
    settings_free(&s->settings);
}

static void run_out(void *arg) { loop_stop(arg); }

static void run_for(struct service *s, int64_t ms) {
    struct loop_timer timer;
    loop_timer_init(&timer, run_out, s->loop);
    loop_timer_set(s->loop, &timer, clock_ms() + ms);
    loop_run(s->loop);
}

/* Runs each loop in turn until all services report that they wait for Kafka. */
static void run_all(struct service **services, size_t count) {
    size_t waiting = 0;
    for (int64_t give_up = clock_ms() + PATIENCE_MS; waiting < count && clock_ms() < give_up;) {
        waiting = 0;
        for (size_t i = 0; i < count; i++) {
            run_for(services[i], 10);
            waiting += *services[i]->waiting_for != 0;
        }
    }
    assert_int_equal(waiting, count);
}

static void two_ingests_and_three_dispatchers_live_in_one_process(void **state) {
    struct ingest ingests[2] = {0};
    struct dispatcher dispatchers[3] = {0};
    struct service *services[5];
    size_t count = 0;
    (void)state;
    for (size_t i = 0; i < 2; i++)
        open_service(services[count++] = &ingests[i].service, &ingest_role, &ingests[i]);
    for (size_t i = 0; i < 3; i++)
        open_service(services[count++] = &dispatchers[i].service, &dispatcher_role,
                     &dispatchers[i]);
    run_all(services, count);
    for (size_t i = 1; i < count; i++)
        assert_string_not_equal(http_server_address(services[i]->http),
                                http_server_address(services[0]->http));
    service_start_over(services[0], "a test");
    service_start_over(services[4], "a test");
    assert_true(services[0]->starting_over);
    assert_false(services[1]->starting_over);
    assert_false(ingest_ready(&ingests[0]));
    for (size_t i = 0; i < count; i++)
        run_for(services[i], 10);
    assert_false(services[0]->starting_over);
    for (size_t i = 0; i < count; i++)
        close_service(services[i]);
    assert_true(kafka_handles_destroyed(PATIENCE_MS));
}

static void one_that_is_refused_leaves_the_other_running(void **state) {
    struct ingest ingest = {0};
    struct dispatcher dispatcher = {0};
    (void)state;
    open_service(&ingest.service, &ingest_role, &ingest);
    open_service(&dispatcher.service, &dispatcher_role, &dispatcher);
    service_refuse(&dispatcher.service, "bad_topic", "a test");
    assert_true(dispatcher.service.stopping);
    assert_int_equal(dispatcher.service.exit_status, SERVICE_REFUSED_STATUS);
    close_service(&dispatcher.service);
    run_for(&ingest.service, 10);
    assert_false(ingest.service.stopping);
    assert_int_equal(ingest.service.exit_status, 0);
    close_service(&ingest.service);
    assert_true(kafka_handles_destroyed(PATIENCE_MS));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_ingests_and_three_dispatchers_live_in_one_process),
        cmocka_unit_test(one_that_is_refused_leaves_the_other_running),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
