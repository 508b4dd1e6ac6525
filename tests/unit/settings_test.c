/* The settings of ESS: their defaults, what is refused, and what loading them does besides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/log.h"
#include "common/settings.h"

static struct settings settings;
static int exit_status;
static char told[16384]; /* on stdout and stderr */

#define WORDS(...) ((const char *[]){__VA_ARGS__, NULL})

static int load_with(const char *const *environment, const char *const *words) {
    char *argv[16] = {(char *)(uintptr_t)"ess-test"}, *variables[16] = {NULL};
    int argc = 1;
    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    for (int i = 0; environment[i]; i++)
        variables[i] = (char *)(uintptr_t)environment[i];
    FILE *out = tmpfile();
    fflush(stdout);
    int real[] = {dup(STDOUT_FILENO), dup(STDERR_FILENO)};
    dup2(fileno(out), STDOUT_FILENO);
    dup2(fileno(out), STDERR_FILENO);
    int result = settings_load(&settings, "ess-test", argc, argv, variables, &exit_status);
    fflush(stdout);
    for (int i = 0; i < 2; i++) {
        dup2(real[i], STDOUT_FILENO + i);
        close(real[i]);
    }
    rewind(out);
    told[fread(told, 1, sizeof told - 1, out)] = 0;
    fclose(out);
    return result;
}

static int load(const char *const *words) { return load_with((const char *[]){NULL}, words); }

static int free_settings(void **state) {
    (void)state;
    settings_free(&settings);
    log_set_level(LOG_LEVEL_INFO);
    return 0;
}

static void assert_taken(const char *word) {
    if (load(WORDS(word)))
        fail_msg("%s: %s", word, told);
    settings_free(&settings);
}

static void assert_refused(const char *word, const char *reason) {
    if (load(WORDS(word)) == 0)
        fail_msg("%s was taken", word);
    assert_int_equal(exit_status, 2);
    if (!strstr(told, "level=error event=bad_option reason=") || !strstr(told, reason))
        fail_msg("%s: %s", word, told);
}

static void the_defaults_are_the_documented_ones(void **state) {
    (void)state;
    assert_int_equal(load(WORDS(NULL)), 0);
    const struct settings *s = &settings;
    assert_string_equal(told, "");
    assert_string_equal(s->kafka.brokers, "127.0.0.1:9092");
    assert_string_equal(s->kafka.prefix, "ess");
    assert_int_equal(s->kafka.replication_factor, -1);
    assert_int_equal(s->kafka.min_insync_replicas, -1);
    assert_int_equal(s->kafka.replay_window_ms, 7 * 86400000);
    assert_int_equal(s->kafka.rdkafka.count, 0);
    assert_int_equal(s->feed_cache, 64 << 20);
    assert_string_equal(s->log_level, "info");
    assert_string_equal(s->ingest.listen, "127.0.0.1:8080");
    assert_int_equal(s->ingest.max_event, 256 << 10);
    assert_int_equal(s->ingest.max_body, 8 << 20);
    assert_int_equal(s->ingest.max_connections, 10000);
    assert_int_equal(s->ingest.max_connections_per_address, 2000);
    assert_int_equal(s->ingest.header_timeout_ms, 10000);
    assert_int_equal(s->ingest.body_timeout_ms, 30000);
    assert_int_equal(s->ingest.queue, 64 << 20);
    assert_int_equal(s->subscribers_dir.count, 1);
    assert_string_equal(s->subscribers_dir.items[0], "subscribers");
    assert_int_equal(s->auth_insecure, 0);
    assert_string_equal(s->secrets_key_file, ".run/secrets.key");
    assert_string_equal(s->dispatcher.listen, "127.0.0.1:0");
    assert_int_equal(s->dispatcher.max_connections, 1000);
    assert_int_equal(s->dispatcher.stop_timeout_ms, 8000);
    assert_int_equal(s->dispatcher.hold_after_ms, 30000);
    assert_int_equal(s->egress_allow.count, 0);
    assert_int_equal(s->allowed_count, 0);
    assert_string_equal(s->egress_ca_file, "");
    assert_int_equal(s->delivery.timeout_ms, 15000);
    assert_int_equal(s->delivery.connect_timeout_ms, 5000);
    assert_int_equal(s->delivery.idle_timeout_ms, 55000);
    assert_int_equal(s->delivery.connection_lifetime_ms, 600000);
    assert_int_equal(s->delivery.max_attempts, 15);
    assert_int_equal(s->delivery.backoff_min_ms, 1000);
    assert_int_equal(s->delivery.backoff_max_ms, 3600000);
    assert_int_equal(s->delivery.disable_after_ms, 5 * 86400000LL);
}

static void a_bad_option_ends_the_program_with_2_and_is_named(void **state) {
    (void)state;
    assert_refused("--ingest.queue=much",
                   "reason=\"--ingest.queue: 'much' is not a size such as 256KiB\"");
    assert_refused("--ingest.quue=1MiB", "did you mean ingest.queue?");
    assert_refused("--log.level=loud", "--log.level: must be debug, info, warn or error");
    assert_refused("--log.level=", "--log.level: must be debug, info, warn or error");
}

static void help_and_version_end_the_program_with_0(void **state) {
    (void)state;
    exit_status = -1;
    assert_int_equal(load(WORDS("--version")), -1);
    assert_int_equal(exit_status, 0);
    exit_status = -1;
    assert_int_equal(load(WORDS("--help")), -1);
    assert_int_equal(exit_status, 0);
    assert_int_equal(strncmp(told, "usage: ess-test ", 16), 0);
    assert_non_null(strstr(told, "\n  --ingest.max_event= (size, default 256KiB, from 1KiB to "
                                 "900KiB)\n        largest data member of one event"));
}

static void an_unknown_variable_is_a_warning(void **state) {
    (void)state;
    assert_int_equal(load_with(WORDS("ESS_INGEST_QEUE=1MiB", "ESS_FEED_CACHE=2MiB"), WORDS(NULL)),
                     0);
    assert_non_null(strstr(told, "level=warn event=unknown_variable name=ESS_INGEST_QEUE\n"));
    assert_int_equal(settings.feed_cache, 2 << 20);
}

static void the_prefix_must_make_topics(void **state) {
    (void)state;
    assert_taken("--kafka.prefix=md.Feed_2-a");
    assert_refused("--kafka.prefix=", "--kafka.prefix: must be 1 to 100");
    assert_refused("--kafka.prefix=none", "--kafka.prefix: must be 1 to 100");
    assert_refused("--kafka.prefix=a b", "--kafka.prefix: must be 1 to 100");
    assert_refused("--kafka.prefix=a/b", "--kafka.prefix: must be 1 to 100");
    char word[200];
    snprintf(word, sizeof word, "--kafka.prefix=%0100d", 0);
    assert_taken(word);
    snprintf(word, sizeof word, "--kafka.prefix=%0101d", 0);
    assert_refused(word, "--kafka.prefix: must be 1 to 100");
}

static void what_cannot_be_done_without_must_not_be_empty(void **state) {
    (void)state;
    assert_refused("--kafka.brokers=", "--kafka.brokers: must not be empty");
    assert_refused("--secrets.key_file=none", "--secrets.key_file: must not be empty");
}

static void the_settings_that_ess_rests_on_are_refused(void **state) {
    (void)state;
    static const char *const names[] = {"acks",
                                        "enable.idempotence",
                                        "session.timeout.ms",
                                        "auto.offset.reset",
                                        "bootstrap.servers",
                                        "linger.ms",
                                        "group.id",
                                        "partitioner",
                                        "message.timeout.ms"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char word[80];
        snprintf(word, sizeof word, "--kafka.rdkafka.%s=1", names[i]);
        assert_refused(word, "ESS depends on its own value of this setting");
    }
    assert_refused("--kafka.rdkafka.no.such.thing=1",
                   "--kafka.rdkafka.no.such.thing: librdkafka: ");
    assert_int_equal(load(WORDS("--kafka.rdkafka.client.rack=a",
                                "--kafka.rdkafka.socket.keepalive.enable=false")),
                     0);
    assert_int_equal(settings.kafka.rdkafka.count, 2);
}

/* Whatever is wrong with it, the password is not printed. */
static void a_bad_proxy_is_refused_without_its_secrets(void **state) {
    static const char *const bad[] = {
        "--egress.proxy=ess:s3cr3t@proxy:3128", "--egress.proxy=socks5://ess:s3cr3t@proxy:3128",
        "--egress.proxy=http://ess:s3cr3t@proxy:port", "--egress.prxy=http://ess:s3cr3t@proxy:3128",
        "egress.proxy=http://ess:s3cr3t@proxy:3128"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_refused(bad[i], "egress.pr");
        assert_null(strstr(told, "s3cr3t"));
    }
    assert_int_equal(load_with(WORDS("ESS_EGRESS_PROXY=http://ess:s3cr3t@"), WORDS(NULL)), -1);
    assert_non_null(strstr(told, "ESS_EGRESS_PROXY: must be http://host:port"));
    assert_null(strstr(told, "s3cr3t"));
    assert_int_equal(
        load_with(WORDS("ESS_EGRESS_PROXY=http://ess:s3cr3t@proxy:1"), WORDS("--help")), -1);
    assert_null(strstr(told, "s3cr3t"));
}

static void a_proxy_has_at_most_one_password(void **state) {
    (void)state;
    assert_int_equal(
        load(WORDS("--egress.proxy=http://ess@proxy:1", "--egress.proxy_password_file=/x",
                   "--egress.no_proxy=a.test,10.0.0.0/8")),
        0);
    assert_int_equal(settings.egress_no_proxy.count, 2);
    settings_free(&settings);
    assert_int_equal(
        load(WORDS("--egress.proxy=http://ess:s3cr3t@proxy:1", "--egress.proxy_password_file=/x")),
        -1);
    assert_non_null(
        strstr(told, "egress.proxy_password_file: egress.proxy has a password already"));
    assert_null(strstr(told, "s3cr3t"));
    assert_refused("--egress.proxy_password_file=/x", "needs a user in egress.proxy");
    assert_refused("--egress.no_proxy=*.test", "egress.no_proxy: '*.test' is not a CIDR");
}

static void listening_needs_an_address_and_a_port(void **state) {
    (void)state;
    static const char *const good[] = {"127.0.0.1:0", "127.9.9.9:65535", "[::1]:8080",
                                       "[0:0:0:0:0:0:0:1]:1", "localhost:80"};
    static const char *const bad[] = {"",
                                      "none",
                                      "127.0.0.1",
                                      "8080",
                                      ":8080",
                                      "127.0.0.1:",
                                      "127.0.0.1:http",
                                      "127.0.0.1:65536",
                                      "127.0.0.1:-1",
                                      "127.0.0.1:80x",
                                      "127.0.0.1:000080",
                                      "::1:8080",
                                      "::1",
                                      "[::1]",
                                      "[]:80",
                                      "[::1:80"};
    for (int i = 0; i < 2; i++) {
        static const char *const options[] = {"ingest.listen", "dispatcher.listen"};
        char word[80], reason[160];
        for (size_t j = 0; j < sizeof good / sizeof *good; j++) {
            snprintf(word, sizeof word, "--%s=%s", options[i], good[j]);
            assert_taken(word);
        }
        snprintf(reason, sizeof reason,
                 "is not address:port, such as 127.0.0.1:8080 or [::1]:8080");
        for (size_t j = 0; j < sizeof bad / sizeof *bad; j++) {
            snprintf(word, sizeof word, "--%s=%s", options[i], bad[j]);
            assert_refused(word, reason);
        }
    }
}

static void without_access_tokens_only_this_machine_may_ask(void **state) {
    (void)state;
    static const char *const open[] = {"0.0.0.0:80",
                                       "[::]:80",
                                       "10.0.0.1:80",
                                       "[fd00::1]:80",
                                       "128.0.0.1:80",
                                       "[::ffff:10.0.0.1]:80",
                                       "127.0.0.1.example.com:80",
                                       "127.example.com:80",
                                       "localhost.example.com:80",
                                       "example.com:80"};
    for (int i = 0; i < 2; i++) {
        static const char *const options[] = {"ingest.listen", "dispatcher.listen"};
        for (size_t j = 0; j < sizeof open / sizeof *open; j++) {
            char word[80], reason[160];
            snprintf(word, sizeof word, "--%s=%s", options[i], open[j]);
            snprintf(reason, sizeof reason, "%s: %s is not a loopback address", options[i],
                     open[j]);
            assert_refused(word, reason);
            assert_int_equal(load(WORDS(word, "--auth.insecure=true")), 0);
            settings_free(&settings);
            assert_int_equal(load(WORDS(word, "--auth.file=auth.yml")), 0);
            settings_free(&settings);
        }
    }
}

static void options_that_contradict_each_other_are_refused(void **state) {
    (void)state;
    assert_int_equal(load(WORDS("--delivery.backoff_min=2s", "--delivery.backoff_max=1s")), -1);
    assert_int_equal(exit_status, 2);
    assert_non_null(strstr(told, "delivery.backoff_max: must not be below delivery.backoff_min"));
    assert_int_equal(load(WORDS("--kafka.min_insync_replicas=2", "--kafka.replication_factor=1")),
                     -1);
    assert_non_null(
        strstr(told, "kafka.min_insync_replicas: must not be above kafka.replication_factor"));
    assert_refused("--kafka.replication_factor=0", "kafka.replication_factor: must be -1");
    assert_refused("--kafka.rdkafka.sasl.mechanisms=OAUTHBEARER",
                   "kafka.rdkafka.sasl.mechanisms: ESS cannot renew");
    assert_int_equal(load(WORDS("--kafka.min_insync_replicas=2", "--kafka.replication_factor=3")),
                     0);
}

static void allowed_ranges_are_read_once_and_for_all(void **state) {
    (void)state;
    struct cidr expected;
    struct error err;
    assert_int_equal(load(WORDS("--egress.allow=10.1.0.0/16,fd00::/8,127.0.0.1")), 0);
    assert_int_equal(settings.allowed_count, 3);
    assert_int_equal(cidr_parse("fd00::/8", &expected, &err), 0);
    assert_memory_equal(settings.allowed[1].bytes, expected.bytes, 16);
    assert_int_equal(settings.allowed[1].bits, expected.bits);
    assert_int_equal(settings.allowed[2].bits, 128);
    settings_free(&settings);
    assert_refused("--egress.allow=10.1.0.0/33", "--egress.allow: '10.1.0.0/33'");
    assert_refused("--egress.allow=localhost",
                   "--egress.allow: 'localhost' is not an address or CIDR");
}

static void the_folders_can_be_several_or_none(void **state) {
    (void)state;
    assert_int_equal(load(WORDS("--subscribers.dir=a,b")), 0);
    assert_int_equal(settings.subscribers_dir.count, 2);
    settings_free(&settings);
    assert_int_equal(load(WORDS("--subscribers.dir=none")), 0);
    assert_int_equal(settings.subscribers_dir.count, 0);
}

static void the_logs_level_is_set(void **state) {
    (void)state;
    assert_int_equal(load_with(WORDS("ESS_NO_SUCH_THING=1"), WORDS("--log.level=error")), 0);
    assert_non_null(strstr(told, "unknown_variable")); /* before the level was known */
    settings_free(&settings);
    assert_int_equal(load_with(WORDS("ESS_NO_SUCH_THING=1"), WORDS(NULL)), 0);
    assert_null(strstr(told, "unknown_variable"));
}

static void as_many_files_may_be_open_as_the_system_lets(void **state) {
    (void)state;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 100 ? limit.rlim_max : 100;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(load(WORDS(NULL)), 0);
    getrlimit(RLIMIT_NOFILE, &limit);
    assert_true(limit.rlim_cur == limit.rlim_max);
}

static void what_failed_to_load_or_was_freed_can_be_freed_again(void **state) {
    (void)state;
    assert_int_equal(load(WORDS("--egress.allow=10.0.0.0/8")), 0);
    settings_free(&settings);
    assert_null(settings.allowed);
    settings_free(&settings);
    assert_int_equal(load(WORDS("--egress.allow=10.0.0.0/8", "--kafka.min_insync_replicas=2",
                                "--kafka.replication_factor=1")),
                     -1);
    settings_free(&settings);
}

#define settings_test(f) cmocka_unit_test_teardown(f, free_settings)

int main(void) {
    const struct CMUnitTest tests[] = {
        settings_test(the_defaults_are_the_documented_ones),
        settings_test(a_bad_option_ends_the_program_with_2_and_is_named),
        settings_test(help_and_version_end_the_program_with_0),
        settings_test(an_unknown_variable_is_a_warning),
        settings_test(the_prefix_must_make_topics),
        settings_test(what_cannot_be_done_without_must_not_be_empty),
        settings_test(the_settings_that_ess_rests_on_are_refused),
        settings_test(a_bad_proxy_is_refused_without_its_secrets),
        settings_test(a_proxy_has_at_most_one_password),
        settings_test(listening_needs_an_address_and_a_port),
        settings_test(without_access_tokens_only_this_machine_may_ask),
        settings_test(options_that_contradict_each_other_are_refused),
        settings_test(allowed_ranges_are_read_once_and_for_all),
        settings_test(the_folders_can_be_several_or_none),
        settings_test(the_logs_level_is_set),
        settings_test(as_many_files_may_be_open_as_the_system_lets),
        settings_test(what_failed_to_load_or_was_freed_can_be_freed_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
