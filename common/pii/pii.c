/* Reads the rules of the PII filter; see pii.h. */
#include "common/pii/pii.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/names.h"
#include "common/json/yaml.h"
#include "common/model/pattern.h"
#include "common/pii/detect.h"
#include "common/pii/pii_internal.h"

enum { DEPTH_MAX = 5, TOPICS_MAX = 100 };

/* A rule's position in the file. */
struct place {
    size_t rule;
    struct error *err;
};

/* "rules[3].action", or "rules[3].paths[1]" for an item of a list. */
static int pii_blame(const struct place *at, const char *field, int item, const char *reason) {
    char path[96];
    snprintf(path, sizeof path, item < 0 ? "rules[%zu]%s%.40s" : "rules[%zu]%s%.40s[%d]", at->rule,
             *field ? "." : "", field, item);
    return error_set_field(at->err, path, "%s", reason);
}

static const char *pii_text_of(struct json_object *value) {
    return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

/* --- paths */

static bool name_character(char c) { return c && !strchr(".[]\"* ", c); }

static int pii_segment(struct pii_path *path, const char **at, struct error *err) {
    const char *p = *at;
    struct pii_segment *s = &path->segments[path->segments_count];
    if (path->segments_count == PII_SEGMENTS_MAX)
        return error_set(err, "a path has at most %d names and [*]", PII_SEGMENTS_MAX);
    if (strncmp(p, "[*]", 3) == 0) {
        s->name = (struct span){NULL, 0};
        *at = p + 3;
    } else if (strncmp(p, "[\"", 2) == 0) {
        const char *end = strstr(p, "\"]");
        if (!end || end == p + 1)
            return error_set(err, "[\" must end with \"]");
        s->name = (struct span){p + 2, (size_t)(end - p) - 2};
        *at = end + 2;
    } else {
        p += *p == '.' && path->segments_count > 0;
        s->name.data = p;
        while (name_character(*p))
            p++;
        s->name.len = (size_t)(p - s->name.data);
        if (s->name.len == 0)
            return error_set(err, "must be names with dots between, and [*] for the elements of an "
                                  "array, such as patients[*].dob");
        *at = p;
    }
    path->segments_count++;
    return 0;
}

int pii_path_parse(struct pii_path *path, struct error *err) {
    const char *at = path->text;
    path->segments_count = 0;
    do {
        if (pii_segment(path, &at, err))
            return -1;
        if (*at && *at != '.' && *at != '[')
            return error_set(err, "must be names with dots between, and [*] for the elements of an "
                                  "array, such as patients[*].dob");
    } while (*at);
    return 0;
}

/* --- a rule's fields */

static int pii_take_name(struct pii *pii, struct pii_rule *rule, struct json_object *value,
                         const struct place *at) {
    const char *text = pii_text_of(value);
    size_t len = text ? strspn(text,
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.")
                      : 0;
    if (!len || text[len] || len > PII_NAME_BYTES_MAX)
        return pii_blame(at, "name", -1, "must be 1 to 64 of A-Z a-z 0-9 . _ -");
    for (size_t i = 0; i < at->rule; i++)
        if (strcmp(pii->rules[i].name, text) == 0)
            return pii_blame(at, "name", -1, "is already the name of an earlier rule");
    rule->name = mem_copy_string(text, len);
    return 0;
}

/* Passes each text of a list to `take`, which returns NULL or a reason. */
static int take_list(struct pii_rule *rule, struct json_object *list, const char *field, size_t max,
                     const char *(*take)(struct pii_rule *, const char *, struct error *),
                     const struct place *at) {
    size_t count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    struct error reason;
    if (count == 0 || count > max)
        return pii_blame(at, field, -1,
                         count ? "has too many items" : "must be a list of at least one text");
    for (size_t i = 0; i < count; i++) {
        const char *text = pii_text_of(json_object_array_get_idx(list, i));
        const char *wrong = text ? take(rule, text, &reason) : "must be text; put it in quotes";
        if (wrong)
            return pii_blame(at, field, (int)i, wrong);
    }
    return 0;
}

static const char *pii_take_topic(struct pii_rule *rule, const char *text, struct error *reason) {
    if (pattern_check(span_of(text), reason))
        return reason->message;
    rule->topics = mem_resize(rule->topics, (rule->topics_count + 1) * sizeof *rule->topics);
    rule->topics[rule->topics_count++] = mem_copy_string(text, strlen(text));
    return NULL;
}

static const char *take_path(struct pii_rule *rule, const char *text, struct error *reason) {
    rule->paths = mem_resize(rule->paths, (rule->paths_count + 1) * sizeof *rule->paths);
    struct pii_path *path = &rule->paths[rule->paths_count++];
    path->text = mem_copy_string(text, strlen(text));
    return pii_path_parse(path, reason) ? reason->message : NULL;
}

static const char *pii_take_kind(struct pii_rule *rule, const char *text, struct error *reason) {
    int kind = detect_kind_of(text);
    (void)reason;
    rule->kinds |= kind < 0 ? 0 : 1U << kind;
    return kind < 0 ? "must be ssn, email, phone or card" : NULL;
}

static int take_action(const struct pii *pii, struct pii_rule *rule, struct json_object *value,
                       const struct place *at) {
    static const char *const names[] = {
        [PII_DROP] = "drop", [PII_MASK] = "mask", [PII_HASH] = "hash"};
    const char *text = pii_text_of(value);
    int found = text ? names_find(names, sizeof names / sizeof *names, text) : -1;
    if (found < 0)
        return pii_blame(at, "action", -1, "must be drop, mask or hash");
    rule->action = (enum pii_action)found;
    return rule->action == PII_HASH && !pii->hash_key
               ? pii_blame(at, "action", -1, "is hash, and there is no hash_key beside rules")
               : 0;
}

static int pii_check_fields(struct json_object *rule, const struct place *at) {
    static const char *const known[] = {"name", "topics", "paths", "detect", "action"};
    if (!json_object_is_type(rule, json_type_object))
        return pii_blame(at, "", -1, "must have name, topics, paths or detect, and action");
    json_object_object_foreach(rule, name, value) {
        (void)value;
        if (names_find(known, sizeof known / sizeof *known, name) < 0)
            return pii_blame(
                at, name, -1,
                "is no field of a rule; the fields are name, topics, paths, detect and action");
    }
    return 0;
}

static int take_rule(struct pii *pii, struct json_object *tree, const struct place *at) {
    struct pii_rule *rule = &pii->rules[at->rule];
    struct json_object *paths = json_object_object_get(tree, "paths"),
                       *detect = json_object_object_get(tree, "detect");
    if (pii_check_fields(tree, at) ||
        pii_take_name(pii, rule, json_object_object_get(tree, "name"), at) ||
        take_list(rule, json_object_object_get(tree, "topics"), "topics", TOPICS_MAX,
                  pii_take_topic, at))
        return -1;
    if (!paths == !detect)
        return pii_blame(at, paths ? "detect" : "", -1,
                         paths ? "must not stand beside paths; write a rule for each"
                               : "must have paths or detect");
    if (paths ? take_list(rule, paths, "paths", PII_PATHS_MAX, take_path, at)
              : take_list(rule, detect, "detect", DETECT_KINDS, pii_take_kind, at))
        return -1;
    return take_action(pii, rule, json_object_object_get(tree, "action"), at);
}

/* --- the file */

static int pii_take_key(struct pii *pii, struct json_object *root, struct error *err) {
    struct json_object *value;
    if (!json_object_object_get_ex(root, "hash_key", &value))
        return 0;
    const char *text = pii_text_of(value);
    size_t len = text ? strlen(text) : 0;
    if (len == 0 || len > PII_KEY_BYTES_MAX)
        return error_set_field(err, "hash_key", "must be text of 1 to %d bytes; digits need quotes",
                               PII_KEY_BYTES_MAX);
    pii->hash_key = mem_copy_string(text, len);
    return 0;
}

static int take_file(struct pii *pii, struct json_object *root, struct error *err) {
    struct json_object *rules = json_object_object_get(root, "rules");
    json_object_object_foreach(root, name, value) {
        (void)value;
        if (strcmp(name, "rules") != 0 && strcmp(name, "hash_key") != 0)
            return error_set_field(err, name,
                                   "is no field of this file; the fields are rules and hash_key");
    }
    size_t count = json_object_is_type(rules, json_type_array) ? json_object_array_length(rules)
                                                               : PII_RULES_MAX + 1;
    if (count > PII_RULES_MAX)
        return error_set_field(err, "rules", "must be a list of at most %d rules", PII_RULES_MAX);
    if (pii_take_key(pii, root, err))
        return -1;
    pii->rules = mem_zero(count * sizeof *pii->rules);
    for (size_t i = 0; i < count; i++) {
        pii->rules_count++;
        if (take_rule(pii, json_object_array_get_idx(rules, i), &(struct place){i, err}))
            return -1;
    }
    return 0;
}

struct pii *pii_read(struct span text, struct error *err) {
    struct yaml yaml;
    if (yaml_read(&yaml, text, PII_FILE_BYTES_MAX, DEPTH_MAX, err))
        return NULL;
    struct pii *pii = mem_zero(sizeof *pii);
    if (take_file(pii, yaml.root, err)) {
        error_prefix(err, "%zu: ", yaml_line(&yaml, err->field));
        pii_free(pii);
        pii = NULL;
    }
    yaml_fini(&yaml);
    return pii;
}

static void free_rule(struct pii_rule *rule) {
    for (size_t i = 0; i < rule->topics_count; i++)
        free(rule->topics[i]);
    for (size_t i = 0; i < rule->paths_count; i++)
        free(rule->paths[i].text);
    free(rule->topics);
    free(rule->paths);
    free(rule->name);
}

void pii_free(struct pii *pii) {
    if (!pii)
        return;
    for (size_t i = 0; i < pii->rules_count; i++)
        free_rule(&pii->rules[i]);
    free(pii->rules);
    mem_wipe_string(pii->hash_key);
    free(pii);
}

size_t pii_count(const struct pii *pii) { return pii->rules_count; }
const char *pii_name(const struct pii *pii, size_t rule) { return pii->rules[rule].name; }
