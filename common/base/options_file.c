/* Options from a YAML file, nested or dotted, by libyaml's events. Refuses anchors, aliases, tags
 * and repeated options: unneeded here, and misleading. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "common/base/buf.h"
#include "common/base/options_internal.h"

enum { DEPTH_MAX = 12, NAME_BYTES = 256, NAMES_MAX = 1000, FILE_BYTES_MAX = 1024 * 1024 };

struct reader {
    const struct options_context *context;
    const char *path;
    const char *text;
    yaml_parser_t parser;
    char name[NAME_BYTES]; /* of the section or option being read */
    char *seen[NAMES_MAX];
    size_t seen_count;
};

static int options_file_fail(const struct reader *r, const yaml_mark_t *mark, struct error *err) {
    return *r->name ? error_prefix(err, "%s:%zu: %s: ", r->path, mark->line + 1, r->name)
                    : error_prefix(err, "%s:%zu: ", r->path, mark->line + 1);
}

static int fail_yaml(const struct reader *r, struct error *err) {
    const yaml_parser_t *p = &r->parser;
    size_t line = p->problem_mark.line + 1;
    if (p->error == YAML_READER_ERROR) { /* such an error has no mark */
        line = 1;
        for (size_t i = 0; i < p->problem_offset; i++)
            line += r->text[i] == '\n';
    }
    return error_set(err, "%s:%zu: %s", r->path, line, p->problem ? p->problem : "is not YAML");
}

static int options_file_next(struct reader *r, yaml_event_t *event, struct error *err) {
    if (!yaml_parser_parse(&r->parser, event))
        return fail_yaml(r, err);
    const char *refused = NULL;
    if (event->type == YAML_ALIAS_EVENT)
        refused = "aliases are not allowed";
    else if (event->type == YAML_SCALAR_EVENT &&
             (event->data.scalar.anchor || event->data.scalar.tag))
        refused = "anchors and tags are not allowed";
    else if (event->type == YAML_SCALAR_EVENT &&
             strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
        refused = "a NUL is not allowed";
    else if (event->type == YAML_SEQUENCE_START_EVENT &&
             (event->data.sequence_start.anchor || event->data.sequence_start.tag))
        refused = "anchors and tags are not allowed";
    else if (event->type == YAML_MAPPING_START_EVENT &&
             (event->data.mapping_start.anchor || event->data.mapping_start.tag))
        refused = "anchors and tags are not allowed";
    if (!refused)
        return 0;
    error_set(err, "%s", refused);
    options_file_fail(r, &event->start_mark, err);
    yaml_event_delete(event);
    return -1;
}

static const char *options_file_text_of(const yaml_event_t *event) {
    const char *text = (const char *)event->data.scalar.value;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return plain && (strcmp(text, "~") == 0 || strcasecmp(text, "null") == 0) ? "" : text;
}

static bool is_null(const yaml_event_t *event) {
    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !*options_file_text_of(event);
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
        if (options_file_next(r, &event, err))
            goto out;
        if (event.type != YAML_SCALAR_EVENT)
            break;
        items.items = mem_resize(items.items, (items.count + 1) * sizeof *items.items);
        items.items[items.count++] = mem_copy_string(options_file_text_of(&event),
                                                     strlen(options_file_text_of(&event)));
        yaml_event_delete(&event);
    }
    bool whole = event.type == YAML_SEQUENCE_END_EVENT;
    yaml_event_delete(&event);
    if (!whole)
        error_set(err, "a list must hold plain values only");
    result = whole && note_name(r, err) == 0 ? option_set_list(r->context, r->name, &items, err)
                                             : -1;
    if (result)
        options_file_fail(r, mark, err);
out:
    for (size_t i = 0; i < items.count; i++)
        free(items.items[i]);
    free(items.items);
    return result;
}

static int options_file_read_mapping(struct reader *r, unsigned depth, struct error *err);

static int read_scalar(struct reader *r, const yaml_event_t *event, struct error *err) {
    const char *below;
    if (is_null(event) && option_is_section(r->context, r->name) &&
        !option_find(r->context, r->name, &below))
        return 0; /* a section whose options are all commented out */
    if (note_name(r, err) || option_set(r->context, r->name, options_file_text_of(event), err))
        return options_file_fail(r, &event->start_mark, err);
    return 0;
}

/* Reads the value of r->name at `mark`. */
static int read_value(struct reader *r, const yaml_mark_t *mark, unsigned depth,
                      struct error *err) {
    yaml_event_t event;
    const char *below;
    int result;
    if (options_file_next(r, &event, err))
        return -1;
    if (event.type == YAML_SCALAR_EVENT) {
        result = read_scalar(r, &event, err);
    } else if (event.type == YAML_SEQUENCE_START_EVENT) {
        result = read_list(r, &event.start_mark, err);
    } else if (option_find(r->context, r->name, &below) && !*below) {
        error_set(err, "takes one value, not a section");
        result = options_file_fail(r, mark, err);
    } else if (!option_is_section(r->context, r->name)) {
        option_unknown(r->context, r->name, err);
        result = options_file_fail(r, mark, err);
    } else {
        result = options_file_read_mapping(r, depth + 1, err);
    }
    yaml_event_delete(&event);
    return result;
}

/* Sets r->name to its first `prefix` bytes and `name`. */
static int name_value(struct reader *r, size_t prefix, const char *name, unsigned depth,
                      struct error *err) {
    int len = snprintf(r->name + prefix, sizeof r->name - prefix, "%s%s", prefix ? "." : "", name);
    if ((size_t)len >= sizeof r->name - prefix)
        return error_set(err, "the name is too long");
    return depth > DEPTH_MAX ? error_set(err, "nested too deeply") : 0;
}

/* Reads what is below r->name, up to the end of the mapping. */
static int options_file_read_mapping(struct reader *r, unsigned depth, struct error *err) {
    size_t prefix = strlen(r->name);
    for (;;) {
        yaml_event_t event;
        if (options_file_next(r, &event, err))
            return -1;
        yaml_mark_t mark = event.start_mark;
        bool end = event.type == YAML_MAPPING_END_EVENT, scalar = event.type == YAML_SCALAR_EVENT;
        int bad = end ? 0
                  : scalar
                      ? name_value(r, prefix, (const char *)event.data.scalar.value, depth, err)
                      : error_set(err, "a name must be plain text");
        yaml_event_delete(&event);
        if (end)
            return 0;
        if (bad)
            return options_file_fail(r, &mark, err);
        if (read_value(r, &mark, depth, err))
            return -1;
        r->name[prefix] = 0;
    }
}

static int read_document(struct reader *r, struct error *err) {
    yaml_event_t event;
    bool done = false;
    while (!done) {
        if (options_file_next(r, &event, err))
            return -1;
        yaml_event_type_t type = event.type;
        yaml_mark_t mark = event.start_mark;
        bool empty = type == YAML_SCALAR_EVENT && *options_file_text_of(&event) == 0;
        yaml_event_delete(&event);
        done = type == YAML_STREAM_END_EVENT;
        if (type == YAML_MAPPING_START_EVENT && options_file_read_mapping(r, 1, err))
            return -1;
        if (type == YAML_SEQUENCE_START_EVENT || (type == YAML_SCALAR_EVENT && !empty)) {
            error_set(err, "must be names with values, such as \"kafka.brokers: 127.0.0.1:9092\"");
            return options_file_fail(r, &mark, err);
        }
    }
    return 0;
}

int options_read_file(const struct options_context *c, const char *path, const char *named_by,
                      struct error *err) {
    struct reader *r = mem_zero(sizeof *r);
    char *text = mem_alloc(FILE_BYTES_MAX + 1);
    int result = -1;
    r->context = c;
    r->path = path;
    r->text = text;
    FILE *file = fopen(path, "re");
    size_t len = file ? fread(text, 1, FILE_BYTES_MAX + 1, file) : 0;
    if (!file || ferror(file)) {
        error_set(err, "%s: %s cannot be read: %s", named_by, path, strerror(errno));
    } else if (len > FILE_BYTES_MAX) {
        error_set(err, "%s: %s is larger than 1 MiB", named_by, path);
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
