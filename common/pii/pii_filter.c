/* Applies the PII rules; see pii.h. One pass per rule over valid JSON. Writes nothing before the
 * first change, and copies the bytes between changes. */
#include <openssl/hmac.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/base/hex.h"
#include "common/json/json_scan.h"
#include "common/json/json_walk.h"
#include "common/model/pattern.h"
#include "common/pii/detect.h"
#include "common/pii/pii_internal.h"

enum { LEVELS = JSON_DEPTH_MAX + 1, NAME_SHOWN_MAX = 64, DIGITS_SHOWN_MAX = 4 };

/* How far each path of the rule matches at one level: a bit per number of segments that may be
 * matched. */
struct fit {
    uint64_t at[PII_PATHS_MAX];
};

/* A step on the way down, for reporting positions. */
struct step {
    struct span name; /* data NULL: an element */
    size_t index;
};

struct walk {
    const struct pii *pii;
    const struct pii_rule *rule;
    size_t rule_number;
    const char *p, *end;
    const char *copied; /* before here, all is in `out` or dropped */
    struct buf *out;
    bool changed;
    struct step steps[LEVELS];
    size_t depth;
    void (*told)(void *arg, size_t rule, const char *path);
    void *arg;
};

/* --- skipping over valid JSON */

static void pii_filter_skip_space(struct walk *w) {
    while (w->p < w->end && (*w->p == ' ' || *w->p == '\n' || *w->p == '\r' || *w->p == '\t'))
        w->p++;
}

/* Skips the value or the name at w->p. */
static void skip_value(struct walk *w) {
    w->p += json_walk_value((struct span){w->p, (size_t)(w->end - w->p)}).len;
}

/* --- changes */

static void pii_filter_cut(struct walk *w, const char *from, const char *to) {
    buf_append(w->out, w->copied, (size_t)(from - w->copied));
    w->copied = to;
    w->changed = true;
}

static void tell_path(const struct walk *w, const struct pii_path *path) {
    w->told(w->arg, w->rule_number, path->text);
}

/* Whether a name is plain and not a number; any other name may be personal data. */
static bool may_be_shown(struct span name) {
    size_t digits = 0;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool digit = c >= '0' && c <= '9';
        digits += digit;
        if (!digit && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '_' && c != '-')
            return false;
    }
    return name.len <= NAME_SHOWN_MAX && digits <= DIGITS_SHOWN_MAX;
}

static void tell_place(const struct walk *w) {
    struct buf path = {0};
    for (size_t i = 0; i < w->depth; i++) {
        const struct step *s = &w->steps[i];
        if (!s->name.data)
            buf_printf(&path, "[%zu]", s->index);
        else if (may_be_shown(s->name))
            buf_printf(&path, "%s%.*s", path.len ? "." : "", (int)s->name.len, s->name.data);
        else
            buf_puts(&path, path.len ? ".?" : "?");
    }
    w->told(w->arg, w->rule_number, buf_string(&path));
    buf_fini(&path);
}

static void put_hash(struct walk *w, const char *text, size_t len) {
    unsigned char mac[EVP_MAX_MD_SIZE];
    char hex[2 * sizeof mac + 1];
    unsigned mac_len = 0;
    const char *key = w->pii->hash_key;
    if (!HMAC(EVP_sha256(), key, (int)strlen(key), (const unsigned char *)text, len, mac, &mac_len))
        abort();
    hex_put(mac, mac_len, hex);
    buf_puts(w->out, hex);
}

/* The text of a string, escapes resolved, with a map from each byte to its position in the raw
 * string. Without escapes, the raw string and no map. */
struct text {
    struct span span;
    char *own;
    uint32_t *map;
};

static void text_init(struct text *t, struct span inner) {
    struct json_string_reader reader;
    size_t len = 0;
    *t = (struct text){.span = inner};
    if (!memchr(inner.data, '\\', inner.len))
        return;
    t->own = mem_alloc(inner.len);
    t->map = mem_alloc((inner.len + 1) * sizeof *t->map);
    json_string_reader_init(&reader, inner);
    for (;;) {
        bool continues = reader.rest_at != reader.rest_count; /* a further byte of an escape */
        t->map[len] = continues ? t->map[len - 1] : (uint32_t)(reader.at - inner.data);
        int c = json_string_reader_next(&reader);
        if (c < 0)
            break;
        t->own[len++] = (char)c;
    }
    t->span = (struct span){t->own, len};
}

static void text_fini(struct text *t) {
    free(t->own);
    free(t->map);
}

/* Replaces the whole value matched by a path. */
static void replace_value(struct walk *w, const char *begin) {
    pii_filter_cut(w, begin, w->p);
    if (w->rule->action == PII_MASK) {
        buf_puts(w->out, "\"***\"");
        return;
    }
    buf_puts(w->out, "\"");
    if (*begin == '"') {
        struct text text;
        text_init(&text, (struct span){begin + 1, (size_t)(w->p - begin) - 2});
        put_hash(w, text.span.data, text.span.len);
        text_fini(&text);
    } else {
        put_hash(w, begin, (size_t)(w->p - begin));
    }
    buf_puts(w->out, "\"");
}

/* Whether a number is a card: 13 to 19 digits before any fraction, with a valid Luhn sum. */
static bool is_card(const struct walk *w, const char *begin, const char *end) {
    struct detect detect;
    size_t from, to;
    begin += *begin == '-';
    const struct span text = {begin, (size_t)(end - begin)};
    if (!(w->rule->kinds & 1U << DETECT_CARD) || text.len < DETECT_CARD_DIGITS_MIN ||
        !(*begin >= '0' && *begin <= '9'))
        return false;
    detect_init(&detect, text, 1U << DETECT_CARD);
    return detect_next(&detect, 0, &from, &to) && from == 0;
}

/* Replaces each match in a string. */
static void replace_matches(struct walk *w, const char *begin) {
    struct text text;
    struct detect detect;
    size_t from, to, at = 0;
    const char *inner = begin + 1;
    text_init(&text, (struct span){inner, (size_t)(w->p - begin) - 2});
    detect_init(&detect, text.span, w->rule->kinds);
    for (; detect_next(&detect, at, &from, &to); at = to) {
        pii_filter_cut(w, inner + (text.map ? text.map[from] : from),
                       inner + (text.map ? text.map[to] : to));
        if (w->rule->action == PII_MASK)
            buf_puts(w->out, "***");
        else
            put_hash(w, text.span.data + from, to - from);
        tell_place(w);
    }
    text_fini(&text);
}

static bool string_has_match(const struct walk *w, const char *begin, const char *end) {
    struct text text;
    struct detect detect;
    size_t from, to;
    text_init(&text, (struct span){begin + 1, (size_t)(end - begin) - 2});
    detect_init(&detect, text.span, w->rule->kinds);
    bool found = detect_next(&detect, 0, &from, &to);
    text_fini(&text);
    return found;
}

/* Whether a string or a number has a match. */
static bool has_match(const struct walk *w, const char *begin, const char *end) {
    return *begin == '"' ? string_has_match(w, begin, end) : is_card(w, begin, end);
}

/* --- matching paths */

static bool name_is(struct span name, struct span wanted) {
    struct json_string_reader reader;
    if (!memchr(name.data, '\\', name.len))
        return span_equal(name, wanted);
    json_string_reader_init(&reader, name);
    for (size_t i = 0; i < wanted.len; i++)
        if (json_string_reader_next(&reader) != (unsigned char)wanted.data[i])
            return false;
    return json_string_reader_next(&reader) < 0;
}

/* Takes the lowest bit out of `bits`. */
static size_t next_bit(uint64_t *bits) {
    size_t bit = (size_t)__builtin_ctzll(*bits);
    *bits &= *bits - 1;
    return bit;
}

/* Advances a path from `above` to a member, or to an element (name.data NULL). */
static uint64_t descend_path(const struct pii_path *path, uint64_t above, struct span name) {
    uint64_t below = 0;
    while (above) {
        size_t at = next_bit(&above);
        struct span wanted = at < path->segments_count ? path->segments[at].name
                                                       : (struct span){"", 0};
        if (at == path->segments_count)
            continue;
        if (!name.data) /* a name looks into arrays */
            below |= UINT64_C(1) << (wanted.data ? at : at + 1);
        else if (!wanted.data || name_is(name, wanted))
            below |= UINT64_C(1) << (at + 1);
    }
    return below;
}

/* Treats a value in place of an array as the only element. */
static uint64_t as_element(const struct pii_path *path, uint64_t bits) {
    for (size_t at = 0; at < path->segments_count; at++)
        if (bits >> at & 1 && !path->segments[at].name.data)
            bits |= UINT64_C(1) << (at + 1);
    return bits;
}

/* Computes the fit of a member or element (name.data NULL) below `above`, whose value begins with
 * `first`. Returns whether any path continues. */
static bool pii_filter_descend(const struct walk *w, const struct fit *above, struct span name,
                               char first, struct fit *below) {
    uint64_t any = 0;
    for (size_t i = 0; i < w->rule->paths_count; i++) {
        const struct pii_path *path = &w->rule->paths[i];
        uint64_t bits = descend_path(path, above->at[i], name);
        below->at[i] = first == '[' ? bits : as_element(path, bits);
        any |= bits;
    }
    return any;
}

/* The fully matched path, or NULL. */
static const struct pii_path *pii_filter_fitting(const struct walk *w, const struct fit *fit) {
    for (size_t i = 0; i < w->rule->paths_count; i++)
        if (fit->at[i] >> w->rule->paths[i].segments_count & 1)
            return &w->rule->paths[i];
    return NULL;
}

/* --- the walk */

static void walk_value(struct walk *w, const struct fit *fit);

/* Whether the value at w->p is to be dropped. If so, skips and reports the value. */
static bool pii_filter_drops(struct walk *w, const struct fit *fit) {
    const char *begin = w->p;
    const struct pii_path *path = pii_filter_fitting(w, fit);
    if (w->rule->action != PII_DROP ||
        (!path && (!w->rule->kinds || *begin == '{' || *begin == '[')))
        return false;
    skip_value(w);
    if (path) {
        tell_path(w, path);
        return true;
    }
    if (has_match(w, begin, w->p)) {
        tell_place(w);
        return true;
    }
    w->p = begin;
    return false;
}

/* The dropped children of a container so far. */
struct children {
    const char *first; /* where the first child begins */
    const char *end;   /* where the last child ends */
    /* A child stays: later drops take the comma before the child. */
    bool kept;
    /* A child was dropped and none stays: that drop took the comma after the child. */
    bool dropped;
};

/* Whether a member goes for a match in its name. With mask too: two masked names would be equal. */
static bool drops_name(struct walk *w, const char *begin) {
    const char *end = begin + w->steps[w->depth - 1].name.len + 2;
    if (!w->rule->kinds || *begin != '"' || !w->steps[w->depth - 1].name.data ||
        !string_has_match(w, begin, end))
        return false;
    if (w->rule->action == PII_HASH) {
        const char *value = w->p;
        w->p = end;
        replace_matches(w, begin);
        w->p = value;
        return false;
    }
    skip_value(w);
    tell_place(w);
    return true;
}

/* Walks a child that begins at `begin`, with its value at w->p. `fit` NULL: nothing inside is to be
 * filtered. */
static void walk_child(struct walk *w, struct children *c, const char *begin,
                       const struct fit *fit) {
    if (!c->first)
        c->first = begin;
    if (fit && (drops_name(w, begin) || pii_filter_drops(w, fit))) {
        if (c->kept)
            pii_filter_cut(w, c->end, w->p);
        c->dropped = !c->kept;
    } else {
        if (c->dropped)
            pii_filter_cut(w, c->first, begin);
        if (fit)
            walk_value(w, fit);
        else
            skip_value(w);
        c->kept = true;
        c->dropped = false;
    }
    c->end = w->p;
}

static void walk_children(struct walk *w, const struct fit *fit, bool object) {
    struct children c = {.first = NULL};
    struct step *step = &w->steps[w->depth++];
    char close = object ? '}' : ']';
    struct fit below;
    *step = (struct step){.index = 0};
    w->p++;
    pii_filter_skip_space(w);
    while (*w->p != close) {
        const char *begin = w->p;
        if (object) {
            skip_value(w);
            step->name = (struct span){begin + 1, (size_t)(w->p - begin) - 2};
            pii_filter_skip_space(w);
            w->p++; /* the colon */
            pii_filter_skip_space(w);
        }
        bool alive = pii_filter_descend(w, fit, step->name, *w->p, &below) || w->rule->kinds;
        walk_child(w, &c, begin, alive ? &below : NULL);
        step->index++;
        pii_filter_skip_space(w);
        w->p += *w->p == ',';
        pii_filter_skip_space(w);
    }
    if (c.dropped)
        pii_filter_cut(w, c.first, c.end);
    w->p++;
    w->depth--;
}

static void walk_value(struct walk *w, const struct fit *fit) {
    const char *begin = w->p;
    const struct pii_path *path = pii_filter_fitting(w, fit);
    if (path) {
        skip_value(w);
        replace_value(w, begin);
        tell_path(w, path);
    } else if (*begin == '{' || *begin == '[') {
        walk_children(w, fit, *begin == '{');
    } else {
        skip_value(w);
        if (w->rule->kinds && *begin == '"')
            replace_matches(w, begin);
        else if (is_card(w, begin, w->p)) {
            replace_value(w, begin);
            tell_place(w);
        }
    }
}

/* --- rules */

static bool pii_filter_applies(const struct pii_rule *rule, struct span topic) {
    for (size_t i = 0; i < rule->topics_count; i++)
        if (pattern_matches(span_of(rule->topics[i]), topic))
            return true;
    return false;
}

static void walk_data(struct walk *w) {
    struct fit begin;
    pii_filter_skip_space(w);
    const char *data = w->p;
    for (size_t i = 0; i < w->rule->paths_count; i++)
        begin.at[i] = *data == '[' ? 1 : as_element(&w->rule->paths[i], 1);
    if (!pii_filter_drops(w, &begin)) {
        walk_value(w, &begin);
    } else { /* an event always has data */
        pii_filter_cut(w, data, w->p);
        buf_puts(w->out, "null");
    }
}

bool pii_filter(const struct pii *pii, struct span topic, struct span data, struct buf *out,
                void (*told)(void *arg, size_t rule, const char *path), void *arg) {
    struct buf made = {0};
    bool changed = false;
    for (size_t i = 0; i < pii->rules_count; i++) {
        if (!pii_filter_applies(&pii->rules[i], topic))
            continue;
        struct walk w = {.pii = pii,
                         .rule = &pii->rules[i],
                         .rule_number = i,
                         .out = &made,
                         .told = told,
                         .arg = arg};
        w.p = w.copied = data.data;
        w.end = data.data + data.len;
        walk_data(&w);
        if (!w.changed)
            continue;
        buf_append(&made, w.copied, (size_t)(w.end - w.copied));
        struct buf before = *out;
        *out = made;
        made = before;
        buf_clear(&made);
        data = (struct span){out->data, out->len};
        changed = true;
    }
    buf_fini(&made);
    return changed;
}
