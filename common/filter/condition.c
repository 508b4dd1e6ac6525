/* Conditions; see condition.h. A condition compares the value with one operand, except
 * anything-but, which holds when none of its conditions does, and numeric, which has two bounds.
 * The cost is linear in the value's length for any operands. */
#include "common/filter/condition.h"

#include <stdlib.h>

#include <utlist.h>

#include "common/base/buf.h"
#include "common/filter/case_fold.h"
#include "common/json/decimal.h"
#include "common/json/json_string.h"
#include "common/json/json_walk.h"
#include "common/net/address.h"

enum condition_kind {
    CONDITION_STRING,
    CONDITION_LITERAL, /* true, false, null */
    CONDITION_NUMERIC,
    CONDITION_PREFIX,
    CONDITION_SUFFIX,
    CONDITION_IGNORE_CASE,
    CONDITION_PREFIX_IGNORE_CASE,
    CONDITION_SUFFIX_IGNORE_CASE,
    CONDITION_WILDCARD,
    CONDITION_CIDR,
    CONDITION_PRESENT,
    CONDITION_ABSENT,
    CONDITION_NONE_OF, /* anything-but */
};

struct bound {
    bool given, open; /* open: the bound itself is outside */
    struct decimal decimal;
};

struct condition {
    enum condition_kind kind;
    char *text; /* operand, unescaped */
    size_t len;
    struct span *parts; /* wildcard: the parts around the stars */
    size_t parts_count;
    struct bound low, high;
    struct cidr cidr; /* also for a string that is an address */
    bool has_cidr;    /* such a string */
    bool is_ipv4;
    locale_t locale; /* for the three ignoring case */
    struct condition *none_of;
    struct condition *next; /* of none_of */
};

static const char known[] = "known are exactly, prefix, suffix, equals-ignore-case, wildcard, "
                            "anything-but, numeric, cidr and exists";

static struct span condition_text(const struct condition *c) {
    return (struct span){c->text, c->len};
}

void condition_free(struct condition *condition) {
    struct condition *c, *next;
    if (!condition)
        return;
    LL_FOREACH_SAFE(condition->none_of, c, next) {
        condition_free(c);
    }
    if (condition->locale)
        freelocale(condition->locale);
    free(condition->parts);
    free(condition->text);
    free(condition);
}

/* --- reading */

static bool condition_is(struct span name, const char *word) {
    return span_equal(name, span_of(word));
}

static int condition_take_text(struct condition *c, struct span json, struct error *err) {
    if (json.len < 2 || json.data[0] != '"')
        return error_set(err, "the operand must be a string");
    c->text = mem_alloc(json.len);
    c->len = (size_t)json_unescape(json, c->text, json.len);
    return 0;
}

/* A string that is an IP address equals every spelling of the address. */
static void condition_note_address(struct condition *c) {
    struct error err;
    c->has_cidr = !memchr(c->text, 0, c->len) && !strchr(c->text, '/') &&
                  cidr_parse(c->text, &c->cidr, &err) == 0;
    c->is_ipv4 = !strchr(c->text, ':');
}

static int condition_take_cidr(struct condition *c, struct span json, struct error *err) {
    if (condition_take_text(c, json, err))
        return -1;
    if (memchr(c->text, 0, c->len) || !strchr(c->text, '/'))
        return error_set(err, "cidr takes a range such as 10.1.0.0/16");
    c->is_ipv4 = !strchr(c->text, ':');
    return cidr_parse(c->text, &c->cidr, err);
}

/* Splits the pattern at its stars, in place: \* and \\ are the characters themselves. */
static int condition_split_wildcard(struct condition *c, struct error *err) {
    char *out = c->text, *begin = c->text;
    const char *at = c->text, *end = c->text + c->len;
    c->parts = mem_zero((c->len + 1) * sizeof *c->parts);
    for (; at < end; at++) {
        if (*at == '*') {
            if (at > c->text && begin == out && c->parts_count)
                return error_set(err, "wildcard: two * in a row");
            c->parts[c->parts_count++] = (struct span){begin, (size_t)(out - begin)};
            begin = out;
            continue;
        }
        if (*at == '\\' && (++at == end || (*at != '*' && *at != '\\')))
            return error_set(err, "wildcard: a \\ must stand before * or \\");
        *out++ = *at;
    }
    c->parts[c->parts_count++] = (struct span){begin, (size_t)(out - begin)};
    return 0;
}

static int condition_take_wildcard(struct condition *c, struct span json, struct error *err) {
    return condition_take_text(c, json, err) ? -1 : condition_split_wildcard(c, err);
}

static int condition_take_ignoring_case(struct condition *c, struct span json, struct error *err) {
    c->locale = case_fold_locale();
    return condition_take_text(c, json, err);
}

/* Reads prefix or suffix: a string, or {"equals-ignore-case": a string}. */
static int condition_take_affix(struct condition *c, struct span json,
                                enum condition_kind ignoring_case, struct error *err) {
    struct json_walk walk;
    struct span name, value, more;
    json_walk_init(&walk, json);
    if (json.data[0] != '{')
        return condition_take_text(c, json, err);
    if (!json_walk_member(&walk, &name, &value) || !condition_is(name, "equals-ignore-case") ||
        json_walk_member(&walk, &name, &more))
        return error_set(err, "the operand must be a string or {\"equals-ignore-case\": …}");
    c->kind = ignoring_case;
    return condition_take_ignoring_case(c, value, err);
}

static int condition_take_number(struct bound *bound, struct span json, struct error *err) {
    bound->given = true;
    return decimal_parse(json, &bound->decimal)
               ? 0
               : error_set(err, "'%.*s' must be a number", (int)(json.len < 40 ? json.len : 40),
                           json.data);
}

/* Reads one operator of numeric with its number. */
static int condition_take_bound(struct condition *c, struct span op, struct span number,
                                struct error *err) {
    bool equal = condition_is(op, "\"=\""), below = op.len > 1 && op.data[1] == '<',
         above = op.len > 1 && op.data[1] == '>', closed = op.len == 4 && op.data[2] == '=';
    struct bound *bound = below ? &c->high : &c->low;
    if (!equal && !((below || above) && (op.len == 3 || closed)))
        return error_set(err, "numeric: %.*s must be one of \"=\", \"<\", \"<=\", \">\", \">=\"",
                         (int)(op.len < 40 ? op.len : 40), op.data);
    if (bound->given || c->high.given)
        return error_set(err, "numeric: at most a lower bound and then an upper one");
    if (condition_take_number(bound, number, err))
        return -1;
    bound->open = !equal && !closed;
    if (equal)
        c->high = c->low;
    return 0;
}

static int condition_take_numeric(struct condition *c, struct span json, struct error *err) {
    struct json_walk walk;
    struct span op, number;
    json_walk_init(&walk, json);
    if (json.data[0] != '[' || !json_walk_element(&walk, &op))
        return error_set(err, "numeric takes a list such as [\">\", 0, \"<=\", 5]");
    do {
        if (!json_walk_element(&walk, &number))
            return error_set(err, "numeric: a number is missing after %.*s", (int)op.len, op.data);
        if (condition_take_bound(c, op, number, err))
            return -1;
    } while (json_walk_element(&walk, &op));
    int order = c->low.given && c->high.given ? decimal_compare(&c->low.decimal, &c->high.decimal)
                                              : -1;
    if (order > 0 || (order == 0 && (c->low.open || c->high.open)))
        return error_set(err, "numeric: no number is within these bounds");
    return 0;
}

static int condition_take_exists(struct condition *c, struct span json, struct error *err) {
    if (!condition_is(json, "true") && !condition_is(json, "false"))
        return error_set(err, "exists takes true or false");
    c->kind = json.data[0] == 't' ? CONDITION_PRESENT : CONDITION_ABSENT;
    return 0;
}

static int condition_take(struct condition *c, struct span json, size_t *count, struct error *err);

/* Reads one value of anything-but; `op` is prefix, suffix, equals-ignore-case, wildcard, or
 * empty. */
static int condition_exclude(struct condition *c, struct span op, struct span value, size_t *count,
                             struct error *err) {
    struct condition *excluded = mem_zero(sizeof *excluded);
    LL_PREPEND(c->none_of, excluded);
    bool text = value.data[0] == '"',
         number = value.data[0] == '-' || (value.data[0] >= '0' && value.data[0] <= '9');
    if (!text && (op.len || !number))
        return error_set(err, "anything-but takes strings%s", op.len ? "" : " or numbers");
    if (op.len == 0) {
        int result = condition_take(excluded, value, count, err);
        excluded->has_cidr = false; /* event-ruler excludes this spelling of an address alone */
        return result;
    }
    ++*count;
    excluded->kind = condition_is(op, "prefix")     ? CONDITION_PREFIX
                     : condition_is(op, "suffix")   ? CONDITION_SUFFIX
                     : condition_is(op, "wildcard") ? CONDITION_WILDCARD
                                                    : CONDITION_IGNORE_CASE;
    if (excluded->kind == CONDITION_WILDCARD)
        return condition_take_wildcard(excluded, value, err);
    if (excluded->kind == CONDITION_IGNORE_CASE)
        return condition_take_ignoring_case(excluded, value, err);
    return condition_take_text(excluded, value, err) ? -1
           : excluded->len == 0 ? error_set(err, "anything-but: an empty prefix or suffix")
                                : 0;
}

static int condition_exclude_list(struct condition *c, struct span op, struct span list,
                                  size_t *count, struct error *err) {
    struct json_walk walk;
    struct span value;
    char first = 0;
    json_walk_init(&walk, list);
    while (json_walk_element(&walk, &value)) {
        char kind = value.data[0] == '"' ? '"' : '0';
        if (first && kind != first)
            return error_set(err, "anything-but: strings and numbers in one list");
        first = kind;
        if (condition_exclude(c, op, value, count, err))
            return -1;
    }
    return first ? 0 : error_set(err, "anything-but: an empty list");
}

static int condition_take_anything_but(struct condition *c, struct span json, size_t *count,
                                       struct error *err) {
    static const char *const ops[] = {"prefix", "suffix", "equals-ignore-case", "wildcard"};
    struct span op = {0}, value = json, more;
    struct json_walk walk;
    bool ok = json.data[0] != '{';
    if (!ok) {
        json_walk_init(&walk, json);
        if (json_walk_member(&walk, &op, &value))
            for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
                ok |= condition_is(op, ops[i]);
        if (!ok || json_walk_member(&walk, &more, &more))
            return error_set(err, "anything-but takes values, or one of prefix, suffix, "
                                  "equals-ignore-case and wildcard");
    }
    return value.data[0] == '[' ? condition_exclude_list(c, op, value, count, err)
                                : condition_exclude(c, op, value, count, err);
}

static int condition_take_operator(struct condition *c, struct span op, struct span operand,
                                   size_t *count, struct error *err) {
    static const struct {
        const char *name;
        enum condition_kind kind;
    } operators[] = {
        {"exactly", CONDITION_STRING},    {"prefix", CONDITION_PREFIX},
        {"suffix", CONDITION_SUFFIX},     {"equals-ignore-case", CONDITION_IGNORE_CASE},
        {"wildcard", CONDITION_WILDCARD}, {"anything-but", CONDITION_NONE_OF},
        {"numeric", CONDITION_NUMERIC},   {"cidr", CONDITION_CIDR},
        {"exists", CONDITION_PRESENT}};
    size_t i = 0, n = sizeof operators / sizeof *operators;
    while (i < n && !condition_is(op, operators[i].name))
        i++;
    if (i == n)
        return error_set(err, "unknown operator '%.*s': %s", (int)(op.len < 40 ? op.len : 40),
                         op.data, known);
    c->kind = operators[i].kind;
    switch (c->kind) {
    case CONDITION_PREFIX:
        return condition_take_affix(c, operand, CONDITION_PREFIX_IGNORE_CASE, err);
    case CONDITION_SUFFIX:
        return condition_take_affix(c, operand, CONDITION_SUFFIX_IGNORE_CASE, err);
    case CONDITION_IGNORE_CASE:
        return condition_take_ignoring_case(c, operand, err);
    case CONDITION_WILDCARD:
        return condition_take_wildcard(c, operand, err);
    case CONDITION_NONE_OF:
        --*count;
        return condition_take_anything_but(c, operand, count, err);
    case CONDITION_NUMERIC:
        return condition_take_numeric(c, operand, err);
    case CONDITION_CIDR:
        return condition_take_cidr(c, operand, err);
    case CONDITION_PRESENT:
        return condition_take_exists(c, operand, err);
    default:
        return condition_take_text(c, operand, err);
    }
}

static int condition_take_object(struct condition *c, struct span json, size_t *count,
                                 struct error *err) {
    struct json_walk walk;
    struct span op, operand, more;
    json_walk_init(&walk, json);
    if (!json_walk_member(&walk, &op, &operand))
        return error_set(err, "an operator is missing: %s", known);
    if (condition_take_operator(c, op, operand, count, err))
        return -1;
    return json_walk_member(&walk, &more, &more) ? error_set(err, "one operator in an object only")
                                                 : 0;
}

static int condition_take(struct condition *c, struct span json, size_t *count, struct error *err) {
    ++*count;
    switch (json.data[0]) {
    case '{':
        return condition_take_object(c, json, count, err);
    case '[':
        return error_set(err, "a list inside of a list");
    case '"':
        c->kind = CONDITION_STRING;
        if (condition_take_text(c, json, err))
            return -1;
        condition_note_address(c);
        return 0;
    case 't':
    case 'f':
    case 'n':
        c->kind = CONDITION_LITERAL;
        c->text = mem_copy_string(json.data, json.len);
        c->len = json.len;
        return 0;
    default:
        c->kind = CONDITION_NUMERIC;
        if (condition_take_number(&c->low, json, err))
            return -1;
        c->high = c->low;
        return 0;
    }
}

struct condition *condition_new(struct span json, size_t *count, struct error *err) {
    struct condition *c = mem_zero(sizeof *c);
    if (condition_take(c, json, count, err) == 0)
        return c;
    condition_free(c);
    return NULL;
}

/* --- judging */

bool condition_wants_absence(const struct condition *condition) {
    return condition->kind == CONDITION_ABSENT;
}

bool condition_wants_string(const struct condition *c) {
    return c->kind == CONDITION_STRING ||
           (c->kind >= CONDITION_PREFIX && c->kind <= CONDITION_CIDR);
}

static bool condition_begins(struct span text, struct span prefix) {
    return text.len >= prefix.len && memcmp(text.data, prefix.data, prefix.len) == 0;
}

static bool condition_ends(struct span text, struct span suffix) {
    return text.len >= suffix.len &&
           memcmp(text.data + text.len - suffix.len, suffix.data, suffix.len) == 0;
}

/* The first part begins the text, the last part ends it, and each part between follows the part
 * before. */
static bool condition_matches_wildcard(const struct condition *c, struct span text) {
    struct span first = c->parts[0], last = c->parts[c->parts_count - 1];
    if (c->parts_count == 1)
        return span_equal(text, first);
    if (text.len < first.len + last.len || !condition_begins(text, first) ||
        !condition_ends(text, last))
        return false;
    const char *at = text.data + first.len, *end = text.data + text.len - last.len;
    for (size_t i = 1; i + 1 < c->parts_count; i++) {
        struct span part = c->parts[i];
        const char *found = memmem(at, (size_t)(end - at), part.data, part.len);
        if (!found)
            return false;
        at = found + part.len;
    }
    return true;
}

/* Whether the text is an address of the family, within the range. */
static bool condition_contains(const struct condition *c, struct span text) {
    char copy[64];
    struct cidr address;
    struct error err;
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.data, '/', text.len) ||
        memchr(text.data, 0, text.len) || c->is_ipv4 != !memchr(text.data, ':', text.len))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    if (copy[0] > 'f' || cidr_parse(copy, &address, &err))
        return false;
    return cidr_contains(&c->cidr, &address);
}

static bool condition_within(const struct condition *c, struct span text) {
    struct decimal number;
    if (!decimal_parse(text, &number))
        return false;
    int low = c->low.given ? decimal_compare(&number, &c->low.decimal) : 1,
        high = c->high.given ? decimal_compare(&number, &c->high.decimal) : -1;
    return (low > 0 || (low == 0 && !c->low.open)) && (high < 0 || (high == 0 && !c->high.open));
}

static bool condition_holds_for_none(const struct condition *c,
                                     const struct condition_value *value) {
    for (const struct condition *one = c->none_of; one; one = one->next)
        if (condition_holds(one, value))
            return false;
    return true;
}

static bool condition_holds_for_string(const struct condition *c, struct span text) {
    switch (c->kind) {
    case CONDITION_STRING:
        return span_equal(text, condition_text(c)) || (c->has_cidr && condition_contains(c, text));
    case CONDITION_PREFIX:
        return condition_begins(text, condition_text(c));
    case CONDITION_SUFFIX:
        return condition_ends(text, condition_text(c));
    case CONDITION_IGNORE_CASE:
        return case_fold_equal(text, condition_text(c), c->locale);
    case CONDITION_PREFIX_IGNORE_CASE:
        return case_fold_begins(text, condition_text(c), c->locale);
    case CONDITION_SUFFIX_IGNORE_CASE:
        return case_fold_ends(text, condition_text(c), c->locale);
    case CONDITION_WILDCARD:
        return condition_matches_wildcard(c, text);
    case CONDITION_CIDR:
        return condition_contains(c, text);
    default:
        return false;
    }
}

bool condition_holds(const struct condition *condition, const struct condition_value *value) {
    if (condition->kind == CONDITION_PRESENT)
        return true;
    if (condition->kind == CONDITION_NONE_OF)
        return condition_holds_for_none(condition, value);
    if (value->is_string)
        return condition_holds_for_string(condition, value->text);
    if (condition->kind == CONDITION_LITERAL)
        return span_equal(value->text, condition_text(condition));
    return condition->kind == CONDITION_NUMERIC && condition_within(condition, value->text);
}
