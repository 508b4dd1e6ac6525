/* Topics and patterns, two patterns and a topic on a line each: containment and matching agree, and
 * the index finds whom matching names. */
#include "common/access/scope.h"
#include "common/model/match.h"
#include "common/model/pattern.h"
#include "fuzz.h"

static void count(void *arg, struct match_member *member) {
    (void)member;
    ++*(int *)arg;
}

static int found_by_index(struct span pattern, struct span topic) {
    struct match *match = match_new();
    struct match_member member = {0};
    int found = 0;
    match_add(match, pattern, &member);
    match_each(match, topic, count, &found);
    match_remove(match, pattern, &member);
    match_each(match, topic, count, &found);
    match_free(match);
    return found;
}

static void check_scope(struct span text) {
    struct scope scope;
    struct error err;
    char *copy = mem_copy_string(text.data, text.len);
    if (scope_parse(&scope, copy, &err) == 0)
        MUST(pattern_check(span_of(scope.pattern), &err) == 0);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span rest = bytes(data, size), inner = take_until(&rest, '\n'),
                outer = take_until(&rest, '\n'), topic = rest;
    struct error err;
    check_scope(inner);
    if (pattern_check(inner, &err) || pattern_check(outer, &err))
        return 0;
    MUST(pattern_within(inner, inner) && pattern_within(inner, span_of("*")));
    bool within = pattern_within(inner, outer);
    if (topic_check(inner, &err) == 0)
        MUST(within == pattern_matches(outer, inner));
    if (topic_check(topic, &err))
        return 0;
    MUST(!within || !pattern_matches(inner, topic) || pattern_matches(outer, topic));
    MUST(found_by_index(inner, topic) == pattern_matches(inner, topic));
    return 0;
}
