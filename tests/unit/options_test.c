/* Options: what each type accepts, the sources and their precedence, and the reasons of refusals.
 * Tests of the file are in options_file_test.c. */
#include "tests/unit/options_fixture.h"

#include "common/version.h"

/* --- defaults */

static void without_any_source_all_have_their_defaults(void **state) {
    (void)state;
    assert_int_equal(load_words(NO_WORDS), OPTIONS_READY);
    assert_string_equal(target.brokers, "127.0.0.1:9092");
    assert_string_equal(target.dir, "");
    assert_string_equal(target.level, "info");
    assert_int_equal(target.attempts, 15);
    assert_int_equal(target.insecure, 0);
    assert_int_equal(target.queue, 64 << 20);
    assert_int_equal(target.timeout, 15000);
    assert_int_equal(target.plain, 0);
    assert_list(&target.allow, "");
    assert_list(&target.names, "[one] [two]");
    assert_map(&target.rdkafka, "");
    assert_string_equal(unknown_variables, "");
}

static void a_default_that_is_wrong_is_named(void **state) {
    (void)state;
    static const struct option bad[] = {{"ingest.queue", OPTION_SIZE, 0, "64MB", 0, 0, NULL, ""}};
    int64_t queue = 0;
    char *argv[] = {NULL}, *environment[] = {NULL};
    assert_int_equal(options_load(bad, 1, &queue, "ess-test", 0, argv, environment, NULL, &err),
                     OPTIONS_BAD);
    assert_string_equal(err.message, "ingest.queue: '64MB' is not a size such as 256KiB");
}

/* --- types */

static void a_text_is_any_and_none_is_the_empty_one(void **state) {
    (void)state;
    assert_int_equal(load_words(WORDS("--subscribers.dir=a, b = c ")), OPTIONS_READY);
    assert_string_equal(target.dir, "a, b = c ");
    assert_int_equal(load_words(WORDS("--subscribers.dir=x", "--subscribers.dir=none")),
                     OPTIONS_READY);
    assert_string_equal(target.dir, "");
    assert_int_equal(load_words(WORDS("--subscribers.dir=x", "--subscribers.dir=")), OPTIONS_READY);
    assert_string_equal(target.dir, "");
    assert_int_equal(load_words(WORDS("--subscribers.dir=None")), OPTIONS_READY);
    assert_string_equal(target.dir, "None");
}

static void numbers_are_whole_and_within_their_range(void **state) {
    (void)state;
    assert_int_equal(load_words(WORDS("--delivery.max_attempts=1000")), OPTIONS_READY);
    assert_int_equal(target.attempts, 1000);
    assert_int_equal(load_words(WORDS("--delivery.max_attempts=-5")), OPTIONS_READY);
    assert_int_equal(target.attempts, -5);
    assert_refused("--delivery.max_attempts=1001",
                   "--delivery.max_attempts: must be from -5 to 1000, not 1001");
    assert_refused("--delivery.max_attempts=-6",
                   "--delivery.max_attempts: must be from -5 to 1000, not -6");
    static const char *const bad[] = {"",
                                      " 5",
                                      "5 ",
                                      "+5",
                                      "5.0",
                                      "0x5",
                                      "five",
                                      "--5",
                                      "-",
                                      "5k",
                                      "99999999999999999999999",
                                      "-99999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char word[80], message[160];
        snprintf(word, sizeof word, "--delivery.max_attempts=%s", bad[i]);
        snprintf(message, sizeof message, "--delivery.max_attempts: '%s' is not a whole number",
                 bad[i]);
        assert_refused(word, message);
    }
}

static void switches_have_four_pairs_of_words(void **state) {
    (void)state;
    static const char *const on[] = {"true", "yes", "on", "1", "True", "YES"}, *const off[] = {
                                                                                   "false", "no",
                                                                                   "off",   "0",
                                                                                   "False", "OFF"};
    for (size_t i = 0; i < 6; i++) {
        char word[40];
        snprintf(word, sizeof word, "--auth.insecure=%s", on[i]);
        assert_int_equal(load_words(WORDS(word)), OPTIONS_READY);
        assert_int_equal(target.insecure, 1);
        snprintf(word, sizeof word, "--auth.insecure=%s", off[i]);
        assert_int_equal(load_words(WORDS("--auth.insecure=1", word)), OPTIONS_READY);
        assert_int_equal(target.insecure, 0);
    }
    assert_refused("--auth.insecure=2", "--auth.insecure: '2' is not true or false");
    assert_refused("--auth.insecure=", "--auth.insecure: '' is not true or false");
}

static void sizes_are_bytes_or_binary_multiples(void **state) {
    (void)state;
    static const struct {
        const char *word;
        int64_t bytes;
    } good[] = {{"--ingest.queue=65536", 65536},      {"--ingest.queue=65536B", 65536},
                {"--ingest.queue=256KiB", 256 << 10}, {"--ingest.queue=8MiB", 8 << 20},
                {"--ingest.queue=2GiB", 1LL << 31},   {"--ingest.queue=8mib", 8 << 20},
                {"--ingest.queue=8 MiB", 8 << 20},    {"--ingest.queue=1024", 1024}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(load_words(WORDS(good[i].word)), OPTIONS_READY);
        assert_int_equal(target.queue, good[i].bytes);
    }
    static const char *const bad[] = {"",
                                      "MiB",
                                      "1MB",
                                      "1M",
                                      "1.5MiB",
                                      "-1MiB",
                                      "+1MiB",
                                      " 1MiB",
                                      "1MiB ",
                                      "1TiB",
                                      "99999999999999999999",
                                      "9999999999GiB"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char word[80], message[160];
        snprintf(word, sizeof word, "--ingest.queue=%s", bad[i]);
        snprintf(message, sizeof message, "--ingest.queue: '%s' is not a size such as 256KiB",
                 bad[i]);
        assert_refused(word, message);
    }
}

static void a_range_is_told_in_the_options_own_units(void **state) {
    (void)state;
    assert_refused("--ingest.queue=1023", "--ingest.queue: must be from 1KiB to 2GiB, not 1023");
    assert_refused("--ingest.queue=3GiB", "--ingest.queue: must be from 1KiB to 2GiB, not 3GiB");
    assert_refused("--delivery.timeout=61s", "--delivery.timeout: must be from 0 to 1m, not 61s");
}

static void durations_have_units(void **state) {
    (void)state;
    assert_int_equal(load_words(WORDS("--delivery.timeout=1s500ms")), OPTIONS_READY);
    assert_int_equal(target.timeout, 1500);
    assert_int_equal(load_words(WORDS("--delivery.timeout=0")), OPTIONS_READY);
    assert_int_equal(target.timeout, 0);
    assert_refused("--delivery.timeout=15",
                   "--delivery.timeout: '15' is not a duration such as 15s");
}

static void lists_are_comma_separated_and_none_is_empty(void **state) {
    (void)state;
    assert_int_equal(load_words(WORDS("--egress.names=a,b c , d,,")), OPTIONS_READY);
    assert_list(&target.names, "[a] [b c] [d]");
    assert_int_equal(load_words(WORDS("--egress.names=none")), OPTIONS_READY);
    assert_list(&target.names, "");
    assert_int_equal(load_words(WORDS("--egress.names=")), OPTIONS_READY);
    assert_list(&target.names, "");
    assert_int_equal(load_words(WORDS("--egress.names= , ,")), OPTIONS_READY);
    assert_list(&target.names, "");
}

static void every_item_of_a_list_is_checked(void **state) {
    (void)state;
    assert_int_equal(load_words(WORDS("--egress.allow=10.0.0.0/8,127.0.0.1")), OPTIONS_READY);
    assert_list(&target.allow, "[10.0.0.0/8] [127.0.0.1]");
    assert_refused("--egress.allow=10.0.0.0/8,localhost",
                   "--egress.allow: 'localhost' is no address");
}

static void a_map_takes_whatever_stands_below_its_name(void **state) {
    (void)state;
    assert_int_equal(load_words(WORDS("--kafka.rdkafka.a.b=SSL",
                                      "--kafka.rdkafka.c=", "--kafka.rdkafka.a.b=PLAIN")),
                     OPTIONS_READY);
    assert_map(&target.rdkafka, "[a.b=PLAIN] [c=]");
    assert_refused("--kafka.rdkafka.acks=1", "--kafka.rdkafka.acks: is reserved");
    assert_refused(
        "--kafka.rdkafka=1",
        "--kafka.rdkafka: is a section, not an option; set for example kafka.rdkafka.<name>");
    assert_refused("--kafka.rdkafka.=1",
                   "--kafka.rdkafka.: unknown option kafka.rdkafka.; did you mean kafka.rdkafka?");
}

static void a_text_is_checked_and_may_not_be_empty_unless_it_is_by_default(void **state) {
    (void)state;
    assert_int_equal(load_words(WORDS("--log.level=debug")), OPTIONS_READY);
    assert_refused("--log.level=loud", "--log.level: must be info or debug, not 'loud'");
    assert_refused("--log.level=", "--log.level: must be info or debug, not ''");
    assert_refused("--log.level=none", "--log.level: must be info or debug, not ''");
    static const struct option optional[] = {
        {"log.level", OPTION_STRING, 0, NULL, 0, 0, check_level, ""}};
    char *level = NULL, *argv[] = {(char *)(uintptr_t)"x", (char *)(uintptr_t)"--log.level=none"},
         *environment[] = {NULL};
    assert_int_equal(
        options_load(optional, 1, &level, "ess-test", 2, argv, environment, NULL, &err),
        OPTIONS_READY);
    assert_string_equal(level, "");
    options_free(optional, 1, &level);
}

/* --- sources */

static void the_command_line_wins_over_the_environment_and_that_over_the_file(void **state) {
    (void)state;
    static const char file[] = "kafka.brokers: file\nsubscribers.dir: file\ndelivery.max_attempts: "
                               "1\negress.names: [f1, f2]\n"
                               "kafka.rdkafka: {a: file, b: file, c: file}\n";
    write_file(file, sizeof file - 1);
    assert_int_equal(
        load(WORDS("ESS_KAFKA_BROKERS=env", "ESS_SUBSCRIBERS_DIR=env", "ESS_EGRESS_NAMES=e1",
                   "ESS_KAFKA_RDKAFKA_B=env", "ESS_KAFKA_RDKAFKA_C=env"),
             WORDS("--config=" FILE_NAME, "--kafka.brokers=argv", "--kafka.rdkafka.c=argv")),
        OPTIONS_READY);
    assert_string_equal(target.brokers, "argv");
    assert_string_equal(target.dir, "env");
    assert_int_equal(target.attempts, 1);
    assert_list(&target.names, "[e1]"); /* a list is replaced, not added to */
    assert_map(&target.rdkafka, "[a=file] [b=env] [c=argv]");
}

static void of_one_option_given_twice_on_the_command_line_the_last_counts(void **state) {
    (void)state;
    assert_int_equal(load_words(WORDS("--plain=1", "--plain=2")), OPTIONS_READY);
    assert_int_equal(target.plain, 2);
}

static void what_is_overridden_must_be_right_all_the_same(void **state) {
    (void)state;
    assert_int_equal(load(WORDS("ESS_PLAIN=eleven"), WORDS("--plain=1")), OPTIONS_BAD);
    assert_string_equal(err.message, "ESS_PLAIN: 'eleven' is not a whole number");
}

static void variables_are_the_names_in_capitals(void **state) {
    (void)state;
    assert_int_equal(load_variables(WORDS("ESS_DELIVERY_MAX_ATTEMPTS=7", "ESS_PLAIN=8",
                                          "ESS_KAFKA_RDKAFKA_SECURITY_PROTOCOL=SSL",
                                          "ESS_EGRESS_ALLOW=10.0.0.0/8, 10.1.0.0/16", "PATH=/bin",
                                          "ess_plain=9", "ESSENCE=1")),
                     OPTIONS_READY);
    assert_int_equal(target.attempts, 7);
    assert_int_equal(target.plain, 8);
    assert_map(&target.rdkafka, "[security.protocol=SSL]");
    assert_list(&target.allow, "[10.0.0.0/8] [10.1.0.0/16]");
    assert_string_equal(unknown_variables, "");
}

static void an_unknown_variable_is_told_and_is_no_error(void **state) {
    (void)state;
    char long_name[400], part[301] = "";
    memset(part, 'X', sizeof part - 1);
    snprintf(long_name, sizeof long_name, "ESS_KAFKA_RDKAFKA_%s=1", part);
    const char *const environment[] = {"ESS_PLAIM=1", "ESS_KAFKA_RDKAFKA=1", "ESS_PLAIN=2",
                                       "ESS_=1",      "ESS_CONFIG=",         "ESS_KAFKA_RDKAFKA_=1",
                                       NULL};
    assert_int_equal(load_variables(environment), OPTIONS_READY);
    assert_string_equal(unknown_variables, "ESS_PLAIM ESS_KAFKA_RDKAFKA ESS_ ESS_KAFKA_RDKAFKA_ ");
    assert_int_equal(target.plain, 2);
    assert_int_equal(load_variables(WORDS(long_name)), OPTIONS_READY);
    assert_memory_equal(unknown_variables, long_name, 200);
    assert_map(&target.rdkafka, "");
}

static void nobody_needs_to_hear_of_unknown_variables(void **state) {
    (void)state;
    char *argv[] = {NULL}, *environment[] = {(char *)(uintptr_t)"ESS_PLAIM=1", NULL};
    assert_int_equal(
        options_load(table, OPTIONS, &target, "ess-test", 0, argv, environment, NULL, &err),
        OPTIONS_READY);
}

static void a_bad_variable_is_named(void **state) {
    (void)state;
    assert_int_equal(load_variables(WORDS("ESS_INGEST_QUEUE=much")), OPTIONS_BAD);
    assert_string_equal(err.message, "ESS_INGEST_QUEUE: 'much' is not a size such as 256KiB");
    assert_int_equal(load_variables(WORDS("ESS_KAFKA_RDKAFKA_ACKS=1")), OPTIONS_BAD);
    assert_string_equal(err.message, "ESS_KAFKA_RDKAFKA_ACKS: is reserved");
}

static void the_file_is_named_on_the_command_line_or_by_the_environment(void **state) {
    (void)state;
    write_file("plain: 3\n", 9);
    assert_int_equal(load(WORDS("ESS_CONFIG=" FILE_NAME), NO_WORDS), OPTIONS_READY);
    assert_int_equal(target.plain, 3);
    assert_int_equal(load(WORDS("ESS_CONFIG=missing.yml"), WORDS("--config=" FILE_NAME)),
                     OPTIONS_READY);
    assert_int_equal(target.plain, 3);
    assert_int_equal(load(NO_WORDS, WORDS("--config", FILE_NAME, "--plain", "4")), OPTIONS_READY);
    assert_int_equal(target.plain, 4);
}

static void a_file_that_cannot_be_read_is_refused_with_the_place_that_named_it(void **state) {
    (void)state;
    assert_refused("--config=missing.yml",
                   "--config: missing.yml cannot be read: No such file or directory");
    assert_refused("--config=.", "--config: . cannot be read: Is a directory");
    assert_refused("--config=", "--config: needs a file: --config=ess.yml");
    assert_refused("--config", "--config: needs a file: --config=ess.yml");
    assert_int_equal(load_variables(WORDS("ESS_CONFIG=missing.yml")), OPTIONS_BAD);
    assert_string_equal(err.message,
                        "ESS_CONFIG: missing.yml cannot be read: No such file or directory");
}

/* --- names */

static void an_unknown_option_is_refused_with_the_one_that_was_meant(void **state) {
    (void)state;
    assert_refused("--ingest.qeue=1",
                   "--ingest.qeue: unknown option ingest.qeue; did you mean ingest.queue?");
    assert_refused("--Plain=1", "--Plain: unknown option Plain; did you mean plain?");
    assert_refused("--nothing.like.it=1",
                   "--nothing.like.it: unknown option nothing.like.it; --help lists all");
    assert_refused("--helpme", "--helpme: unknown option helpme; --help lists all");
    assert_refused("--=1", "--: unknown option ; --help lists all");
}

static void a_section_is_no_option(void **state) {
    (void)state;
    assert_refused("--kafka=1",
                   "--kafka: is a section, not an option; set for example kafka.brokers");
    assert_refused("--egress",
                   "--egress: is a section, not an option; set for example egress.allow");
}

static void what_is_no_option_is_refused(void **state) {
    (void)state;
    assert_refused("plain=1", "plain: is not an option; write --name=value");
    assert_refused("-plain=1", "-plain: is not an option; write --name=value");
    assert_refused("--", "--: is not an option; write --name=value");
    assert_refused("", ": is not an option; write --name=value");
}

static void a_name_that_is_far_too_long_is_refused(void **state) {
    (void)state;
    char word[400] = "--kafka.rdkafka.";
    memset(word + strlen(word), 'x', 300);
    assert_int_equal(load_words(WORDS(word, "1")), OPTIONS_BAD);
    assert_non_null(strstr(err.message, "is not an option"));
}

static void an_option_without_its_value_is_refused(void **state) {
    (void)state;
    assert_refused("--plain", "--plain: needs a value: --plain=…");
    assert_int_equal(load_words(WORDS("--subscribers.dir", "--plain=1")), OPTIONS_BAD);
    assert_string_equal(err.message, "--subscribers.dir: needs a value: --subscribers.dir=…");
    assert_int_equal(load_words(WORDS("--subscribers.dir", "-", "--delivery.max_attempts", "-5")),
                     OPTIONS_READY);
    assert_string_equal(target.dir, "-");
    assert_int_equal(target.attempts, -5);
}

/* --- --help and --version */

static char shown[16384];

static enum options_result load_and_catch_stdout(const char *const *words) {
    FILE *out = tmpfile();
    fflush(stdout);
    int before = dup(STDOUT_FILENO);
    dup2(fileno(out), STDOUT_FILENO);
    enum options_result result = load_words(words);
    fflush(stdout);
    dup2(before, STDOUT_FILENO);
    close(before);
    rewind(out);
    shown[fread(shown, 1, sizeof shown - 1, out)] = 0;
    fclose(out);
    return result;
}

static void help_lists_every_option_with_default_range_and_unit(void **state) {
    (void)state;
    static const char *const lines[] = {
        "  --kafka.brokers= (text, default 127.0.0.1:9092)\n        where Kafka is\n",
        "  --kafka.rdkafka.<name>= (name=value)\n        librdkafka's own\n",
        "  --subscribers.dir= (text, default none)\n        a folder\n",
        "  --delivery.max_attempts= (number, default 15, from -5 to 1000)\n",
        "  --auth.insecure= (true or false, default false)\n",
        "  --ingest.queue= (size, default 64MiB, from 1KiB to 2GiB)\n",
        "  --delivery.timeout= (duration, default 15s, from 0 to 1m)\n",
        "  --plain= (number, default 0, from 0 to 10)\n",
        "  --egress.names= (list, comma-separated, default one, two)\n",
        "--config=FILE",
        "--version",
        "usage: ess-test ",
    };
    assert_int_equal(load_and_catch_stdout(WORDS("--help")), OPTIONS_SHOWN);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(shown, lines[i]))
            fail_msg("no '%s' in:\n%s", lines[i], shown);
}

static void help_wins_over_everything_else_that_is_wrong(void **state) {
    (void)state;
    assert_int_equal(load_and_catch_stdout(WORDS("nonsense", "--config=missing.yml", "--help")),
                     OPTIONS_SHOWN);
    assert_int_equal(load_and_catch_stdout(WORDS("-h")), OPTIONS_SHOWN);
    assert_non_null(strstr(shown, "usage: "));
}

static void the_version_is_one_line(void **state) {
    (void)state;
    assert_int_equal(load_and_catch_stdout(WORDS("--version")), OPTIONS_SHOWN);
    assert_string_equal(shown, "ess-test " ESS_VERSION "\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_any_source_all_have_their_defaults),
        cmocka_unit_test(a_default_that_is_wrong_is_named),
        cmocka_unit_test(a_text_is_any_and_none_is_the_empty_one),
        cmocka_unit_test(numbers_are_whole_and_within_their_range),
        cmocka_unit_test(switches_have_four_pairs_of_words),
        cmocka_unit_test(sizes_are_bytes_or_binary_multiples),
        cmocka_unit_test(a_range_is_told_in_the_options_own_units),
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(lists_are_comma_separated_and_none_is_empty),
        cmocka_unit_test(every_item_of_a_list_is_checked),
        cmocka_unit_test(a_map_takes_whatever_stands_below_its_name),
        cmocka_unit_test(a_text_is_checked_and_may_not_be_empty_unless_it_is_by_default),
        cmocka_unit_test(the_command_line_wins_over_the_environment_and_that_over_the_file),
        cmocka_unit_test(of_one_option_given_twice_on_the_command_line_the_last_counts),
        cmocka_unit_test(what_is_overridden_must_be_right_all_the_same),
        cmocka_unit_test(variables_are_the_names_in_capitals),
        cmocka_unit_test(an_unknown_variable_is_told_and_is_no_error),
        cmocka_unit_test(nobody_needs_to_hear_of_unknown_variables),
        cmocka_unit_test(a_bad_variable_is_named),
        cmocka_unit_test(the_file_is_named_on_the_command_line_or_by_the_environment),
        cmocka_unit_test(a_file_that_cannot_be_read_is_refused_with_the_place_that_named_it),
        cmocka_unit_test(an_unknown_option_is_refused_with_the_one_that_was_meant),
        cmocka_unit_test(a_section_is_no_option),
        cmocka_unit_test(what_is_no_option_is_refused),
        cmocka_unit_test(a_name_that_is_far_too_long_is_refused),
        cmocka_unit_test(an_option_without_its_value_is_refused),
        cmocka_unit_test(help_lists_every_option_with_default_range_and_unit),
        cmocka_unit_test(help_wins_over_everything_else_that_is_wrong),
        cmocka_unit_test(the_version_is_one_line),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
