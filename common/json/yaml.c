/* YAML as a json-c tree, by libyaml's events; see yaml.h. Anchors and aliases can blow up a small
 * file; tags and further documents mean nothing here. */
#include "common/json/yaml.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/base/buf.h"
#include "common/json/json_tree.h"

enum { PATH_BYTES = 256 };

struct reader {
    yaml_parser_t parser;
    struct span text;
    struct yaml *yaml;
    unsigned depth_max;
    char path[PATH_BYTES]; /* of the value being read */
};

static int yaml_fail(const yaml_mark_t *mark, struct error *err, const char *reason) {
    return error_set(err, "%zu: %s", mark->line + 1, reason);
}

static const char no_aliases[] =
    "aliases (*name) are not allowed; text that begins with * needs quotes";

/* Reports a syntax error of libyaml, with the offset for bytes that are not text, else the line. */
static int fail_parse(const struct reader *r, struct error *err) {
    const yaml_parser_t *p = &r->parser;
    yaml_mark_t mark = p->problem_mark;
    if (p->error == YAML_READER_ERROR) {
        mark.line = 0;
        for (size_t i = 0; i < p->problem_offset && i < r->text.len; i++)
            mark.line += r->text.data[i] == '\n';
    }
    if (p->context && strcmp(p->context, "while scanning an alias") == 0) /* topics: [*] */
        return yaml_fail(&mark, err, no_aliases);
    return yaml_fail(&mark, err, p->problem ? p->problem : "is not YAML");
}

static const char *yaml_refusal(const yaml_event_t *event) {
    const unsigned char *anchor = NULL, *tag = NULL;
    if (event->type == YAML_ALIAS_EVENT)
        return no_aliases;
    if (event->type == YAML_SCALAR_EVENT)
        anchor = event->data.scalar.anchor, tag = event->data.scalar.tag;
    else if (event->type == YAML_SEQUENCE_START_EVENT)
        anchor = event->data.sequence_start.anchor, tag = event->data.sequence_start.tag;
    else if (event->type == YAML_MAPPING_START_EVENT)
        anchor = event->data.mapping_start.anchor, tag = event->data.mapping_start.tag;
    if (anchor)
        return "anchors (&name) are not allowed";
    if (tag)
        return "tags (!name) are not allowed";
    if (event->type == YAML_SCALAR_EVENT &&
        strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
        return "a text must not hold U+0000";
    return NULL;
}

static int yaml_next(struct reader *r, yaml_event_t *event, struct error *err) {
    if (!yaml_parser_parse(&r->parser, event))
        return fail_parse(r, err);
    const char *reason = yaml_refusal(event);
    if (!reason)
        return 0;
    yaml_fail(&event->start_mark, err, reason);
    yaml_event_delete(event);
    return -1;
}

/* YAML allows a plus sign, leading zeros, and a point without a digit before or after it: JSON does
 * not. */
static void yaml_put_number(const char *text, struct buf *out) {
    size_t whole;
    if (*text == '-')
        buf_puts(out, "-");
    text += *text == '-' || *text == '+';
    for (whole = strspn(text, "0123456789"); whole > 1 && *text == '0'; whole--)
        text++;
    buf_append(out, whole ? text : "0", whole ? whole : 1);
    text += whole;
    if (*text == '.' && !isdigit((unsigned char)text[1]))
        text++;
    buf_puts(out, text);
}

/* Returns the text as a JSON number, or NULL if the text is not a number. */
static struct json_object *yaml_number(const char *text) {
    size_t sign = *text == '-' || *text == '+', whole = strspn(text + sign, "0123456789"),
           point = text[sign + whole] == '.',
           rest = point ? strspn(text + sign + whole + 1, "0123456789") : 0;
    const char *end = text + sign + whole + point + rest;
    struct buf json = {0};
    if (whole + rest == 0)
        return NULL;
    if (*end == 'e' || *end == 'E') {
        end += 1 + (end[1] == '-' || end[1] == '+');
        size_t digits = strspn(end, "0123456789");
        end = digits ? end + digits : text;
    }
    if (*end)
        return NULL;
    yaml_put_number(text, &json);
    struct json_object *number = json_tree_number(buf_string(&json));
    buf_fini(&json);
    return number;
}

/* Types a plain scalar by YAML 1.2's core schema. */
static struct json_object *yaml_scalar(const yaml_event_t *event) {
    const char *text = (const char *)event->data.scalar.value;
    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return json_object_new_string(text);
    if (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0)
        return NULL;
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return json_object_new_boolean(text[0] == 't');
    struct json_object *number = yaml_number(text);
    return number ? number : json_object_new_string(text);
}

static void note_place(struct reader *r, const yaml_mark_t *mark) {
    struct yaml *yaml = r->yaml;
    if (yaml->places_count == yaml->places_max) {
        yaml->places_max = yaml->places_max ? 2 * yaml->places_max : 16;
        yaml->places = mem_resize(yaml->places, yaml->places_max * sizeof *yaml->places);
    }
    yaml->places[yaml->places_count++] = (struct yaml_place){
        mem_copy_string(r->path, strlen(r->path)), mark->line + 1};
}

static int read_node(struct reader *r, yaml_event_t *first, unsigned depth,
                     struct json_object **out, struct error *err);

static int read_sequence(struct reader *r, unsigned depth, struct json_object *list,
                         struct error *err) {
    size_t prefix = strlen(r->path);
    for (size_t i = 0;; i++) {
        yaml_event_t event;
        struct json_object *item = NULL;
        if (yaml_next(r, &event, err))
            return -1;
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        if (!end) {
            snprintf(r->path + prefix, sizeof r->path - prefix, "[%zu]", i);
            note_place(r, &event.start_mark);
        }
        int result = end ? 0 : read_node(r, &event, depth + 1, &item, err);
        yaml_event_delete(&event);
        r->path[prefix] = 0;
        if (!end && result == 0)
            json_object_array_add(list, item);
        if (end || result)
            return result;
    }
}

/* Reads a name in a mapping; the path becomes its value's. */
static int read_name(struct reader *r, const yaml_event_t *event, struct json_object *map,
                     struct error *err) {
    size_t prefix = strlen(r->path);
    if (event->type != YAML_SCALAR_EVENT)
        return yaml_fail(&event->start_mark, err, "a name must be plain text");
    const char *name = (const char *)event->data.scalar.value;
    if (json_object_object_get_ex(map, name, NULL))
        return error_set(err, "%zu: %s: is given twice", event->start_mark.line + 1, name);
    snprintf(r->path + prefix, sizeof r->path - prefix, "%s%s", prefix ? "." : "", name);
    note_place(r, &event->start_mark);
    return 0;
}

static int yaml_read_mapping(struct reader *r, unsigned depth, struct json_object *map,
                             struct error *err) {
    size_t prefix = strlen(r->path);
    for (;;) {
        yaml_event_t name, event;
        struct json_object *value = NULL;
        if (yaml_next(r, &name, err))
            return -1;
        bool end = name.type == YAML_MAPPING_END_EVENT;
        int result = end ? 0 : read_name(r, &name, map, err);
        if (!end && result == 0 && (result = yaml_next(r, &event, err)) == 0) {
            result = read_node(r, &event, depth + 1, &value, err);
            yaml_event_delete(&event);
            if (result == 0)
                json_object_object_add(map, (const char *)name.data.scalar.value, value);
        }
        yaml_event_delete(&name);
        r->path[prefix] = 0;
        if (end || result)
            return result;
    }
}

static int read_node(struct reader *r, yaml_event_t *first, unsigned depth,
                     struct json_object **out, struct error *err) {
    int result = 0;
    *out = NULL;
    if (depth > r->depth_max)
        return yaml_fail(&first->start_mark, err, "is nested too deeply");
    if (first->type == YAML_SCALAR_EVENT) {
        *out = yaml_scalar(first);
    } else if (first->type == YAML_SEQUENCE_START_EVENT) {
        *out = json_object_new_array();
        result = read_sequence(r, depth, *out, err);
    } else {
        *out = json_object_new_object();
        result = yaml_read_mapping(r, depth, *out, err);
    }
    if (result) {
        json_object_put(*out);
        *out = NULL;
    }
    return result;
}

/* Reads the mapping of the only document. */
static int yaml_read_file(struct reader *r, struct error *err) {
    struct json_object **root = &r->yaml->root;
    for (;;) {
        yaml_event_t event;
        int result = 0;
        if (yaml_next(r, &event, err))
            return -1;
        yaml_event_type_t type = event.type;
        if (type == YAML_DOCUMENT_START_EVENT && *root)
            result = yaml_fail(&event.start_mark, err, "only one document is allowed in a file");
        else if (type == YAML_MAPPING_START_EVENT)
            result = read_node(r, &event, 1, root, err);
        else if (type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT)
            result = yaml_fail(&event.start_mark, err, "must be fields such as \"name: value\"");
        yaml_event_delete(&event);
        if (result)
            return -1;
        if (type == YAML_STREAM_END_EVENT)
            return *root ? 0 : error_set(err, "1: is empty");
    }
}

int yaml_read(struct yaml *yaml, struct span text, size_t bytes_max, unsigned depth_max,
              struct error *err) {
    *yaml = (struct yaml){0};
    if (text.len > bytes_max)
        return error_set(err, "1: must not be larger than %zu bytes", bytes_max);
    if (text.len >= 3 &&
        memcmp(text.data, "\xef\xbb\xbf", 3) == 0) /* a byte order mark, written by some editors */
        text = (struct span){text.data + 3, text.len - 3};
    struct reader *r = mem_zero(sizeof *r);
    r->text = text;
    r->yaml = yaml;
    r->depth_max = depth_max;
    if (!yaml_parser_initialize(&r->parser))
        abort();
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)text.data, text.len);
    int result = yaml_read_file(r, err);
    yaml_parser_delete(&r->parser);
    free(r);
    if (result)
        yaml_fini(yaml);
    return result;
}

size_t yaml_line(const struct yaml *yaml, const char *path) {
    for (size_t len = strlen(path); len; len--) {
        bool whole = !path[len] || path[len] == '.' || path[len] == '[';
        for (size_t i = 0; whole && i < yaml->places_count; i++)
            if (strlen(yaml->places[i].path) == len && memcmp(yaml->places[i].path, path, len) == 0)
                return yaml->places[i].line;
    }
    return 1;
}

void yaml_fini(struct yaml *yaml) {
    json_object_put(yaml->root);
    for (size_t i = 0; i < yaml->places_count; i++)
        free(yaml->places[i].path);
    free(yaml->places);
    *yaml = (struct yaml){0};
}
