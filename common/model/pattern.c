/* Topics and patterns; see pattern.h. */
#include "common/model/pattern.h"

enum { SEGMENT_BYTES_MAX = 64 };

static bool is_topic_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

struct span pattern_take_segment(struct span *rest, bool *last) {
    const char *dot = rest->len ? memchr(rest->data, '.', rest->len) : NULL;
    struct span segment = {rest->data, dot ? (size_t)(dot - rest->data) : rest->len};
    *last = !dot;
    if (dot)
        *rest = (struct span){dot + 1, rest->len - segment.len - 1};
    else
        *rest = (struct span){rest->data + rest->len, 0};
    return segment;
}

bool pattern_is_wildcard(struct span segment) { return segment.len == 1 && segment.data[0] == '*'; }

static int segment_check(struct span segment, bool wildcards, struct error *err) {
    if (wildcards && pattern_is_wildcard(segment))
        return 0;
    if (segment.len == 0)
        return error_set(err, "must not have an empty segment");
    if (segment.len > SEGMENT_BYTES_MAX)
        return error_set(err, "must not have a segment of more than %d characters",
                         SEGMENT_BYTES_MAX);
    for (size_t i = 0; i < segment.len; i++) {
        if (is_topic_char(segment.data[i]))
            continue;
        if (segment.data[i] == '*')
            return error_set(err, wildcards
                                      ? "a wildcard must be a whole segment, such as appointment.*"
                                      : "must not have wildcards");
        return error_set(err, "may hold only A-Z a-z 0-9 _ - and the dots between segments");
    }
    return 0;
}

static int pattern_check_text(struct span text, bool wildcards, struct error *err) {
    bool last = false;
    if (text.len == 0)
        return error_set(err, "must not be empty");
    if (text.len > TOPIC_BYTES_MAX)
        return error_set(err, "must not be longer than %d characters", TOPIC_BYTES_MAX);
    for (int count = 1; !last; count++) {
        if (count > TOPIC_SEGMENTS_MAX)
            return error_set(err, "must not have more than %d segments", TOPIC_SEGMENTS_MAX);
        if (segment_check(pattern_take_segment(&text, &last), wildcards, err))
            return -1;
    }
    return 0;
}

int topic_check(struct span topic, struct error *err) {
    return pattern_check_text(topic, false, err);
}
int pattern_check(struct span pattern, struct error *err) {
    return pattern_check_text(pattern, true, err);
}

bool pattern_matches(struct span pattern, struct span topic) {
    for (;;) {
        bool pattern_last, topic_last;
        struct span p = pattern_take_segment(&pattern, &pattern_last),
                    t = pattern_take_segment(&topic, &topic_last);
        if (pattern_is_wildcard(p) && pattern_last)
            return true; /* one or more */
        if (!pattern_is_wildcard(p) && !span_equal(p, t))
            return false;
        if (pattern_last || topic_last)
            return pattern_last && topic_last;
    }
}

/* Compares segment by segment: `outer` must allow all that `inner` may have. */
bool pattern_within(struct span inner, struct span outer) {
    for (;;) {
        bool inner_last, outer_last;
        struct span i = pattern_take_segment(&inner, &inner_last),
                    o = pattern_take_segment(&outer, &outer_last);
        if (pattern_is_wildcard(o) && outer_last)
            return true;
        if (pattern_is_wildcard(i) && inner_last)
            return false; /* only a last wildcard allows several segments */
        if (!pattern_is_wildcard(o) && !span_equal(i, o))
            return false; /* a plain segment allows no wildcard */
        if (inner_last || outer_last)
            return inner_last && outer_last;
    }
}
