/* Options from a YAML file, nested or dotted, by libyaml's events. Refused, because nobody needs them here and they hide
 * what is meant: anchors, aliases, tags, a name given twice. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/base/buf.h"
#include "common/base/options_internal.h"

enum { DEPTH_MAX = 12, NAME_BYTES = 256, NAMES_MAX = 1000, FILE_BYTES_MAX = 1024 * 1024 };

struct reader {
    const struct options_context *context;
    const char *path;
    yaml_parser_t parser;
    char name[NAME_BYTES]; /* of the section or option that is being read */
    char *seen[NAMES_MAX];
    size_t seen_count;
};

static int fail(const struct reader *r, const yaml_mark_t *mark, struct error *err) {
    return *r->name ? error_prefix(err, "%s:%zu: %s: ", r->path, mark->line + 1, r->name)
                    : error_prefix(err, "%s:%zu: ", r->path, mark->line + 1);
}

static int next(struct reader *r, yaml_event_t *event, struct error *err) {
    if (!yaml_parser_parse(&r->parser, event)) {
        const char *problem = r->parser.problem ? r->parser.problem : "is not YAML";
        return error_set(err, "%s:%zu: %s", r->path, r->parser.problem_mark.line + 1, problem);
    }
    const char *refused = NULL;
    if (event->type == YAML_ALIAS_EVENT)
        refused = "aliases are not allowed";
    else if (event->type == YAML_SCALAR_EVENT && (event->data.scalar.anchor || event->data.scalar.tag))
        refused = "anchors and tags are not allowed";
    else if (event->type == YAML_SEQUENCE_START_EVENT && (event->data.sequence_start.anchor || event->data.sequence_start.tag))
        refused = "anchors and tags are not allowed";
    else if (event->type == YAML_MAPPING_START_EVENT && (event->data.mapping_start.anchor || event->data.mapping_start.tag))
        refused = "anchors and tags are not allowed";
    if (!refused)
        return 0;
    error_set(err, "%s", refused);
    fail(r, &event->start_mark, err);
    yaml_event_delete(event);
    return -1;
}

static const char *text_of(const yaml_event_t *event) {
    const char *text = (const char *)event->data.scalar.value;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return plain && (strcmp(text, "~") == 0 || strcmp(text, "null") == 0) ? "" : text;
}

static int note_name(struct reader *r, struct error *err) {
    for (size_t i = 0; i < r->seen_count; i++)
        if (strcmp(r->seen[i], r->name) == 0)
            return error_set(err, "is given twice");
    if (r->seen_count == NAMES_MAX)
        return error_set(err, "too many options");
    r->seen[r->seen_count++] = mem_copy_string(r->name, strlen(r->name));
    return 0;
}

static int read_list(struct reader *r, const yaml_mark_t *mark, struct error *err) {
    struct option_list items = {0};
    yaml_event_t event;
    int result = -1;
    for (;;) {
        if (next(r, &event, err))
            goto out;
        if (event.type != YAML_SCALAR_EVENT)
            break;
        items.items = mem_resize(items.items, (items.count + 1) * sizeof *items.items);
        items.items[items.count++] = mem_copy_string(text_of(&event), strlen(text_of(&event)));
        yaml_event_delete(&event);
    }
    bool whole = event.type == YAML_SEQUENCE_END_EVENT;
    yaml_event_delete(&event);
    if (!whole)
        error_set(err, "a list holds plain values only");
    result = whole && note_name(r, err) == 0 ? option_set_list(r->context, r->name, &items, err) : -1;
    if (result)
        fail(r, mark, err);
out:
    for (size_t i = 0; i < items.count; i++)
        free(items.items[i]);
    free(items.items);
    return result;
}

static int read_mapping(struct reader *r, unsigned depth, struct error *err);

/* The value of r->name. */
static int read_value(struct reader *r, unsigned depth, struct error *err) {
    yaml_event_t event;
    int result;
    if (next(r, &event, err))
        return -1;
    yaml_mark_t mark = event.start_mark;
    if (event.type == YAML_SCALAR_EVENT) {
        result = note_name(r, err) || option_set(r->context, r->name, text_of(&event), err) ? fail(r, &mark, err) : 0;
    } else if (event.type == YAML_SEQUENCE_START_EVENT) {
        result = read_list(r, &mark, err);
    } else if (!option_is_section(r->context, r->name)) {
        option_unknown(r->context, r->name, err);
        result = fail(r, &mark, err);
    } else {
        result = read_mapping(r, depth + 1, err);
    }
    yaml_event_delete(&event);
    return result;
}

/* What stands below r->name, up to the mapping's end. */
static int read_mapping(struct reader *r, unsigned depth, struct error *err) {
    size_t prefix = strlen(r->name);
    for (;;) {
        yaml_event_t event;
        if (next(r, &event, err))
            return -1;
        yaml_mark_t mark = event.start_mark;
        bool end = event.type == YAML_MAPPING_END_EVENT, scalar = event.type == YAML_SCALAR_EVENT;
        if (scalar)
            snprintf(r->name + prefix, sizeof r->name - prefix, "%s%s", prefix ? "." : "", (const char *)event.data.scalar.value);
        yaml_event_delete(&event);
        if (end)
            return 0;
        if (!scalar || depth > DEPTH_MAX) {
            error_set(err, scalar ? "nested too deeply" : "a name must be plain text");
            return fail(r, &mark, err);
        }
        if (read_value(r, depth, err))
            return -1;
        r->name[prefix] = 0;
    }
}

static int read_document(struct reader *r, struct error *err) {
    yaml_event_t event;
    bool done = false;
    while (!done) {
        if (next(r, &event, err))
            return -1;
        yaml_event_type_t type = event.type;
        yaml_mark_t mark = event.start_mark;
        bool empty = type == YAML_SCALAR_EVENT && *text_of(&event) == 0;
        yaml_event_delete(&event);
        done = type == YAML_STREAM_END_EVENT;
        if (type == YAML_MAPPING_START_EVENT && read_mapping(r, 1, err))
            return -1;
        if (type == YAML_SEQUENCE_START_EVENT || (type == YAML_SCALAR_EVENT && !empty)) {
            error_set(err, "must be names with values, such as \"kafka.brokers: 127.0.0.1:9092\"");
            return fail(r, &mark, err);
        }
    }
    return 0;
}

int options_read_file(const struct options_context *c, const char *path, struct error *err) {
    struct reader *r = mem_zero(sizeof *r);
    char *text = mem_alloc(FILE_BYTES_MAX + 1);
    int result = -1;
    r->context = c;
    r->path = path;
    FILE *file = fopen(path, "re");
    size_t len = file ? fread(text, 1, FILE_BYTES_MAX + 1, file) : 0;
    if (!file || ferror(file)) {
        error_set(err, "--config: %s cannot be read: %s", path, strerror(errno));
    } else if (len > FILE_BYTES_MAX) {
        error_set(err, "--config: %s is larger than 1 MiB", path);
    } else if (!yaml_parser_initialize(&r->parser)) {
        abort();
    } else {
        yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, len);
        result = read_document(r, err);
        yaml_parser_delete(&r->parser);
    }
    if (file)
        fclose(file);
    for (size_t i = 0; i < r->seen_count; i++)
        free(r->seen[i]);
    free(text);
    free(r);
    return result;
}
