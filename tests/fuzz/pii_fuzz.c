/* The PII filter. The first byte says what the rest is: rules, applied to a fixed document; or a
 * document, to which fixed rules of paths are applied, or others that look into strings. What comes
 * out is valid JSON; of the paths a dropped one leads nowhere in it and a masked one to ***, as
 * json-c reads it, and filtered again it stays as it is. */
#include <json-c/json.h>

#include "common/json/json_scan.h"
#include "common/pii/pii.h"
#include "fuzz.h"

static const char by_path[] =
    "rules:\n"
    "- {name: drop, topics: ['*'], paths: ['ssn', 'a.b', 'c[*].d', 'e[*][*]'], action: drop}\n"
    "- {name: mask, topics: ['a.*'], paths: ['m', 'n.o'], action: mask}\n";
static const char by_look[] = "hash_key: 0123456789abcdef0123456789abcdef\n"
                              "rules:\n"
                              "- {name: mask, topics: ['*'], detect: [ssn, email], action: mask}\n"
                              "- {name: hash, topics: ['*'], detect: [phone], action: hash}\n"
                              "- {name: drop, topics: ['*'], detect: [card], action: drop}\n";
static const char document[] =
    "{\"ssn\":\"123-45-6789\",\"a\":[{\"b\":1},[{\"b\":{\"b\":2}}]],\"c\":[{\"d\":[]},{}],\"m\":"
    "\"x\","
    "\"n\":{\"o\":null},"
    "\"t\":\"mail jo@example.org or call 410-555-0100, card 4111 1111 1111 1111\"}";

static void check_path(struct json_object *value, const char *const *path, bool masked);

/* [*] where no array is: the value itself, and the members of an object. */
static void check_each(struct json_object *value, const char *const *path, bool masked) {
    check_path(value, path + 1, masked);
    if (!json_object_is_type(value, json_type_object))
        return;
    json_object_object_foreach(value, name, member) {
        (void)name;
        check_path(member, path + 1, masked);
    }
}

/* What stands between the quotes, or [*]; NULL ends it. A name looks into arrays that it meets. */
static void check_path(struct json_object *value, const char *const *path, bool masked) {
    struct json_object *member;
    if (!*path) {
        MUST(masked && json_object_is_type(value, json_type_string) &&
             strcmp(json_object_get_string(value), "***") == 0);
        return;
    }
    bool each = strcmp(*path, "[*]") == 0;
    if (json_object_is_type(value, json_type_array))
        for (size_t i = 0; i < json_object_array_length(value); i++)
            check_path(json_object_array_get_idx(value, i), path + each, masked);
    else if (each)
        check_each(value, path, masked);
    else if (json_object_is_type(value, json_type_object) &&
             json_object_object_get_ex(value, *path, &member))
        check_path(member, path + 1, masked);
}

static void check_paths(struct span text) {
    static const char *const dropped[][4] = {
        {"ssn"}, {"a", "b"}, {"c", "[*]", "d"}, {"e", "[*]", "[*]"}};
    static const char *const masked[][3] = {{"m"}, {"n", "o"}};
    struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 2);
    struct json_object *root = json_tokener_parse_ex(tokener, text.data, (int)text.len);
    for (size_t i = 0; i < 4; i++)
        check_path(root, dropped[i], false);
    for (size_t i = 0; i < 2; i++)
        check_path(root, masked[i], true);
    json_object_put(root);
    json_tokener_free(tokener);
}

static void told(void *arg, size_t rule, const char *path) {
    const struct pii *pii = arg;
    MUST(rule < pii_count(pii) && *pii_name(pii, rule) && path);
}

/* As a member's value stands: without white space around it. */
static struct span trimmed(struct span text) {
    while (text.len && memchr(" \t\r\n", *text.data, 4))
        text = (struct span){text.data + 1, text.len - 1};
    while (text.len && memchr(" \t\r\n", text.data[text.len - 1], 4))
        text.len--;
    return text;
}

static void check_document(struct span data, bool paths) {
    static struct pii *both[2];
    struct pii **pii = &both[paths];
    struct buf out = {0}, again = {0};
    struct error err;
    if (!*pii)
        *pii = pii_read(span_of(paths ? by_path : by_look), &err);
    MUST(*pii);
    if (json_scan(data, JSON_DEPTH_MAX, &err))
        return;
    bool filtered = pii_filter(*pii, span_of("a.x"), data, &out, told, *pii);
    struct span rest = filtered ? content(&out) : data;
    MUST(json_scan(rest, JSON_DEPTH_MAX, &err) == 0);
    if (paths)
        check_paths(rest);
    if (paths && pii_filter(*pii, span_of("a.x"), rest, &again, told, *pii))
        MUST(span_equal(content(&again), rest));
    buf_fini(&out);
    buf_fini(&again);
}

static void check_rules(struct span text) {
    struct buf out = {0};
    struct error err;
    struct pii *pii = pii_read(text, &err);
    if (!pii) {
        MUST(err.message[strspn(err.message, "0123456789")] == ':');
        return;
    }
    if (pii_filter(pii, span_of("a.x"), span_of(document), &out, told, pii))
        MUST(json_scan(content(&out), JSON_DEPTH_MAX, &err) == 0);
    buf_fini(&out);
    pii_free(pii);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    if (data[0] == 'r')
        check_rules(bytes(data + 1, size - 1));
    else
        check_document(trimmed(bytes(data + 1, size - 1)), data[0] == 'd');
    return 0;
}
