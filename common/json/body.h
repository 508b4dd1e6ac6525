/* A JSON object with known members, as in calls and records, checked by json_scan. Pure. */
#ifndef ESS_JSON_BODY_H
#define ESS_JSON_BODY_H

#include "common/base/error.h"
#include "common/base/span.h"
#include "common/json/json_scan.h"

enum { BODY_MEMBERS_MAX = 64 };

struct body {
    struct json_member members[BODY_MEMBERS_MAX]; /* pointing into the text */
    size_t count;
};

/* Reads an object. Empty text (or white space) counts as {}. A member outside `known`
 * (NULL-terminated; NULL: any) is an error, with its name in err->field. Returns 0 or -1. */
int body_parse(struct body *body, struct span text, const char *const *known, struct error *err);

/* Returns NULL for an absent member. */
const struct json_member *body_member(const struct body *body, const char *name);

/* Copies a string's text without U+0000 that fits into out_size bytes. An absent member leaves
 * `out` unchanged. Returns 0, or -1 with "must be" and `what`. */
int body_text(const struct body *body, const char *name, char *out, size_t out_size,
              const char *what, struct error *err);

#endif
