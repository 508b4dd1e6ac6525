/* A subscriber's file: YAML by libyaml's events into json-c's tree, with the line of each field; see spec.h. Anchors and
 * aliases can make a small file huge, and tags and further documents mean nothing here: all are refused. */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/model/spec_internal.h"

enum { DEPTH_MAX = 4, FIELDS_MAX = 64 };

struct reader {
    yaml_parser_t parser;
    struct span text;
    struct {
        char *name;
        size_t line;
    } fields[FIELDS_MAX]; /* of the outermost mapping */
    size_t fields_count;
};

static int fail(const yaml_mark_t *mark, struct error *err, const char *reason) {
    return error_set(err, "%zu: %s", mark->line + 1, reason);
}

static const char no_aliases[] = "aliases (*name) are not allowed; text that begins with * needs quotes";

/* What libyaml did not understand. Of bytes that are no text it tells the offset, else the line. */
static int fail_parse(const struct reader *r, struct error *err) {
    yaml_mark_t mark = r->parser.problem_mark;
    if (r->parser.error == YAML_READER_ERROR) {
        mark.line = 0;
        for (size_t i = 0; i < r->parser.problem_offset && i < r->text.len; i++)
            mark.line += r->text.data[i] == '\n';
    }
    if (r->parser.context && strcmp(r->parser.context, "while scanning an alias") == 0) /* topics: [*] */
        return fail(&mark, err, no_aliases);
    return fail(&mark, err, r->parser.problem ? r->parser.problem : "is not YAML");
}

static int next(struct reader *r, yaml_event_t *event, struct error *err) {
    if (!yaml_parser_parse(&r->parser, event))
        return fail_parse(r, err);
    const char *refused = NULL;
    if (event->type == YAML_ALIAS_EVENT)
        refused = no_aliases;
    else if ((event->type == YAML_SCALAR_EVENT && event->data.scalar.anchor) ||
             (event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.anchor) ||
             (event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.anchor))
        refused = "anchors (&name) are not allowed";
    else if ((event->type == YAML_SCALAR_EVENT && event->data.scalar.tag) ||
             (event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.tag) ||
             (event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.tag))
        refused = "tags (!name) are not allowed";
    else if (event->type == YAML_SCALAR_EVENT && strlen((char *)event->data.scalar.value) != event->data.scalar.length)
        refused = "a text must not hold U+0000";
    if (!refused)
        return 0;
    fail(&event->start_mark, err, refused);
    yaml_event_delete(event);
    return -1;
}

/* YAML 1.2's core schema: what a plain scalar is. */
static struct json_object *scalar(const yaml_event_t *event) {
    const char *text = (const char *)event->data.scalar.value;
    char *end;
    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return json_object_new_string(text);
    if (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0)
        return NULL;
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return json_object_new_boolean(text[0] == 't');
    size_t sign = text[0] == '-' || text[0] == '+', digits = strspn(text + sign, "0123456789");
    if (digits && !text[sign + digits])
        return json_object_new_int64(strtoll(text, NULL, 10)); /* at int64's end when too large, as json-c reads it */
    if (text[strspn(text, "0123456789+-.eE")] == 0 && text[strcspn(text, "0123456789")]) {
        double number = strtod(text, &end);
        if (!*end)
            return json_object_new_double(number);
    }
    return json_object_new_string(text);
}

static int read_node(struct reader *r, yaml_event_t *first, unsigned depth, struct json_object **out, struct error *err);

static int read_sequence(struct reader *r, unsigned depth, struct json_object *list, struct error *err) {
    for (;;) {
        yaml_event_t event;
        struct json_object *item = NULL;
        if (next(r, &event, err))
            return -1;
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        int result = end ? 0 : read_node(r, &event, depth + 1, &item, err);
        yaml_event_delete(&event);
        if (!end && result == 0)
            json_object_array_add(list, item);
        if (end || result)
            return result;
    }
}

static int note_field(struct reader *r, const char *name, const yaml_mark_t *mark, struct error *err) {
    if (r->fields_count == FIELDS_MAX)
        return fail(mark, err, "has too many fields");
    r->fields[r->fields_count].name = mem_copy_string(name, strlen(name));
    r->fields[r->fields_count++].line = mark->line + 1;
    return 0;
}

static int read_name(struct reader *r, const yaml_event_t *event, unsigned depth, struct json_object *map, struct error *err) {
    if (event->type != YAML_SCALAR_EVENT)
        return fail(&event->start_mark, err, "a name must be plain text");
    const char *name = (const char *)event->data.scalar.value;
    if (json_object_object_get_ex(map, name, NULL))
        return error_set(err, "%zu: %s: is given twice", event->start_mark.line + 1, name);
    return depth == 1 ? note_field(r, name, &event->start_mark, err) : 0;
}

static int read_mapping(struct reader *r, unsigned depth, struct json_object *map, struct error *err) {
    for (;;) {
        yaml_event_t name, event;
        struct json_object *value = NULL;
        if (next(r, &name, err))
            return -1;
        bool end = name.type == YAML_MAPPING_END_EVENT;
        int result = end ? 0 : read_name(r, &name, depth, map, err);
        if (!end && result == 0 && (result = next(r, &event, err)) == 0) {
            result = read_node(r, &event, depth + 1, &value, err);
            yaml_event_delete(&event);
            if (result == 0)
                json_object_object_add(map, (char *)name.data.scalar.value, value);
        }
        yaml_event_delete(&name);
        if (end || result)
            return result;
    }
}

static int read_node(struct reader *r, yaml_event_t *first, unsigned depth, struct json_object **out, struct error *err) {
    int result = 0;
    *out = NULL;
    if (depth > DEPTH_MAX)
        return fail(&first->start_mark, err, "is nested too deeply");
    if (first->type == YAML_SCALAR_EVENT) {
        *out = scalar(first);
    } else if (first->type == YAML_SEQUENCE_START_EVENT) {
        *out = json_object_new_array();
        result = read_sequence(r, depth, *out, err);
    } else {
        *out = json_object_new_object();
        result = read_mapping(r, depth, *out, err);
    }
    if (result) {
        json_object_put(*out);
        *out = NULL;
    }
    return result;
}

/* The one document's mapping. */
static int read_file(struct reader *r, struct json_object **tree, struct error *err) {
    *tree = NULL;
    for (;;) {
        yaml_event_t event;
        int result = 0;
        if (next(r, &event, err))
            return -1;
        yaml_event_type_t type = event.type;
        if (type == YAML_DOCUMENT_START_EVENT && *tree)
            result = fail(&event.start_mark, err, "only one document is allowed in a file");
        else if (type == YAML_MAPPING_START_EVENT)
            result = read_node(r, &event, 1, tree, err);
        else if (type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT)
            result = fail(&event.start_mark, err, "must be fields such as \"id: md-mm1\"");
        yaml_event_delete(&event);
        if (result)
            return -1;
        if (type == YAML_STREAM_END_EVENT)
            return *tree ? 0 : error_set(err, "1: is empty");
    }
}

static size_t line_of(const struct reader *r, const char *field) {
    for (size_t i = 0; i < r->fields_count; i++)
        if (strcmp(r->fields[i].name, field) == 0)
            return r->fields[i].line;
    return 1;
}

int spec_from_yaml(struct spec *spec, struct span text, const struct spec_rules *rules, struct error *err) {
    struct json_object *tree;
    if (text.len > SPEC_FILE_BYTES_MAX)
        return error_set(err, "1: must not be larger than %d bytes", SPEC_FILE_BYTES_MAX);
    if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0) /* a byte order mark, as some editors put */
        text = (struct span){text.data + 3, text.len - 3};
    struct reader *r = mem_zero(sizeof *r);
    r->text = text;
    if (!yaml_parser_initialize(&r->parser))
        abort();
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)text.data, text.len);
    int result = read_file(r, &tree, err);
    if (result == 0) {
        result = spec_from_tree(spec, tree, rules, err);
        if (result)
            error_prefix(err, "%zu: ", line_of(r, err->field));
    }
    json_object_put(tree);
    yaml_parser_delete(&r->parser);
    for (size_t i = 0; i < r->fields_count; i++)
        free(r->fields[i].name);
    free(r);
    return result;
}
