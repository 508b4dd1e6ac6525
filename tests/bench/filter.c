/* What a filter of 10 conditions adds to an event of 1 KB, beside a bare scan of the same bytes.
 *
 * All conditions hold, so none is spared; the last of them stands at the event's end. Prints
 * nanoseconds of CPU an event, each the median of rounds that take turns. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/filter/event_filter.h"
#include "common/json/json_scan.h"

enum { ROUNDS = 11, EVENTS_A_ROUND = 100 * 1000, EVENT_BYTES = 1024 };

static const char pattern[] =
    "{\"topic\":[{\"prefix\":\"drug.\"}],\"key\":[{\"exists\":true}],\"data\":{"
    "\"state\":[\"VA\",\"MD\"],\"plan\":[{\"anything-but\":\"none\"}],"
    "\"form\":[{\"equals-ignore-case\":\"TABLET\"}],\"copay\":[{\"numeric\":[\">\",0,\"<=\",30]}],"
    "\"file\":[{\"wildcard\":\"rx/*/copay\"}],\"from\":[{\"cidr\":\"10.0.0.0/8\"}],"
    "\"last\":{\"ndc\":[{\"suffix\":\"-01\"}]}}}";
static const char excluding[] =
    "{\"topic\":[{\"prefix\":\"clinic.\"}],\"data\":{\"state\":[\"MD\"]}}";

static void make_event(struct buf *event) {
    static const char end[] = "\",\"last\":{\"ndc\":\"00093-0058-01\"}}}";
    buf_printf(event, "{\"topic\":\"drug.copay\",\"id\":\"6a7e8feb-b491-4cf7-a9f1-bf3703467718\","
                      "\"key\":\"00093-0058\",\"ts\":\"2026-11-25T10:00:00.000Z\",\"data\":{"
                      "\"state\":\"MD\",\"plan\":\"gold\",\"form\":\"tablet\",\"copay\":25.50,"
                      "\"file\":\"rx/00093/copay\",\"from\":\"10.1.2.3\",\"tiers\":[1,2,3],"
                      "\"address\":{\"city\":\"Baltimore\",\"zip\":\"21201\"},\"text\":\"");
    while (event->len + sizeof end - 1 < EVENT_BYTES)
        buf_append(event, "x", 1);
    buf_append(event, end, sizeof end - 1);
}

static struct event_filter *filter_of(const char *text) {
    struct error err;
    struct event_filter *filter = event_filter_new(span_of(text), &err);
    if (filter)
        return filter;
    fprintf(stderr, "%s\n", err.message);
    exit(1);
}

enum work { SCAN, FILTER, TOPIC, WORKS };

static bool work_do(enum work work, struct event_filter *const filters[WORKS], struct span event) {
    struct error err;
    switch (work) {
    case SCAN:
        return json_scan(event, JSON_DEPTH_MAX, &err) == 0;
    case FILTER:
        return event_filter_matches(filters[FILTER], event);
    default:
        return !event_filter_may_match_topic(filters[TOPIC], span_of("drug.copay"));
    }
}

static double cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Nanoseconds an event. */
static double round_of(enum work work, struct event_filter *const filters[WORKS],
                       struct span event) {
    double begin = cpu_ns();
    for (size_t i = 0; i < EVENTS_A_ROUND; i++)
        if (!work_do(work, filters, event))
            abort();
    return (cpu_ns() - begin) / EVENTS_A_ROUND;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void) {
    struct event_filter *filters[WORKS] = {NULL, filter_of(pattern), filter_of(excluding)};
    double ns[WORKS][ROUNDS];
    struct buf event = {0};
    make_event(&event);
    for (size_t i = 0; i < ROUNDS; i++)
        for (int work = SCAN; work < WORKS; work++)
            ns[work][i] = round_of(work, filters, (struct span){event.data, event.len});
    for (int work = SCAN; work < WORKS; work++)
        qsort(ns[work], ROUNDS, sizeof **ns, compare);
    printf("filter_ns=%.0f json_scan_ns=%.0f ratio=%.2f excluded_by_topic_ns=%.0f bytes=%zu\n",
           ns[FILTER][ROUNDS / 2], ns[SCAN][ROUNDS / 2],
           ns[FILTER][ROUNDS / 2] / ns[SCAN][ROUNDS / 2], ns[TOPIC][ROUNDS / 2], event.len);
    event_filter_free(filters[FILTER]);
    event_filter_free(filters[TOPIC]);
    buf_fini(&event);
    return 0;
}
