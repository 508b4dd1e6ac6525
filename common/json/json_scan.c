/* The JSON scanner; see json_scan.h. Recursive descent, one function per production of RFC 8259.
 * ESS has its own because json-c accepts text that is not JSON (NaN, single quotes, `1.`, overlong
 * UTF-8), and bytes are checked before they are kept. */
#include "common/json/json_scan.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>

#include "common/base/buf.h"
#include "common/base/siphash.h"
#include "common/base/utf8.h"

/* A seen member name, for finding duplicates. */
struct seen {
    uint64_t hash;
    struct span name; /* with escapes */
    bool escaped;
};

/* Where the outermost level's parts go. */
struct top {
    struct json_member *members;
    size_t members_max, members_count;
    int (*take)(void *arg, size_t index, const struct json_element *element, struct error *err);
    void *arg;
};

struct scan {
    const char *begin, *p, *end;
    int depth, depth_max;
    struct error *err;
    struct top *top;    /* NULL below the outermost level */
    struct seen *names; /* a stack: an object's names are above its parent's */
    size_t names_count, names_cap;
    uint64_t seed;
};

static int json_scan_fail(const struct scan *s, const char *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int json_scan_fail(const struct scan *s, const char *at, const char *format, ...) {
    char reason[160];
    size_t line = 1, column = 1;
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    for (const char *p = s->begin; p < at; p++) {
        column++;
        if (*p == '\n') {
            line++;
            column = 1;
        }
    }
    return error_set(s->err, "not valid JSON at line %zu, column %zu: %s", line, column, reason);
}

static void json_scan_skip_space(struct scan *s) {
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
        s->p++;
}

static bool json_scan_take(struct scan *s, char c) {
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

/* Scans after the opening quote. `inner` is the text between the quotes. */
static int scan_string(struct scan *s, struct span *inner, bool *escaped) {
    inner->data = s->p;
    const char *reason = json_string_scan(&s->p, s->end, escaped);
    inner->len = (size_t)(s->p - inner->data) - 1;
    return reason ? json_scan_fail(s, s->p, "%s", reason) : 0;
}

/* --- duplicate names */

static bool names_equal(const struct seen *a, const struct seen *b) {
    if (a->hash != b->hash)
        return false;
    if (!a->escaped && !b->escaped)
        return span_equal(a->name, b->name);
    struct json_string_reader ra, rb;
    json_string_reader_init(&ra, a->name);
    json_string_reader_init(&rb, b->name);
    for (;;) {
        int ca = json_string_reader_next(&ra), cb = json_string_reader_next(&rb);
        if (ca != cb)
            return false;
        if (ca < 0)
            return true;
    }
}

/* FNV-1a from a random seed, mixed at the end, so that nobody can prepare colliding names. */
static uint64_t hash_name(const struct scan *s, struct span name) {
    struct json_string_reader reader;
    uint64_t hash = s->seed;
    json_string_reader_init(&reader, name);
    for (int c = json_string_reader_next(&reader); c >= 0; c = json_string_reader_next(&reader)) {
        hash = (hash ^ (uint64_t)c) * 0x100000001b3;
        hash ^= hash >> 29;
    }
    return hash ^ (hash >> 32);
}

static int by_hash(const void *a, const void *b) {
    const struct seen *x = a, *y = b;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static int refuse_twice(const struct scan *s, struct span name) {
    size_t shown = utf8_fit(name.data, name.len, 60);
    json_scan_fail(s, name.data, "the member \"%.*s\" is there twice", (int)shown, name.data);
    snprintf(s->err->field, sizeof s->err->field, "%.*s", (int)shown, name.data);
    return -1;
}

/* Finds equal names from `first` on: a few by comparing all, many by sorting hashes. */
static int check_names(struct scan *s, size_t first) {
    enum { FEW = 16 };
    size_t count = s->names_count - first;
    struct seen *names = s->names + first;
    if (count > FEW)
        qsort(names, count, sizeof *names, by_hash);
    for (size_t i = 1; i < count; i++) {
        for (size_t j = i; j-- > 0;) {
            if (count > FEW && names[j].hash != names[i].hash)
                break;
            if (names_equal(&names[i], &names[j]))
                return refuse_twice(s, names[i].name.data > names[j].name.data ? names[i].name
                                                                               : names[j].name);
        }
    }
    return 0;
}

static void push_name(struct scan *s, struct span name, bool escaped) {
    if (s->names_count == s->names_cap) {
        s->names_cap = s->names_cap ? s->names_cap * 2 : 32;
        s->names = mem_resize(s->names, s->names_cap * sizeof *s->names);
    }
    s->names[s->names_count++] = (struct seen){
        .hash = hash_name(s, name), .name = name, .escaped = escaped};
}

/* --- values */

static int scan_value(struct scan *s, enum json_kind *kind);

static size_t skip_digits(struct scan *s) {
    const char *begin = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return (size_t)(s->p - begin);
}

static int scan_number(struct scan *s) {
    json_scan_take(s, '-');
    const char *begin = s->p;
    size_t digits = skip_digits(s);
    if (digits == 0)
        return json_scan_fail(s, s->p, "a digit is expected");
    if (digits > 1 && *begin == '0')
        return json_scan_fail(s, begin, "a number must not begin with 0");
    if (json_scan_take(s, '.') && skip_digits(s) == 0)
        return json_scan_fail(s, s->p, "a digit must follow the decimal point");
    if (json_scan_take(s, 'e') || json_scan_take(s, 'E')) {
        if (!json_scan_take(s, '+'))
            json_scan_take(s, '-');
        if (skip_digits(s) == 0)
            return json_scan_fail(s, s->p, "a digit is expected in the exponent");
    }
    return 0;
}

static int scan_word(struct scan *s, const char *word) {
    size_t len = strlen(word);
    if ((size_t)(s->end - s->p) < len || memcmp(s->p, word, len) != 0)
        return json_scan_fail(s, s->p, "a value is expected");
    s->p += len;
    return 0;
}

static int json_scan_enter(struct scan *s) {
    if (++s->depth > s->depth_max)
        return json_scan_fail(s, s->p - 1, "more than %d levels of arrays and objects",
                              s->depth_max);
    return 0;
}

static int note_member(struct scan *s, struct top *top, struct span name, struct span value,
                       enum json_kind kind) {
    if (!top || !top->members)
        return 0;
    if (top->members_count == top->members_max)
        return error_set(s->err, "more than %zu members", top->members_max);
    top->members[top->members_count++] = (struct json_member){name, value, kind};
    return 0;
}

static int scan_member(struct scan *s, struct top *top) {
    struct span name;
    bool escaped;
    enum json_kind kind;
    json_scan_skip_space(s);
    if (!json_scan_take(s, '"'))
        return json_scan_fail(s, s->p, "a member's name in double quotes is expected");
    if (scan_string(s, &name, &escaped))
        return -1;
    push_name(s, name, escaped);
    json_scan_skip_space(s);
    if (!json_scan_take(s, ':'))
        return json_scan_fail(s, s->p, "a colon is expected");
    json_scan_skip_space(s);
    const char *begin = s->p;
    if (scan_value(s, &kind))
        return -1;
    return note_member(s, top, name, (struct span){begin, (size_t)(s->p - begin)}, kind);
}

static int scan_object(struct scan *s) {
    struct top *top = s->top;
    size_t first = s->names_count;
    s->top = NULL;
    if (json_scan_enter(s))
        return -1;
    json_scan_skip_space(s);
    if (!json_scan_take(s, '}')) {
        do {
            if (scan_member(s, top))
                return -1;
            json_scan_skip_space(s);
        } while (json_scan_take(s, ','));
        if (!json_scan_take(s, '}'))
            return json_scan_fail(s, s->p, "a comma or } is expected");
    }
    if (check_names(s, first))
        return -1;
    s->names_count = first;
    s->depth--;
    return 0;
}

/* Scans an element of the outermost array, with its members if an object. */
static int scan_element(struct scan *s, const struct top *array, size_t index) {
    struct json_member members[JSON_ELEMENT_MEMBERS_MAX];
    struct top top = {.members = members, .members_max = JSON_ELEMENT_MEMBERS_MAX};
    struct json_element element = {.value.data = s->p, .members = members};
    s->top = &top;
    int result = scan_value(s, &element.kind);
    s->top = NULL;
    if (result)
        return -1;
    element.value.len = (size_t)(s->p - element.value.data);
    element.members_count = top.members_count;
    return array->take(array->arg, index, &element, s->err);
}

static int scan_array(struct scan *s) {
    struct top *top = s->top;
    enum json_kind kind;
    size_t index = 0;
    s->top = NULL;
    if (json_scan_enter(s))
        return -1;
    json_scan_skip_space(s);
    if (json_scan_take(s, ']')) {
        s->depth--;
        return 0;
    }
    do {
        json_scan_skip_space(s);
        if (top && top->take ? scan_element(s, top, index++) : scan_value(s, &kind))
            return -1;
        json_scan_skip_space(s);
    } while (json_scan_take(s, ','));
    s->depth--;
    return json_scan_take(s, ']') ? 0 : json_scan_fail(s, s->p, "a comma or ] is expected");
}

static int scan_value(struct scan *s, enum json_kind *kind) {
    struct span inner;
    bool escaped;
    if (s->p == s->end)
        return json_scan_fail(s, s->p, "the text ends where a value is expected");
    switch (*s->p) {
    case '{':
        *kind = JSON_IS_OBJECT;
        s->p++;
        return scan_object(s);
    case '[':
        *kind = JSON_IS_ARRAY;
        s->p++;
        return scan_array(s);
    case '"':
        *kind = JSON_IS_STRING;
        s->p++;
        return scan_string(s, &inner, &escaped);
    case 't':
        *kind = JSON_IS_BOOL;
        return scan_word(s, "true");
    case 'f':
        *kind = JSON_IS_BOOL;
        return scan_word(s, "false");
    case 'n':
        *kind = JSON_IS_NULL;
        return scan_word(s, "null");
    default:
        *kind = JSON_IS_NUMBER;
        return *s->p == '-' || (*s->p >= '0' && *s->p <= '9')
                   ? scan_number(s)
                   : json_scan_fail(s, s->p, "a value is expected");
    }
}

/* Takes the random bytes that the kernel gives each program: no state, no system call. Hashes them,
 * because the C library guards the stack with the same bytes. */
static uint64_t process_seed(void) {
    uint64_t hash[2];
    siphash128((const unsigned char *)(uintptr_t)getauxval(AT_RANDOM), "json_scan", 9, hash);
    return hash[0];
}

static int scan_text(struct span text, unsigned depth_max, struct top *top, enum json_kind *kind,
                     struct error *err) {
    const int begin = top && top->take ? -1 : 0; /* a batch's own brackets do not count */
    struct scan s = {text.data, text.data, text.data + text.len,  begin, (int)depth_max,
                     err,       top,       .seed = process_seed()};
    json_scan_skip_space(&s);
    int result = scan_value(&s, kind);
    json_scan_skip_space(&s);
    if (result == 0 && s.p != s.end)
        result = json_scan_fail(&s, s.p, "nothing may follow the value");
    free(s.names);
    return result;
}

int json_scan(struct span text, unsigned depth_max, struct error *err) {
    enum json_kind kind;
    return scan_text(text, depth_max, NULL, &kind, err);
}

int json_scan_object(struct span text, unsigned depth_max, struct json_member *members,
                     size_t members_max, size_t *members_count, struct error *err) {
    struct top top = {.members = members, .members_max = members_max};
    enum json_kind kind;
    *members_count = 0;
    if (scan_text(text, depth_max, &top, &kind, err))
        return -1;
    *members_count = top.members_count;
    return kind == JSON_IS_OBJECT ? 0 : error_set(err, "must be a JSON object");
}

const struct json_member *json_find_member(const struct json_member *members, size_t count,
                                           const char *name) {
    for (size_t i = 0; i < count; i++)
        if (span_equal(members[i].name, span_of(name)))
            return &members[i];
    return NULL;
}

int json_scan_array(struct span text, unsigned depth_max,
                    int (*take_element)(void *, size_t, const struct json_element *,
                                        struct error *),
                    void *arg, struct error *err) {
    struct top top = {.take = take_element, .arg = arg};
    enum json_kind kind;
    if (scan_text(text, depth_max, &top, &kind, err))
        return -1;
    return kind == JSON_IS_ARRAY ? 0 : error_set(err, "must be a JSON array");
}
