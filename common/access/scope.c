/* Scopes of access tokens; see scope.h. */
#include "common/access/scope.h"

#include <stdio.h>
#include <string.h>

static const char *const names[SCOPE_KINDS] = {"publish", "read", "register", "admin"};

const char *scope_name(enum scope_kind kind) { return names[kind]; }

int scope_parse(struct scope *scope, const char *text, struct error *err) {
    const char *colon = strchr(text, ':');
    struct error reason;
    *scope = (struct scope){.kind = SCOPE_ADMIN, .pattern = "*"};
    if (strcmp(text, names[SCOPE_ADMIN]) == 0)
        return 0;
    for (int kind = 0; colon && kind < SCOPE_ADMIN; kind++) {
        if (strlen(names[kind]) != (size_t)(colon - text) ||
            memcmp(names[kind], text, (size_t)(colon - text)) != 0)
            continue;
        if (pattern_check(span_of(colon + 1), &reason))
            return error_set(err, "the pattern after %s: %s", names[kind], reason.message);
        *scope = scope_of((enum scope_kind)kind, span_of(colon + 1));
        return 0;
    }
    return error_set(err, "must be publish:<pattern>, read:<pattern>, register:<pattern> or admin");
}

struct scope scope_of(enum scope_kind kind, struct span pattern) {
    struct scope scope = {.kind = kind};
    snprintf(scope.pattern, sizeof scope.pattern, "%.*s", (int)pattern.len, pattern.data);
    return scope;
}

bool scopes_have(const struct scope *scopes, size_t count, enum scope_kind kind) {
    for (size_t i = 0; i < count; i++)
        if (scopes[i].kind == kind || scopes[i].kind == SCOPE_ADMIN)
            return true;
    return false;
}

bool scopes_allow(const struct scope *scopes, size_t count, enum scope_kind kind,
                  struct span pattern) {
    for (size_t i = 0; i < count; i++)
        if (scopes[i].kind == SCOPE_ADMIN ||
            (scopes[i].kind == kind && pattern_within(pattern, span_of(scopes[i].pattern))))
            return true;
    return false;
}
