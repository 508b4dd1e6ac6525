/* What the JSON scanner has passed: json-c, which reads it then, understands all of it, and members
 * and elements lie where the scanner says. */
#include <json-c/json.h>

#include "common/json/json_scan.h"
#include "fuzz.h"

enum { MEMBERS_MAX = 64 };

static void json_c_takes(struct span text) {
    struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 2);
    struct json_object *object = json_tokener_parse_ex(tokener, text.data, (int)text.len);
    enum json_tokener_error error = json_tokener_get_error(tokener);
    MUST(error == json_tokener_success ||
         error == json_tokener_continue); /* a bare number may go on */
    json_object_put(object);
    json_tokener_free(tokener);
}

static int check_element(void *arg, size_t index, const struct json_element *element,
                         struct error *err) {
    MUST(index == (*(size_t *)arg)++);
    MUST(json_scan(element->value, JSON_DEPTH_MAX, err) == 0);
    MUST((element->kind == JSON_IS_OBJECT) || element->members_count == 0);
    return 0;
}

static void check_members(struct span text) {
    struct json_member members[MEMBERS_MAX];
    struct error err;
    size_t count;
    if (json_scan_object(text, JSON_DEPTH_MAX, members, MEMBERS_MAX, &count, &err))
        return;
    for (size_t i = 0; i < count; i++) {
        char *room = mem_alloc(members[i].value.len + 1);
        MUST(json_scan(members[i].value, JSON_DEPTH_MAX, &err) == 0);
        MUST(members[i].name.data > text.data &&
             members[i].value.data + members[i].value.len < text.data + text.len);
        if (members[i].kind == JSON_IS_STRING)
            MUST(json_unescape(members[i].value, room, members[i].value.len + 1) >= 0);
        free(room);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span text = bytes(data, size);
    struct error err;
    size_t index = 0;
    if (json_scan(text, JSON_DEPTH_MAX, &err))
        return 0;
    json_c_takes(text);
    check_members(text);
    json_scan_array(text, JSON_DEPTH_MAX, check_element, &index, &err);
    return 0;
}
