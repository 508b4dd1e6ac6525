/* Steps through JSON; see json_walk.h. Skips strings from quote to quote; outside strings only
 * brackets count. */
#include "common/json/json_walk.h"

enum { SHORT = 16 }; /* shorter strings are skipped without memchr */

static bool json_walk_is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static void json_walk_skip(struct json_walk *walk, char separator) {
    while (walk->at < walk->end && (json_walk_is_space(*walk->at) || *walk->at == separator))
        walk->at++;
}

static const char *json_walk_quote(const char *at, const char *end) {
    const char *near = end - at > SHORT ? at + SHORT : end;
    while (at < near && *at != '"')
        at++;
    return at < near ? at : memchr(at, '"', (size_t)(end - at));
}

/* Moves from an opening quote to behind the closing one. */
static const char *json_walk_string_end(const char *at, const char *end) {
    const char *quote, *before;
    for (at++; at < end && (quote = json_walk_quote(at, end)); at = quote + 1) {
        for (before = quote; before > at && before[-1] == '\\';)
            before--;
        if ((quote - before) % 2 == 0)
            return quote + 1;
    }
    return end;
}

static const char *json_walk_nested_end(const char *at, const char *end) {
    size_t depth = 0;
    while (at < end) {
        char c = *at;
        if (c == '"') {
            at = json_walk_string_end(at, end);
            continue;
        }
        at++;
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            break;
    }
    return at;
}

static const char *json_walk_plain_end(const char *at, const char *end) {
    while (at < end && *at != ',' && *at != '}' && *at != ']' && !json_walk_is_space(*at))
        at++;
    return at;
}

struct span json_walk_take(struct json_walk *walk) {
    const char *begin = walk->at;
    if (begin == walk->end)
        return (struct span){begin, 0};
    if (*begin == '"')
        walk->at = json_walk_string_end(begin, walk->end);
    else if (*begin == '{' || *begin == '[')
        walk->at = json_walk_nested_end(begin, walk->end);
    else
        walk->at = json_walk_plain_end(begin, walk->end);
    return (struct span){begin, (size_t)(walk->at - begin)};
}

void json_walk_init(struct json_walk *walk, struct span value) {
    bool holds = value.len >= 2 && (value.data[0] == '{' || value.data[0] == '[');
    *walk = holds ? (struct json_walk){value.data + 1, value.data + value.len - 1}
                  : (struct json_walk){NULL, NULL};
}

bool json_walk_element(struct json_walk *walk, struct span *value) {
    json_walk_skip(walk, ',');
    *value = json_walk_take(walk);
    return value->len > 0;
}

bool json_walk_name(struct json_walk *walk, struct span *name) {
    struct span quoted;
    if (!json_walk_element(walk, &quoted) || quoted.len < 2 || quoted.data[0] != '"')
        return false;
    *name = (struct span){quoted.data + 1, quoted.len - 2};
    json_walk_skip(walk, ':');
    return walk->at < walk->end;
}

bool json_walk_member(struct json_walk *walk, struct span *name, struct span *value) {
    if (!json_walk_name(walk, name))
        return false;
    *value = json_walk_take(walk);
    return value->len > 0;
}

struct span json_walk_value(struct span text) {
    struct json_walk walk = {text.data, text.data + text.len};
    json_walk_skip(&walk, ' ');
    return json_walk_take(&walk);
}
