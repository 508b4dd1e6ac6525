/* Finds `data` in stored bytes, whatever other members there are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/model/event.h"

#define ID "0190b6a0-0000-7000-8000-000000000001"
#define TS "2024-05-07T14:03:11.123Z"

static const char *const bodies[] = {
    "{\"topic\":\"a\",\"data\":1}",
    "{\"topic\":\"a.b\",\"data\":null,\"id\":\"x\"}",
    "{\"topic\":\"a\",\"data\":{\"data\":{\"x\":\"\\\"data\\\":2\"}},\"key\":\"k\"}",
    "{\"topic\":\"a\",\"data\":[ 1,\r\n2 "
    "],\"key\":\"\\\"data\\\":3,\\\\\",\"id\":\"\\\"data\\\":\\\\\"}",
    "{\"topic\":\"data\",\"data\":\"data\",\"key\":\"data\",\"id\":\"data\",\"cursor\":18}",
    "{\"topic\":\"a\",\"data\":\"\",\"key\":\"\\u00e9\\ud83d\\ude00\\u0001\",\"cursor\":0,\"ts\":"
    "\"2024-05-07T14:03:11Z\"}",
};
enum { BODIES = sizeof bodies / sizeof *bodies };

/* A stored form, and the expected data in it. */
static void store(const char *body, struct buf *stored, struct buf *data) {
    struct event event;
    struct error err;
    bool too_large;
    buf_clear(stored);
    buf_clear(data);
    if (event_parse(&event, span_of(body), 1000, ID, TS, &too_large, &err))
        fail_msg("%s: %s", body, err.message);
    event_store(&event, stored);
    buf_append(data, event.data.data, event.data.len);
    for (size_t i = 0; i < data->len; i++)
        if (data->data[i] == '\r' || data->data[i] == '\n')
            data->data[i] = ' ';
}

static void test_data_is_found_behind_any_envelope(void **state) {
    struct buf stored = {0}, data = {0};
    (void)state;
    for (size_t i = 0; i < BODIES; i++) {
        store(bodies[i], &stored, &data);
        struct span found = event_stored_data((struct span){stored.data, stored.len});
        assert_int_equal(found.len, data.len);
        assert_memory_equal(found.data, data.data, data.len);
    }
    buf_fini(&stored);
    buf_fini(&data);
}

/* Each prefix of stored bytes, in memory of its own, so that a sanitizer detects a read beyond the
 * end. */
static void test_bytes_that_are_cut_off_are_never_read_beyond(void **state) {
    struct buf stored = {0}, data = {0};
    (void)state;
    for (size_t i = 0; i < BODIES; i++) {
        store(bodies[i], &stored, &data);
        for (size_t len = 0; len < stored.len - data.len; len++) {
            char *cut = mem_alloc(len);
            memcpy(cut, stored.data, len);
            struct span found = event_stored_data((struct span){cut, len});
            assert_true(found.data == NULL || found.len <= len);
            free(cut);
        }
    }
    buf_fini(&stored);
    buf_fini(&data);
}

static void test_what_was_stored_otherwise_has_none(void **state) {
    static const char *const others[] = {"",
                                         "{",
                                         "{}",
                                         "[1]",
                                         "{\"topic\":[],\"data\":1}",
                                         "{\"topic\" :\"a\",\"data\":1}",
                                         "{\"topic\":\"a\" ,\"data\":1}",
                                         "{\"a\":\"b\"}",
                                         "{\"a\":\"\\x\",\"data\":1}"};
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_null(event_stored_data(span_of(others[i])).data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_is_found_behind_any_envelope),
        cmocka_unit_test(test_bytes_that_are_cut_off_are_never_read_beyond),
        cmocka_unit_test(test_what_was_stored_otherwise_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
