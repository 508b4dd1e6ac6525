/* JSON as json-c's tree; see json_tree.h. */
#include "common/json/json_tree.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/number.h"
#include "common/json/json_string.h"
#include "common/json/json_walk.h"

const char *json_tree_text(struct json_object *value) {
    return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

static void json_tree_free_text(struct json_object *object, void *text) {
    (void)object;
    free(text);
}

struct json_object *json_tree_number(const char *text) {
    if (text[strspn(text, "-0123456789")])
        return json_object_new_double_s(strtod(text, NULL), text);
    struct json_object *number = json_object_new_int64(strtoll(text, NULL, 10));
    if (strlen(text) > NUMBER_DIGITS_MAX)
        json_object_set_serializer(number, json_object_userdata_to_json_string,
                                   mem_copy_string(text, strlen(text)), json_tree_free_text);
    return number;
}

/* The text of a string with its quotes; the caller frees it. */
static char *json_tree_unescape(struct span quoted, long *len) {
    char *text = mem_alloc(quoted.len);
    *len = json_unescape(quoted, text, quoted.len);
    return text;
}

static struct json_object *json_tree_string(struct span quoted) {
    long len;
    char *text = json_tree_unescape(quoted, &len);
    struct json_object *string = json_object_new_string_len(text, (int)len);
    free(text);
    return string;
}

static struct json_object *json_tree_list(struct span value) {
    struct json_object *list = json_object_new_array();
    struct json_walk walk;
    struct span element;
    json_walk_init(&walk, value);
    while (json_walk_element(&walk, &element))
        json_object_array_add(list, json_tree_of(element));
    return list;
}

static struct json_object *json_tree_object(struct span value) {
    struct json_object *object = json_object_new_object();
    struct json_walk walk;
    struct span inner, member;
    long len;
    json_walk_init(&walk, value);
    while (json_walk_member(&walk, &inner, &member)) {
        char *name = json_tree_unescape((struct span){inner.data - 1, inner.len + 2}, &len);
        json_object_object_add(object, name, json_tree_of(member));
        free(name);
    }
    return object;
}

struct json_object *json_tree_of(struct span text) {
    struct span value = json_walk_value(text);
    char *number;
    struct json_object *tree;
    switch (value.len ? value.data[0] : 'n') {
    case '{':
        return json_tree_object(value);
    case '[':
        return json_tree_list(value);
    case '"':
        return json_tree_string(value);
    case 't':
    case 'f':
        return json_object_new_boolean(value.data[0] == 't');
    case 'n':
        return NULL;
    default:
        number = mem_copy_string(value.data, value.len);
        tree = json_tree_number(number);
        free(number);
        return tree;
    }
}
