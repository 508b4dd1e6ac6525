/* An event filter on the first line, an event behind it: reading and judging stay within their
 * bytes, an answer is the same twice, and a filter beside itself in $or gives the same answer. */
#include "common/filter/event_filter.h"
#include "common/json/decimal.h"
#include "common/json/json_scan.h"
#include "fuzz.h"

static void check_doubled(struct span pattern, struct span event, bool expected) {
    struct buf text = {0};
    struct error err;
    buf_printf(&text, "{\"$or\":[%.*s,%.*s]}", (int)pattern.len, pattern.data, (int)pattern.len,
               pattern.data);
    struct event_filter *filter = event_filter_new(content(&text), &err);
    if (filter && json_scan(event, JSON_DEPTH_MAX, &err) == 0)
        MUST(event_filter_matches(filter, event) == expected);
    event_filter_free(filter);
    buf_fini(&text);
}

static void check_decimals(struct span a, struct span b) {
    struct decimal x, y;
    if (!decimal_parse(a, &x) || !decimal_parse(b, &y))
        return;
    int order = decimal_compare(&x, &y);
    MUST(decimal_compare(&y, &x) == -order && decimal_compare(&x, &x) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span event = bytes(data, size), pattern = take_until(&event, '\n');
    struct error err;
    check_decimals(pattern, event);
    struct event_filter *filter = event_filter_new(pattern, &err);
    if (!filter) {
        MUST(err.message[0]);
        return 0;
    }
    bool answer = event_filter_matches(filter, event);
    MUST(event_filter_matches(filter, event) == answer);
    event_filter_hopeless(filter);
    event_filter_may_match_topic(filter, event);
    check_doubled(pattern, event, answer);
    event_filter_free(filter);
    return 0;
}
