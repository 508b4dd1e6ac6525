/* Maps of texts; see members.h. */
#include "common/model/members.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "common/json/writer.h"
#include "common/model/spec.h"

static char **member_slot(void *object, const struct member *member) {
    return (char **)(void *)((char *)object + member->offset);
}

static const char *member_get(const void *object, const struct member *member) {
    return *(char *const *)(const void *)((const char *)object + member->offset);
}

/* --- reading */

static bool member_may_hold(enum member_text text, char c) {
    if (c > ' ' && c <= '~')
        return true;
    if (c == ' ')
        return text != MEMBER_VISIBLE;
    return text == MEMBER_LINES && (c == '\n' || c == '\r' || c == '\t');
}

static int member_take(char **out, const char *field, const struct member *member,
                       struct json_object *value, struct error *err) {
    static const char *const allowed[] = {
        [MEMBER_VISIBLE] = "may hold only printable ASCII without spaces",
        [MEMBER_PRINTABLE] = "may hold only printable ASCII",
        [MEMBER_LINES] = "may hold only lines of printable ASCII"};
    if (!json_object_is_type(value, json_type_string))
        return error_set_field(err, field, "must be text");
    size_t len = (size_t)json_object_get_string_len(value);
    const char *text = json_object_get_string(value);
    if (len == 0 || len > member->max)
        return error_set_field(err, field, "must have 1 to %zu bytes", member->max);
    for (size_t i = 0; i < len; i++)
        if (!member_may_hold(member->text, text[i]))
            return error_set_field(err, field, "%s", allowed[member->text]);
    *out = mem_copy_string(text, len);
    return 0;
}

static int members_take_one(const struct members *members, void *object, const char *name,
                            struct json_object *value, const struct spec_rules *rules,
                            struct error *err) {
    char field[MEMBER_FIELD_BYTES];
    snprintf(field, sizeof field, "%s.%s", members->field, name);
    for (size_t i = 0; i < members->count; i++)
        if (strcmp(name, members->list[i].name) == 0)
            return member_take(member_slot(object, &members->list[i]), field, &members->list[i],
                               value, err);
    return rules->from_record ? 0
                              : error_set_field(err, field, "is no field of %s", members->field);
}

int members_take(const struct members *members, void *object, struct json_object *value,
                 const struct spec_rules *rules, struct error *err) {
    int result = 0;
    if (!json_object_is_type(value, json_type_object))
        return error_set_field(err, members->field, "must be a map with %s", members->needs);
    json_object_object_foreach(value, name, member) {
        result = result || members_take_one(members, object, name, member, rules, err) ? -1 : 0;
    }
    return result;
}

void members_wipe(const struct members *members, void *object) {
    for (size_t i = 0; i < members->count; i++) {
        char **slot = member_slot(object, &members->list[i]);
        mem_wipe_string(*slot);
        *slot = NULL;
    }
}

/* --- writing */

static bool members_put(const struct members *members, const void *object, bool secret,
                        struct buf *out) {
    bool any = false;
    for (size_t i = 0; i < members->count; i++) {
        const struct member *member = &members->list[i];
        const char *text = member_get(object, member);
        if (member->secret != secret || !text)
            continue;
        json_member_string(out, member->name, text);
        any = true;
    }
    return any;
}

static void members_put_secret_names(const struct members *members, const void *object,
                                     struct buf *out) {
    bool begun = false;
    for (size_t i = 0; i < members->count; i++) {
        const struct member *member = &members->list[i];
        if (!member->secret || !member_get(object, member))
            continue;
        if (!begun)
            json_member_list(out, "secrets");
        begun = true;
        json_put_string(out, member->name);
    }
    if (begun)
        json_end_list(out);
}

void members_to_json(const struct members *members, const void *object, bool secrets,
                     struct buf *out) {
    json_put_object(out);
    members_put(members, object, false, out);
    if (secrets)
        members_put(members, object, true, out);
    else
        members_put_secret_names(members, object, out);
    json_end_object(out);
}

bool members_put_secrets(const struct members *members, const void *object, struct buf *out) {
    json_put_object(out);
    bool any = members_put(members, object, true, out);
    json_end_object(out);
    return any;
}
