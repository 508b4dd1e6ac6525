/* The members of a JSON object; see body.h. */
#include "common/json/body.h"

#include <stdio.h>
#include <string.h>

int body_parse(struct body *body, struct span text, const char *const *known, struct error *err) {
    size_t blank = 0;
    *body = (struct body){.count = 0};
    while (blank < text.len && memchr(" \t\r\n", text.data[blank], 4))
        blank++;
    if (blank == text.len)
        return 0;
    if (json_scan_object(text, JSON_DEPTH_MAX, body->members, BODY_MEMBERS_MAX, &body->count, err))
        return -1;
    for (size_t i = 0; known && i < body->count; i++) {
        const char *const *k = known;
        char name[64];
        while (*k && !span_equal(body->members[i].name, span_of(*k)))
            k++;
        if (*k)
            continue;
        int len = body->members[i].name.len > 60 ? 60 : (int)body->members[i].name.len;
        snprintf(name, sizeof name, "%.*s", len, body->members[i].name.data);
        return error_set_field(err, name, "is no member of this call");
    }
    return 0;
}

const struct json_member *body_member(const struct body *body, const char *name) {
    return json_find_member(body->members, body->count, name);
}

int body_text(const struct body *body, const char *name, char *out, size_t out_size,
              const char *what, struct error *err) {
    const struct json_member *member = body_member(body, name);
    if (!member)
        return 0;
    long len = member->kind == JSON_IS_STRING ? json_unescape(member->value, out, out_size) : -1;
    if (len < 0 || strlen(out) != (size_t)len)
        return error_set_field(err, name, "must be %s", what);
    return 0;
}
