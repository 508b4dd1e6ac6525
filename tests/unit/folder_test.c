/* Folders of subscribers' files: new, edited, half-written, briefly missing, deleted and symlinked
 * files, and the subscribers in force meanwhile. */
#include "ingest_world.h"

#include <sys/stat.h>

static char folder[100];

static int open_folder(void **state) {
    static char *items[1];
    world_open(state);
    snprintf(folder, sizeof folder, "%s/subscribers", world.folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    items[0] = folder;
    world.ingest.service.settings.subscribers_dir = (struct option_list){items, 1};
    world.ingest.folder = folder_new(&world.ingest);
    return 0;
}

static int close_folder(void **state) {
    char command[200];
    folder_free(world.ingest.folder);
    world.ingest.folder = NULL;
    snprintf(command, sizeof command, "rm -rf '%s'", world.folder);
    assert_int_equal(system(command), 0);
    return world_close(state);
}

static const char *path_of(const char *name) {
    static char paths[4][200];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text) {
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static const char *yaml(const char *id, const char *topic) {
    static char text[300];
    snprintf(text, sizeof text,
             "id: %s\nurl: https://a.example/\ntopics: [\"%s\"]\nsecret: abcdefghijklmnop\n", id,
             topic);
    return text;
}

/* Scans the folder and runs all that follows into the log. */
static void scan(void) {
    world_pass(3100);
    world_settle();
}

/* Writes a.yml, a file of the subscriber `a`, and scans the folder. */
static void scan_with_a(const char *topic) {
    write_file("a.yml", yaml("a", topic));
    scan();
}

static bool in_force(const char *id) { return registry_in_force(world_entry(id)); }

/* Asserts that the subscriber is in force and the spec record has the topic. */
static void assert_topic(const char *id, const char *topic) {
    char topics[100];
    snprintf(topics, sizeof topics, "\"topics\":[\"%s\"]", topic);
    assert_true(in_force(id));
    assert_non_null(strstr(world_value(id, ""), topics));
}

static void assert_errors(const char *part) {
    struct buf errors = {0};
    folder_errors(world.ingest.folder, &errors);
    if (*part ? !strstr(buf_string(&errors), part) : errors.len != 0)
        fail_msg("not %s: %s", *part ? part : "without errors", buf_string(&errors));
    buf_fini(&errors);
}

static void test_a_new_file_is_a_subscriber(void **state) {
    (void)state;
    fake_event("drug.copay", 1);
    scan_with_a("drug.*");
    assert_topic("a", "drug.*");
    assert_string_equal(world_entry("a")->source, path_of("a.yml"));
    assert_string_equal(registry_keys(world_entry("a"))->secret, "abcdefghijklmnop");
    assert_int_equal(world_entry("a")->start, 1); /* the log's end */
    assert_errors("");
}

static void test_a_file_is_seen_at_once_where_the_kernel_tells_of_it(void **state) {
    (void)state;
    scan();
    write_file("a.yml", yaml("a", "drug.*"));
    world_pass(100);
    world_settle();
    assert_true(in_force("a"));
}

static void test_what_is_no_yaml_file_is_none(void **state) {
    (void)state;
    write_file("a.txt", yaml("a", "drug.*"));
    write_file(".b.yml", yaml("b", "drug.*"));
    write_file("c.yml~", yaml("c", "drug.*"));
    assert_int_equal(mkdir(path_of("d.yml"), 0700), 0);
    write_file("e.yaml", yaml("e", "drug.*"));
    scan();
    assert_false(in_force("a") || in_force("b") || in_force("c") || in_force("d"));
    assert_true(in_force("e"));
}

static void test_an_edit_is_written_once(void **state) {
    char registration_id[37];
    (void)state;
    scan_with_a("drug.*");
    snprintf(registration_id, sizeof registration_id, "%s", world_entry("a")->registration_id);
    scan_with_a("plan.*");
    assert_topic("a", "plan.*");
    assert_string_equal(world_entry("a")->registration_id, registration_id);
    assert_int_equal(world_records("a", ""), 2);
    assert_int_equal(world_records("a", "/keys"), 1);
    scan();
    scan();
    assert_int_equal(world_records("a", ""), 2);
}

static void test_a_file_that_is_half_written_keeps_its_last_good_version(void **state) {
    (void)state;
    scan_with_a("drug.*");
    write_file("a.yml", "id: a\nurl: https://a.exam");
    scan();
    assert_topic("a", "drug.*");
    assert_errors("the last good version stays in force");
    write_file("a.yml", "");
    scan();
    assert_topic("a", "drug.*");
    scan_with_a("plan.*");
    assert_topic("a", "plan.*");
    assert_errors("");
}

static void test_a_new_file_that_is_half_written_is_not_in_force(void **state) {
    (void)state;
    write_file("a.yml", "id: a\nurl: https://a.exam");
    scan();
    assert_null(world.log);
    assert_errors("the file is not in force");
    scan_with_a("drug.*");
    assert_true(in_force("a"));
    assert_errors("");
}

static void test_a_file_that_goes_for_a_moment_is_not_gone(void **state) {
    (void)state;
    scan_with_a("drug.*");
    assert_int_equal(rename(path_of("a.yml"), path_of("a.yml~")), 0);
    world_pass(1000);
    assert_int_equal(rename(path_of("a.yml~"), path_of("a.yml")), 0);
    scan();
    scan();
    assert_true(in_force("a"));
    assert_int_equal(world_records("a", ""), 1);
}

static void test_a_file_that_stays_away_is_removed_and_comes_back_as_the_same(void **state) {
    char registration_id[37];
    (void)state;
    write_file("a.yml", yaml("a", "drug.*"));
    write_file("b.yml", yaml("b", "drug.*"));
    scan();
    snprintf(registration_id, sizeof registration_id, "%s", world_entry("a")->registration_id);
    assert_int_equal(unlink(path_of("a.yml")), 0);
    scan();
    scan();
    assert_false(in_force("a"));
    assert_true(world_entry("a")->removed);
    assert_true(in_force("b"));
    int records = world_records("a", "");
    scan();
    assert_int_equal(world_records("a", ""), records);
    scan_with_a("drug.*");
    assert_true(in_force("a"));
    assert_string_equal(world_entry("a")->registration_id, registration_id);
}

/* As Kubernetes mounts files: each name is a link into a folder whose own name is a link. */
static void test_files_that_are_swapped_by_a_link_change_at_once(void **state) {
    (void)state;
    assert_int_equal(mkdir(path_of("..1"), 0700), 0);
    assert_int_equal(mkdir(path_of("..2"), 0700), 0);
    write_file("..1/a.yml", yaml("a", "drug.*"));
    write_file("..1/b.yml", yaml("b", "drug.*"));
    write_file("..2/a.yml", yaml("a", "plan.*"));
    write_file("..2/b.yml", yaml("b", "drug.*"));
    assert_int_equal(symlink("..1", path_of("..data")), 0);
    assert_int_equal(symlink("..data/a.yml", path_of("a.yml")), 0);
    assert_int_equal(symlink("..data/b.yml", path_of("b.yml")), 0);
    scan();
    assert_topic("a", "drug.*");
    assert_int_equal(symlink("..2", path_of("..new")), 0);
    assert_int_equal(rename(path_of("..new"), path_of("..data")), 0);
    world_pass(100);
    world_settle();
    assert_topic("a", "plan.*");
    scan();
    assert_int_equal(world_records("a", ""), 2);
    assert_int_equal(world_records("b", ""), 1); /* equal in both */
}

static void test_a_link_that_leads_nowhere_for_a_moment_removes_nothing(void **state) {
    (void)state;
    assert_int_equal(mkdir(path_of("..1"), 0700), 0);
    write_file("..1/a.yml", yaml("a", "drug.*"));
    assert_int_equal(symlink("..1", path_of("..data")), 0);
    assert_int_equal(symlink("..data/a.yml", path_of("a.yml")), 0);
    scan();
    assert_int_equal(unlink(path_of("..data")), 0);
    world_pass(1000);
    assert_int_equal(symlink("..1", path_of("..data")), 0);
    scan();
    assert_true(in_force("a"));
    assert_int_equal(world_records("a", ""), 1);
}

static void test_of_two_files_with_one_id_the_first_by_name_counts(void **state) {
    (void)state;
    write_file("b.yml", yaml("a", "plan.*"));
    scan_with_a("drug.*");
    assert_topic("a", "drug.*");
    assert_errors("is already defined by ");
}

static void test_the_file_in_force_keeps_its_id_from_one_with_an_earlier_name(void **state) {
    (void)state;
    write_file("b.yml", yaml("a", "plan.*"));
    scan();
    scan_with_a("drug.*");
    scan();
    assert_topic("a", "plan.*");
    assert_errors("/a.yml\",\"line\":1,\"error\":\"id: a is already defined by ");
    assert_int_equal(unlink(path_of("b.yml")), 0);
    scan();
    scan();
    assert_topic("a", "drug.*");
    assert_errors("");
}

static void test_a_file_does_not_take_the_id_of_the_apis_subscriber(void **state) {
    (void)state;
    world_register("a", BORN_A);
    scan_with_a("plan.*");
    assert_topic("a", "drug.*");
    assert_string_equal(world_entry("a")->source, "api");
    assert_errors("was registered through the API");
    world_write("a", "", NULL);
    scan();
    assert_topic("a", "plan.*");
    assert_errors("");
}

/* Returns where the folder is now. */
static const char *move_folder(void) {
    static char away[120];
    snprintf(away, sizeof away, "%s-away", folder);
    assert_int_equal(rename(folder, away), 0);
    return away;
}

static void test_a_folder_that_is_away_removes_nothing(void **state) {
    (void)state;
    scan_with_a("drug.*");
    const char *away = move_folder();
    scan();
    scan();
    assert_true(in_force("a"));
    assert_errors("No such file or directory");
    assert_int_equal(rename(away, folder), 0);
    scan();
    assert_errors("");
    assert_int_equal(world_records("a", ""), 1);
}

static void test_a_folder_that_is_away_at_the_start_removes_nothing(void **state) {
    (void)state;
    world_write_spec("a", BORN_A, path_of("a.yml"), "drug.*", false);
    assert_int_equal(rmdir(folder), 0);
    scan();
    scan();
    assert_true(in_force("a"));
}

static void test_another_folder_that_is_empty_removes_nothing(void **state) {
    (void)state;
    scan_with_a("drug.*");
    move_folder();
    assert_int_equal(mkdir(folder, 0700), 0); /* like a mount that is still missing */
    scan();
    scan();
    assert_true(in_force("a"));
    assert_errors("no subscriber is removed");
}

static void test_what_kafka_does_not_take_is_written_by_a_later_scan(void **state) {
    (void)state;
    world.refuses = true;
    scan_with_a("drug.*");
    assert_false(in_force("a"));
    world.refuses = false;
    scan();
    assert_true(in_force("a"));
}

static void test_while_kafka_is_away_nothing_is_compared(void **state) {
    (void)state;
    world.ingest.service.kafka_up = false;
    scan_with_a("drug.*");
    assert_null(world.log);
    world.ingest.service.kafka_up = true;
    scan();
    assert_true(in_force("a"));
}

static bool a_is_in_force(void *arg) {
    (void)arg;
    return in_force("a");
}

static void test_where_a_file_begins_is_asked_of_the_broker(void **state) {
    char text[400];
    (void)state;
    for (int i = 0; i < 10; i++)
        fake_event("drug.copay", 1);
    world.log_end = 11;
    snprintf(text, sizeof text, "%sfrom: 1970-01-01T00:00:04Z\n", yaml("a", "drug.*"));
    write_file("a.yml", text);
    world.silent = true;
    scan();
    assert_false(in_force("a"));
    world.silent = false;
    world_pass(3100);
    world_until(a_is_in_force, NULL);
    assert_int_equal(world_entry("a")->start, 3);
    assert_int_equal(world_records("a", ""), 1);
}

static void test_a_file_that_goes_while_its_beginning_is_asked_for_is_not_registered(void **state) {
    char text[400];
    (void)state;
    world.log_end = 11;
    snprintf(text, sizeof text, "%sfrom: 1970-01-01T00:00:04Z\n", yaml("a", "drug.*"));
    write_file("a.yml", text);
    world.silent = true;
    world_pass(100);
    assert_int_equal(unlink(path_of("a.yml")), 0);
    scan();
    world.silent = false;
    scan();
    assert_null(world.log);
}

static void test_a_secret_file_that_changes_changes_the_secret(void **state) {
    (void)state;
    write_file("a.yml", "id: a\nurl: https://a.example/\ntopics: [drug.*]\nsecret_file: secret\n");
    write_file("secret", "the-first-secret\n");
    scan();
    assert_string_equal(registry_keys(world_entry("a"))->secret, "the-first-secret");
    write_file("secret", "the-other-secret\n");
    scan();
    assert_string_equal(registry_keys(world_entry("a"))->secret, "the-other-secret");
    assert_int_equal(unlink(path_of("secret")), 0);
    scan();
    assert_string_equal(registry_keys(world_entry("a"))->secret, "the-other-secret");
    assert_errors("secret_file: secret");
}

#define folder_test(f) cmocka_unit_test_setup_teardown(f, open_folder, close_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        folder_test(test_a_new_file_is_a_subscriber),
        folder_test(test_a_file_is_seen_at_once_where_the_kernel_tells_of_it),
        folder_test(test_what_is_no_yaml_file_is_none),
        folder_test(test_an_edit_is_written_once),
        folder_test(test_a_file_that_is_half_written_keeps_its_last_good_version),
        folder_test(test_a_new_file_that_is_half_written_is_not_in_force),
        folder_test(test_a_file_that_goes_for_a_moment_is_not_gone),
        folder_test(test_a_file_that_stays_away_is_removed_and_comes_back_as_the_same),
        folder_test(test_files_that_are_swapped_by_a_link_change_at_once),
        folder_test(test_a_link_that_leads_nowhere_for_a_moment_removes_nothing),
        folder_test(test_of_two_files_with_one_id_the_first_by_name_counts),
        folder_test(test_the_file_in_force_keeps_its_id_from_one_with_an_earlier_name),
        folder_test(test_a_file_does_not_take_the_id_of_the_apis_subscriber),
        folder_test(test_a_folder_that_is_away_removes_nothing),
        folder_test(test_a_folder_that_is_away_at_the_start_removes_nothing),
        folder_test(test_another_folder_that_is_empty_removes_nothing),
        folder_test(test_what_kafka_does_not_take_is_written_by_a_later_scan),
        folder_test(test_while_kafka_is_away_nothing_is_compared),
        folder_test(test_where_a_file_begins_is_asked_of_the_broker),
        folder_test(test_a_file_that_goes_while_its_beginning_is_asked_for_is_not_registered),
        folder_test(test_a_secret_file_that_changes_changes_the_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
