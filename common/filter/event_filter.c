/* Event filters; see event_filter.h. The pattern is a tree of entries. Judging an event walks over
 * its bytes once, and once more per alternative of a "$or".
 *
 * The result for an object or a list has three values. A part may hold because a value is absent
 * (EVENT_FILTER_ABSENT): in an array, all elements must then agree. A part that found a value
 * (EVENT_FILTER_YES) needs only one element. */
#include "common/filter/event_filter.h"

#include <stdio.h>
#include <stdlib.h>

#include <utlist.h>

#include "common/base/buf.h"
#include "common/base/names.h"
#include "common/filter/condition.h"
#include "common/json/json_scan.h"
#include "common/json/json_walk.h"

enum { ENTRIES_MAX = 128, OR_NESTING_MAX = 8, PATH_BYTES = 200 };

enum verdict { EVENT_FILTER_NO, EVENT_FILTER_ABSENT, EVENT_FILTER_YES };

enum entry_kind { ENTRY_LIST, ENTRY_OBJECT, ENTRY_OR };

struct listed {
    struct condition *condition;
    struct listed *next;
};

/* A name of the pattern with its conditions; for "$or", the alternatives. */
struct entry {
    enum entry_kind kind;
    char *name; /* unescaped; NULL for the root and alternatives */
    size_t name_len;
    struct entry *entries;             /* an object's names, or "$or"'s alternatives */
    size_t entries_count, names_count; /* names: without "$or" */
    struct listed *conditions;
    bool absent; /* holds for an absent value */
    struct entry *next;
};

struct event_filter {
    char *pattern; /* the numbers of conditions point into it */
    struct entry *root;
    struct buf scratch;
};

static void event_filter_entry_free(struct entry *entry) {
    struct entry *e, *next;
    struct listed *l, *after;
    LL_FOREACH_SAFE(entry->entries, e, next) {
        event_filter_entry_free(e);
    }
    LL_FOREACH_SAFE(entry->conditions, l, after) {
        condition_free(l->condition);
        free(l);
    }
    free(entry->name);
    free(entry);
}

/* --- reading the pattern */

struct reading {
    char path[PATH_BYTES]; /* for error messages */
    size_t conditions;
    struct error *err;
};

static int entry_read_object(struct entry *entry, struct span json, struct reading *r,
                             unsigned depth, unsigned ors);

/* Puts the path before the message. */
static int reading_failed(struct reading *r) {
    snprintf(r->err->field, sizeof r->err->field, "%.*s", (int)sizeof r->err->field - 1, r->path);
    return error_prefix(r->err, "%s%s", r->path, r->path[0] ? ": " : "");
}

static int reading_fail(struct reading *r, const char *reason) {
    error_set(r->err, "%s", reason);
    return reading_failed(r);
}

/* Adds a name or an index to the path. Returns the old length, to cut back to. */
static size_t reading_enter(struct reading *r, const char *text) {
    size_t len = strlen(r->path);
    snprintf(r->path + len, sizeof r->path - len, "%s%s", len && text[0] != '[' ? "." : "", text);
    return len;
}

static size_t reading_enter_index(struct reading *r, size_t index) {
    char text[24];
    snprintf(text, sizeof text, "[%zu]", index);
    return reading_enter(r, text);
}

static int entry_read_list(struct entry *entry, struct span json, struct reading *r) {
    struct json_walk walk;
    struct span element;
    struct listed *l = NULL;
    json_walk_init(&walk, json);
    for (size_t i = 0; json_walk_element(&walk, &element); i++) {
        size_t begin = reading_enter_index(r, i);
        l = mem_zero(sizeof *l);
        LL_PREPEND(entry->conditions, l);
        if (!(l->condition = condition_new(element, &r->conditions, r->err)))
            return reading_failed(r);
        if (r->conditions > EVENT_FILTER_CONDITIONS_MAX)
            return reading_fail(r, "more than 200 conditions");
        entry->absent |= condition_wants_absence(l->condition);
        r->path[begin] = 0;
    }
    return l ? 0 : reading_fail(r, "an empty list matches nothing: leave the name out");
}

static int entry_read_alternatives(struct entry *entry, struct span json, struct reading *r,
                                   unsigned depth, unsigned ors) {
    struct json_walk walk;
    struct span element;
    json_walk_init(&walk, json);
    if (json.data[0] != '[' || ors == OR_NESTING_MAX)
        return reading_fail(r, json.data[0] == '[' ? "more than 8 levels of $or"
                                                   : "$or takes a list of objects");
    while (json_walk_element(&walk, &element)) {
        struct entry *alternative = mem_zero(sizeof *alternative);
        size_t begin = reading_enter_index(r, entry->entries_count++);
        alternative->kind = ENTRY_OBJECT;
        LL_PREPEND(entry->entries, alternative);
        if (element.data[0] != '{')
            return reading_fail(r, "must be an object");
        if (entry_read_object(alternative, element, r, depth, ors + 1))
            return -1;
        entry->absent |= alternative->absent;
        r->path[begin] = 0;
    }
    return entry->entries_count >= 2 ? 0 : reading_fail(r, "$or takes at least two objects");
}

static int entry_read(struct entry *entry, struct span json, struct reading *r, unsigned depth,
                      unsigned ors) {
    if (strcmp(entry->name, "$or") == 0) {
        entry->kind = ENTRY_OR;
        return entry_read_alternatives(entry, json, r, depth, ors);
    }
    if (depth == EVENT_FILTER_DEPTH_MAX)
        return reading_fail(r, "more than 8 levels");
    if (json.data[0] == '{') {
        entry->kind = ENTRY_OBJECT;
        return entry_read_object(entry, json, r, depth + 1, ors);
    }
    if (json.data[0] == '[')
        return entry_read_list(entry, json, r);
    return reading_fail(r, "must be a list of conditions, such as [\"MD\"], or an object");
}

static void entry_take_name(struct entry *entry, struct span name) {
    entry->name = mem_alloc(name.len + 1);
    entry->name_len = (size_t)json_unescape((struct span){name.data - 1, name.len + 2}, entry->name,
                                            name.len + 1);
}

static bool entry_name_is_known(const struct entry *entry) {
    static const char *const names[] = {"topic", "key", "id", "source_cursor", "data", "$or"};
    return names_find(names, sizeof names / sizeof *names, entry->name) >= 0;
}

static int entry_read_member(struct entry *entry, struct span name, struct span value,
                             struct reading *r, unsigned depth, unsigned ors) {
    struct entry *e = mem_zero(sizeof *e);
    entry_take_name(e, name);
    LL_PREPEND(entry->entries, e);
    entry->entries_count++;
    size_t begin = reading_enter(r, e->name);
    if (depth == 0 && !entry_name_is_known(e))
        return reading_fail(r, "unknown: may be topic, key, id, source_cursor, data or $or");
    if (entry_read(e, value, r, depth, ors))
        return -1;
    entry->absent &= e->absent;
    entry->names_count += e->kind != ENTRY_OR;
    r->path[begin] = 0;
    return 0;
}

static int entry_read_object(struct entry *entry, struct span json, struct reading *r,
                             unsigned depth, unsigned ors) {
    struct json_walk walk;
    struct span name, value;
    json_walk_init(&walk, json);
    entry->absent = true;
    while (json_walk_member(&walk, &name, &value)) {
        if (entry->entries_count == ENTRIES_MAX)
            return reading_fail(r, "more than 128 names in one object");
        if (entry_read_member(entry, name, value, r, depth, ors))
            return -1;
    }
    return entry->entries_count ? 0 : reading_fail(r, "an empty object");
}

struct event_filter *event_filter_new(struct span pattern, struct error *err) {
    struct reading r = {.err = err};
    if (pattern.len > EVENT_FILTER_BYTES_MAX) {
        error_set(err, "more than 16 KiB");
        return NULL;
    }
    if (json_scan(pattern, JSON_DEPTH_MAX, err)) {
        err->field[0] = 0;
        return NULL;
    }
    if (json_walk_value(pattern).data[0] != '{') {
        error_set(err, "must be an object, such as {\"data\": {\"state\": [\"MD\"]}}");
        return NULL;
    }
    struct event_filter *filter = mem_zero(sizeof *filter);
    filter->pattern = mem_copy_string(pattern.data, pattern.len);
    filter->root = mem_zero(sizeof *filter->root);
    filter->root->kind = ENTRY_OBJECT;
    if (entry_read_object(filter->root,
                          json_walk_value((struct span){filter->pattern, pattern.len}), &r, 0,
                          0) == 0)
        return filter;
    event_filter_free(filter);
    return NULL;
}

void event_filter_free(struct event_filter *filter) {
    if (!filter)
        return;
    event_filter_entry_free(filter->root);
    free(filter->pattern);
    buf_fini(&filter->scratch);
    free(filter);
}

/* --- judging an event */

static enum verdict entry_judge_object(struct event_filter *filter, const struct entry *entry,
                                       struct span value);

static enum verdict verdict_of_absence(bool absent) {
    return absent ? EVENT_FILTER_ABSENT : EVENT_FILTER_NO;
}

/* Unescapes a string. The text is valid until the next call. A string that is not valid JSON, which
 * only another program can have appended, stays as it is. */
static struct span filter_text(struct event_filter *filter, struct span quoted) {
    struct span inner = {quoted.data + 1, quoted.len - 2};
    if (!memchr(inner.data, '\\', inner.len) || !json_string_is_valid(quoted))
        return inner;
    buf_clear(&filter->scratch);
    char *out = buf_reserve(&filter->scratch, quoted.len);
    return (struct span){out, (size_t)json_unescape(quoted, out, quoted.len)};
}

static bool entry_holds(struct event_filter *filter, const struct entry *entry,
                        struct span scalar) {
    struct condition_value value = {scalar, scalar.len >= 2 && scalar.data[0] == '"'};
    if (value.is_string)
        value.text = filter_text(filter, scalar);
    for (const struct listed *l = entry->conditions; l; l = l->next)
        if (!condition_wants_absence(l->condition) && condition_holds(l->condition, &value))
            return true;
    return false;
}

/* Judges a list against the value there: a scalar, or the scalars of an array nested to any depth.
 * An object is not a scalar. */
static enum verdict entry_judge_list(struct event_filter *filter, const struct entry *entry,
                                     struct span value, unsigned depth) {
    struct json_walk walk;
    struct span element;
    enum verdict all = verdict_of_absence(entry->absent);
    if (value.data[0] == '{' || depth == JSON_DEPTH_MAX)
        return all;
    if (value.data[0] != '[')
        return entry_holds(filter, entry, value) ? EVENT_FILTER_YES : EVENT_FILTER_NO;
    json_walk_init(&walk, value);
    while (json_walk_element(&walk, &element)) {
        enum verdict one = entry_judge_list(filter, entry, element, depth + 1);
        if (one == EVENT_FILTER_YES)
            return one;
        if (one == EVENT_FILTER_NO)
            all = one;
    }
    return all;
}

/* One element of an array suffices; if absence decides, all elements must agree. */
static enum verdict entry_judge_elements(struct event_filter *filter, const struct entry *entry,
                                         struct span array, unsigned depth) {
    struct json_walk walk;
    struct span element;
    enum verdict all = verdict_of_absence(entry->absent);
    json_walk_init(&walk, array);
    while (depth < JSON_DEPTH_MAX && json_walk_element(&walk, &element)) {
        enum verdict one = element.data[0] == '['
                               ? entry_judge_elements(filter, entry, element, depth + 1)
                               : entry_judge_object(filter, entry, element);
        if (one == EVENT_FILTER_YES)
            return one;
        if (one == EVENT_FILTER_NO)
            all = one;
    }
    return all;
}

static enum verdict entry_judge(struct event_filter *filter, const struct entry *entry,
                                struct span value) {
    if (entry->kind == ENTRY_LIST)
        return entry_judge_list(filter, entry, value, 0);
    return value.data[0] == '[' ? entry_judge_elements(filter, entry, value, 0)
                                : entry_judge_object(filter, entry, value);
}

static enum verdict entry_judge_alternatives(struct event_filter *filter, const struct entry *entry,
                                             struct span value) {
    enum verdict best = EVENT_FILTER_NO;
    for (const struct entry *e = entry->entries; e && best != EVENT_FILTER_YES; e = e->next) {
        enum verdict one = entry_judge_object(filter, e, value);
        best = one > best ? one : best;
    }
    return best;
}

static bool entry_is_named(struct event_filter *filter, const struct entry *entry,
                           struct span name) {
    if (entry->kind == ENTRY_OR)
        return false;
    if (memchr(name.data, '\\', name.len))
        name = filter_text(filter, (struct span){name.data - 1, name.len + 2});
    return span_equal(name, (struct span){entry->name, entry->name_len});
}

/* Judges the value at the walk's position. The last object needed is judged in place, since its end
 * does not matter. */
static struct span entry_value(const struct entry *entry, struct json_walk *walk, bool last) {
    if (last && entry->kind == ENTRY_OBJECT && *walk->at == '{')
        return (struct span){walk->at, (size_t)(walk->end - walk->at) + 1};
    return json_walk_take(walk);
}

/* Judges each member named in the pattern. Returns false at the first mismatch. */
static bool entry_judge_members(struct event_filter *filter, const struct entry *entry,
                                struct span object, enum verdict found[ENTRIES_MAX]) {
    struct json_walk walk;
    struct span name, value;
    size_t left = entry->names_count, i;
    json_walk_init(&walk, object);
    while (left && json_walk_name(&walk, &name)) {
        const struct entry *e = entry->entries;
        for (i = 0; e && !entry_is_named(filter, e, name); i++)
            e = e->next;
        value = e ? entry_value(e, &walk, --left == 0) : json_walk_take(&walk);
        if (value.len == 0)
            return true;
        if (e && (found[i] = entry_judge(filter, e, value)) == EVENT_FILTER_NO)
            return false;
    }
    return true;
}

/* Any value but an object has no members: a number in place of an object lacks all of them. */
static enum verdict entry_judge_object(struct event_filter *filter, const struct entry *entry,
                                       struct span value) {
    enum verdict found[ENTRIES_MAX] = {EVENT_FILTER_NO}, best = EVENT_FILTER_ABSENT;
    size_t i = 0;
    if (value.data[0] == '{' && !entry_judge_members(filter, entry, value, found))
        return EVENT_FILTER_NO;
    for (const struct entry *e = entry->entries; e; e = e->next, i++) {
        enum verdict one = found[i] != EVENT_FILTER_NO ? found[i]
                           : e->kind == ENTRY_OR       ? entry_judge_alternatives(filter, e, value)
                                                       : verdict_of_absence(e->absent);
        if (one == EVENT_FILTER_NO)
            return one;
        best = one > best ? one : best;
    }
    return best;
}

bool event_filter_matches(struct event_filter *filter, struct span stored) {
    struct span event = json_walk_value(stored);
    return event.len && entry_judge_object(filter, filter->root, event) != EVENT_FILTER_NO;
}

/* --- contradictions in the pattern */

static const struct entry *entry_find(const struct entry *object, const char *name) {
    for (const struct entry *e = object->entries; e; e = e->next)
        if (strcmp(e->name, name) == 0)
            return e;
    return NULL;
}

/* Whether no string can match the list: numbers, literals, or the absence of a member that every
 * event has. */
static bool entry_refuses_strings(const struct entry *entry, bool always_there) {
    struct condition_value probe[] = {{{"a", 1}, true}, {{"b", 1}, true}};
    if (!entry || (entry->absent && !always_there))
        return false;
    for (const struct listed *l = entry->conditions; l; l = l->next)
        if (condition_wants_string(l->condition) || condition_holds(l->condition, &probe[0]) ||
            condition_holds(l->condition, &probe[1]))
            return false;
    return true;
}

const char *event_filter_hopeless(const struct event_filter *filter) {
    if (entry_refuses_strings(entry_find(filter->root, "topic"), true))
        return "no event matches it: topic is always there, and a string";
    if (entry_refuses_strings(entry_find(filter->root, "id"), true))
        return "no event matches it: id is always there, and a string";
    if (entry_refuses_strings(entry_find(filter->root, "key"), false))
        return "no event matches it: key is a string";
    return NULL;
}

bool event_filter_may_match_topic(struct event_filter *filter, struct span topic) {
    const struct entry *entry = entry_find(filter->root, "topic");
    const struct condition_value value = {topic, true};
    if (!entry || entry->kind != ENTRY_LIST)
        return true;
    for (const struct listed *l = entry->conditions; l; l = l->next)
        if (condition_holds(l->condition, &value))
            return true;
    return false;
}
