/* Secrets at rest: opened only with the right key, for the right subscriber, and unchanged. Key
 * files: made once, readable by the owner only. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/crypto/seal.h"

#define KEY_1 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_2 "F0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFFf0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
static char folder[64], path[128];
static struct error err;

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/ess-seal-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/key", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void write_file(const void *data, size_t len, mode_t mode) {
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_int_equal(write(fd, data, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static struct keyring *ring_of(const char *lines) {
    write_file(lines, strlen(lines), 0600);
    struct keyring *ring = keyring_load(path, NULL, &err);
    if (!ring)
        fail_msg("%s", err.message);
    return ring;
}

static struct span content(const struct buf *b) { return (struct span){b->data, b->len}; }

/* Opens a copy that ends where the span ends, so that a sanitizer detects a read beyond the end. */
static int open_copy(const struct keyring *ring, const char *id, struct span sealed,
                     struct buf *out) {
    char *copy = memcpy(mem_alloc(sealed.len), sealed.data ? sealed.data : "", sealed.len);
    int result = seal_open(ring, span_of(id), (struct span){copy, sealed.len}, out, NULL, &err);
    free(copy);
    return result;
}

/* --- sealing and opening */

static void test_what_was_sealed_is_opened_whatever_its_bytes_and_length(void **state) {
    struct keyring *ring = ring_of(KEY_1);
    struct buf sealed = {0}, opened = {0};
    char secret[260];
    (void)state;
    for (size_t len = 0; len <= sizeof secret; len++) {
        for (size_t i = 0; i < len; i++)
            secret[i] = (char)(i * 7 + len);
        buf_clear(&sealed);
        buf_clear(&opened);
        buf_puts(&opened, "before ");
        seal(ring, span_of("md-mm1"), (struct span){secret, len}, &sealed);
        assert_int_equal(open_copy(ring, "md-mm1", content(&sealed), &opened), 0);
        assert_int_equal(opened.len, 7 + len);
        assert_memory_equal(opened.data, "before ", 7);
        assert_memory_equal(opened.data + 7, secret, len);
        assert_int_equal(opened.data[opened.len], 0);
    }
    buf_fini(&sealed);
    buf_fini(&opened);
    keyring_free(ring);
}

static void test_a_sealed_text_is_printable_names_its_key_and_differs_each_time(void **state) {
    struct keyring *ring = ring_of(KEY_1);
    struct buf one = {0}, two = {0};
    (void)state;
    seal(ring, span_of("md-mm1"), span_of("s3cr3t"), &one);
    seal(ring, span_of("md-mm1"), span_of("s3cr3t"), &two);
    assert_string_equal(keyring_id(ring), "630dcd29"); /* of the key's SHA-256 */
    assert_memory_equal(one.data, "630dcd29:", 9);
    assert_int_equal(
        strspn(one.data + 9, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="),
        one.len - 9);
    assert_int_equal(one.len - 9, (12 + 6 + 16 + 2) / 3 * 4);
    assert_string_not_equal(one.data, two.data);
    buf_fini(&one);
    buf_fini(&two);
    keyring_free(ring);
}

static void test_a_text_that_python_sealed_is_opened(void **state) {
    /* cryptography's AESGCM(key).encrypt(bytes(range(12)), b"s3cr3t", b"md-mm1") */
    static const char sealed[] = "630dcd29:AAECAwQFBgcICQoLNDG1afaRdH5SORahpS3+bnvw2Rgo8A==";
    struct keyring *ring = ring_of(KEY_1);
    struct buf opened = {0};
    (void)state;
    assert_int_equal(open_copy(ring, "md-mm1", span_of(sealed), &opened), 0);
    assert_string_equal(opened.data, "s3cr3t");
    buf_fini(&opened);
    keyring_free(ring);
}

static void test_a_text_with_any_character_changed_is_not_opened_and_nothing_is_appended(
    void **state) {
    struct keyring *ring = ring_of(KEY_1);
    struct buf sealed = {0}, opened = {0};
    (void)state;
    seal(ring, span_of("md-mm1"), span_of("s3cr3t!!"),
         &sealed); /* 36 bytes: no padding, no idle bits */
    for (size_t at = 0; at < sealed.len; at++) {
        for (int c = 1; c < 128; c++) {
            char was = sealed.data[at];
            if (c == was)
                continue;
            sealed.data[at] = (char)c;
            if (open_copy(ring, "md-mm1", content(&sealed), &opened) == 0)
                fail_msg("%s", sealed.data);
            sealed.data[at] = was;
        }
    }
    assert_null(opened.data);
    buf_fini(&sealed);
    keyring_free(ring);
}

static void test_a_text_that_was_cut_or_made_longer_is_not_opened(void **state) {
    struct keyring *ring = ring_of(KEY_1);
    struct buf sealed = {0}, opened = {0};
    (void)state;
    seal(ring, span_of("md-mm1"), span_of("s3cr3t"), &sealed);
    for (size_t len = 0; len < sealed.len; len++)
        assert_int_equal(open_copy(ring, "md-mm1", (struct span){sealed.data, len}, &opened), -1);
    buf_puts(&sealed, "AAAA");
    assert_int_equal(open_copy(ring, "md-mm1", content(&sealed), &opened), -1);
    assert_null(opened.data);
    buf_fini(&sealed);
    keyring_free(ring);
}

static void test_garbage_is_not_a_sealed_text(void **state) {
    static const char *const garbage[] = {"",
                                          ":",
                                          "630dcd29",
                                          "630dcd29:",
                                          "630dcd29:AAAA",
                                          ":AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                                          "s3cr3t",
                                          "630dcd29:****************************************",
                                          "630dcd29:                                        "};
    struct keyring *ring = ring_of(KEY_1);
    struct buf opened = {0};
    (void)state;
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++)
        assert_int_equal(open_copy(ring, "md-mm1", span_of(garbage[i]), &opened), -1);
    assert_null(opened.data);
    keyring_free(ring);
}

static void test_a_secret_of_another_subscriber_is_not_opened(void **state) {
    struct keyring *ring = ring_of(KEY_1);
    struct buf sealed = {0}, opened = {0};
    (void)state;
    seal(ring, span_of("md-mm1"), span_of("s3cr3t"), &sealed);
    assert_int_equal(open_copy(ring, "md-mm2", content(&sealed), &opened), -1);
    assert_non_null(strstr(err.message, "belongs to another subscriber"));
    assert_int_equal(open_copy(ring, "md-mm", content(&sealed), &opened), -1);
    assert_int_equal(open_copy(ring, "", content(&sealed), &opened), -1);
    assert_null(opened.data);
    buf_fini(&sealed);
    keyring_free(ring);
}

static void test_a_key_that_the_file_lacks_is_named(void **state) {
    struct keyring *one = ring_of(KEY_1), *two = ring_of(KEY_2);
    struct buf sealed = {0}, opened = {0};
    (void)state;
    seal(one, span_of("md-mm1"), span_of("s3cr3t"), &sealed);
    assert_int_equal(open_copy(two, "md-mm1", content(&sealed), &opened), -1);
    assert_non_null(
        strstr(err.message, "sealed with key 630dcd29, which the key file does not hold"));
    memcpy(sealed.data, keyring_id(two), 8); /* another key's id */
    assert_int_equal(open_copy(two, "md-mm1", content(&sealed), &opened), -1);
    assert_null(opened.data);
    buf_fini(&sealed);
    keyring_free(one);
    keyring_free(two);
}

static void test_of_several_keys_the_first_seals_and_all_open(void **state) {
    struct keyring *old = ring_of(KEY_1), *ring = ring_of("\n" KEY_2 " \r\n\n" KEY_1 "\t\n");
    struct buf sealed = {0}, opened = {0};
    bool old_key = false;
    (void)state;
    seal(old, span_of("md-mm1"), span_of("old"), &sealed);
    assert_int_equal(seal_open(ring, span_of("md-mm1"), content(&sealed), &opened, &old_key, &err),
                     0);
    assert_true(old_key);
    buf_clear(&sealed);
    seal(ring, span_of("md-mm1"), span_of(" new"), &sealed);
    assert_int_equal(seal_open(ring, span_of("md-mm1"), content(&sealed), &opened, &old_key, &err),
                     0);
    assert_false(old_key);
    assert_string_equal(opened.data, "old new");
    write_file(KEY_1, 64, 0600);
    assert_int_equal(open_copy(old, "md-mm1", content(&sealed), &opened), -1);
    buf_fini(&sealed);
    buf_fini(&opened);
    keyring_free(old);
    keyring_free(ring);
}

/* --- key files */

static void assert_no_ring(const char *reason) {
    bool missing = true;
    assert_null(keyring_load(path, &missing, &err));
    assert_false(missing);
    assert_memory_equal(err.message, path, strlen(path));
    if (!strstr(err.message, reason))
        fail_msg("%s", err.message);
}

static void test_a_bad_line_of_a_key_file_is_named(void **state) {
    static const char *const bad[] = {"x",         KEY_1 "0", " " KEY_1,     "0x" KEY_1,
                                      KEY_1 KEY_1, "-" KEY_1, "# a comment", KEY_1 " " KEY_2};
    char text[512];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "%s\n\n%s\n", KEY_2, bad[i]);
        write_file(text, strlen(text), 0600);
        assert_no_ring(":3: must be a key of 64 hex digits");
    }
    for (size_t at = 0; at < 64; at++) {
        snprintf(text, sizeof text, "%s", KEY_1);
        text[at] = at % 2 ? 'g' : ' ';
        write_file(text, strlen(text), 0600);
        assert_no_ring(":1: must be a key");
    }
    assert_null(strstr(err.message, "0001020304")); /* it is a secret */
}

static void test_a_key_file_without_a_key_with_zero_bytes_or_too_large_is_refused(void **state) {
    static char large[5000];
    (void)state;
    write_file("", 0, 0600);
    assert_no_ring("holds no key");
    write_file("\n \r\n\t", 5, 0600);
    assert_no_ring("holds no key");
    write_file(KEY_1 "\n\0" KEY_2, 130, 0600);
    assert_no_ring("must be a key");
    memset(large, '\n', sizeof large);
    write_file(large, sizeof large, 0600);
    assert_no_ring("too large");
}

static void test_a_key_file_holds_at_most_16_keys(void **state) {
    struct buf text = {0};
    (void)state;
    for (int i = 0; i < 16; i++)
        buf_printf(&text, "%064x\n", (unsigned)i);
    keyring_free(ring_of(text.data));
    buf_puts(&text, KEY_1);
    write_file(text.data, text.len, 0600);
    assert_no_ring(":17: must be a key of 64 hex digits (at most 16 keys)");
    buf_fini(&text);
}

static void test_a_key_file_that_others_may_read_is_refused(void **state) {
    static const mode_t open_to_others[] = {0604, 0660, 0666, 0644, 0602, 0620, 0610, 0601, 0641};
    (void)state;
    for (size_t i = 0; i < sizeof open_to_others / sizeof *open_to_others; i++) {
        write_file(KEY_1, 64, open_to_others[i]);
        assert_no_ring("chmod 600");
    }
    write_file(KEY_1, 64, 0400);
    keyring_free(keyring_load(path, NULL, &err));
    write_file(KEY_1, 64, 0400);
    struct keyring *ring = keyring_load(path, NULL, &err);
    assert_non_null(ring);
    keyring_free(ring);
}

/* Kubernetes mounts a secret as root's, with the pod's group. */
static void test_a_key_file_that_a_group_may_read_is_taken_where_root_owns_it(void **state) {
    static const mode_t modes[] = {0640, 0440, 0040};
    (void)state;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        write_file(KEY_1, 64, modes[i]);
        if (geteuid() != 0) {
            assert_no_ring("640 will do where root owns it");
            continue;
        }
        struct keyring *ring = keyring_load(path, NULL, &err);
        if (!ring)
            fail_msg("%s", err.message);
        keyring_free(ring);
        assert_int_equal(chown(path, 12345, 12345), 0); /* neither our user's nor root's */
        assert_no_ring("640 will do where root owns it");
    }
}

static void test_a_key_that_came_into_the_file_later_opens_and_those_that_went_still_do(
    void **state) {
    struct keyring *old = ring_of(KEY_1), *new = ring_of(KEY_2);
    struct buf sealed = {0}, sealed_old = {0}, opened = {0};
    (void)state;
    seal(new, span_of("md-mm1"), span_of("n3w"), &sealed);
    seal(old, span_of("md-mm1"), span_of("0ld"), &sealed_old);
    write_file("rubbish", 7, 0600);
    assert_int_equal(open_copy(old, "md-mm1", content(&sealed), &opened), -1);
    assert_int_equal(keyring_version(old), 0);
    write_file(KEY_2 "\n", 65, 0600);
    if (open_copy(old, "md-mm1", content(&sealed), &opened))
        fail_msg("%s", err.message);
    assert_int_equal(open_copy(old, "md-mm1", content(&sealed_old), &opened), 0);
    assert_string_equal(opened.data, "n3w0ld");
    assert_string_equal(keyring_id(old), keyring_id(new)); /* which seals now */
    assert_int_equal(keyring_version(old), 1);
    keyring_refresh(old);
    assert_int_equal(keyring_version(old), 1);
    buf_fini(&sealed);
    buf_fini(&sealed_old);
    buf_fini(&opened);
    keyring_free(old);
    keyring_free(new);
}

static void test_what_is_no_file_is_refused_without_waiting_for_it(void **state) {
    (void)state;
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_no_ring("is not a file");
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_no_ring("is not a file");
    rmdir(path);
}

static void test_a_missing_key_file_is_told_apart(void **state) {
    bool missing = false;
    (void)state;
    unlink(path);
    assert_null(keyring_load(path, &missing, &err));
    assert_true(missing);
    assert_non_null(strstr(err.message, "No such file"));
}

/* --- making a key file */

static void test_a_key_file_is_made_for_its_owner_alone_with_its_folder(void **state) {
    char deeper[160], file[192];
    struct stat st;
    (void)state;
    snprintf(deeper, sizeof deeper, "%s/.run", folder);
    snprintf(file, sizeof file, "%s/secrets.key", deeper);
    mode_t mask = umask(0);
    assert_int_equal(keyring_create(file, &err), 0);
    umask(mask);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 65);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(stat(deeper, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    struct keyring *ring = keyring_load(file, NULL, &err);
    assert_non_null(ring);
    keyring_free(ring);
    unlink(file);
    assert_int_equal(rmdir(deeper), 0); /* nothing else was left in it */
}

static void test_a_key_file_that_is_there_is_never_replaced(void **state) {
    char text[65] = "";
    (void)state;
    write_file(KEY_1, 64, 0600);
    assert_int_equal(keyring_create(path, &err), -1);
    assert_non_null(strstr(err.message, "File exists"));
    FILE *file = fopen(path, "r");
    assert_int_equal(fread(text, 1, 64, file), 64);
    fclose(file);
    assert_string_equal(text, KEY_1);
}

static void test_of_many_that_make_a_key_file_at_once_one_wins_and_its_key_stays(void **state) {
    int made = 0;
    (void)state;
    unlink(path);
    for (int i = 0; i < 8; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(keyring_create(path, &err) == 0 ? 0 : 1);
        assert_true(pid > 0);
    }
    for (int i = 0; i < 8; i++) {
        int status;
        wait(&status);
        made += status == 0;
    }
    assert_int_equal(made, 1);
    struct keyring *ring = keyring_load(path, NULL, &err);
    assert_non_null(ring);
    keyring_free(ring);
}

static void test_a_file_that_a_killed_process_left_behind_is_in_nobodys_way(void **state) {
    char left[160];
    (void)state;
    unlink(path);
    snprintf(left, sizeof left, "%s.%d.new", path,
             (int)getpid()); /* in a container every process may have the same id */
    close(open(left, O_WRONLY | O_CREAT, 0600));
    assert_int_equal(keyring_create(path, &err), 0);
    unlink(left);
}

static void test_each_made_key_is_another(void **state) {
    char first[9];
    (void)state;
    unlink(path);
    assert_int_equal(keyring_create(path, &err), 0);
    struct keyring *ring = keyring_load(path, NULL, &err);
    snprintf(first, sizeof first, "%s", keyring_id(ring));
    keyring_free(ring);
    unlink(path);
    assert_int_equal(keyring_create(path, &err), 0);
    ring = keyring_load(path, NULL, &err);
    assert_string_not_equal(keyring_id(ring), first);
    keyring_free(ring);
}

static void test_a_place_where_no_file_can_be_made_is_named(void **state) {
    (void)state;
    assert_int_equal(keyring_create("/proc/ess/secrets.key", &err), -1);
    assert_non_null(strstr(err.message, "/proc/ess"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_sealed_is_opened_whatever_its_bytes_and_length),
        cmocka_unit_test(test_a_sealed_text_is_printable_names_its_key_and_differs_each_time),
        cmocka_unit_test(test_a_text_that_python_sealed_is_opened),
        cmocka_unit_test(
            test_a_text_with_any_character_changed_is_not_opened_and_nothing_is_appended),
        cmocka_unit_test(test_a_text_that_was_cut_or_made_longer_is_not_opened),
        cmocka_unit_test(test_garbage_is_not_a_sealed_text),
        cmocka_unit_test(test_a_secret_of_another_subscriber_is_not_opened),
        cmocka_unit_test(test_a_key_that_the_file_lacks_is_named),
        cmocka_unit_test(test_of_several_keys_the_first_seals_and_all_open),
        cmocka_unit_test(test_a_bad_line_of_a_key_file_is_named),
        cmocka_unit_test(test_a_key_file_without_a_key_with_zero_bytes_or_too_large_is_refused),
        cmocka_unit_test(test_a_key_file_holds_at_most_16_keys),
        cmocka_unit_test(test_a_key_file_that_others_may_read_is_refused),
        cmocka_unit_test(test_a_key_file_that_a_group_may_read_is_taken_where_root_owns_it),
        cmocka_unit_test(
            test_a_key_that_came_into_the_file_later_opens_and_those_that_went_still_do),
        cmocka_unit_test(test_what_is_no_file_is_refused_without_waiting_for_it),
        cmocka_unit_test(test_a_missing_key_file_is_told_apart),
        cmocka_unit_test(test_a_key_file_is_made_for_its_owner_alone_with_its_folder),
        cmocka_unit_test(test_a_key_file_that_is_there_is_never_replaced),
        cmocka_unit_test(test_of_many_that_make_a_key_file_at_once_one_wins_and_its_key_stays),
        cmocka_unit_test(test_a_file_that_a_killed_process_left_behind_is_in_nobodys_way),
        cmocka_unit_test(test_each_made_key_is_another),
        cmocka_unit_test(test_a_place_where_no_file_can_be_made_is_named),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
