/* The scopes of an access token: publish:<pattern>, read:<pattern>, register:<pattern>, or admin,
 * which allows everything. Pure, any thread. */
#ifndef ESS_ACCESS_SCOPE_H
#define ESS_ACCESS_SCOPE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/base/span.h"
#include "common/model/pattern.h"

enum scope_kind { SCOPE_PUBLISH, SCOPE_READ, SCOPE_REGISTER, SCOPE_ADMIN, SCOPE_KINDS };

struct scope {
    enum scope_kind kind;
    char pattern[TOPIC_BYTES_MAX + 1]; /* admin: "*" */
};

/* "publish", "read", "register", "admin". */
const char *scope_name(enum scope_kind kind);

/* Reads "read:drug.*" or "admin". Returns 0, or -1 with the reason (no field set). */
int scope_parse(struct scope *scope, const char *text, struct error *err);

/* Makes a scope from a checked pattern. */
struct scope scope_of(enum scope_kind kind, struct span pattern);

/* Whether some scope is of this kind, or admin. */
bool scopes_have(const struct scope *scopes, size_t count, enum scope_kind kind);

/* Whether some scope allows this for all topics that `pattern` (a topic, or a checked pattern)
 * matches. */
bool scopes_allow(const struct scope *scopes, size_t count, enum scope_kind kind,
                  struct span pattern);

#endif
