/* A JSON object and its members, as a call or a record has them: checked by json_scan, each member
 * known. Pure. */
#ifndef ESS_JSON_BODY_H
#define ESS_JSON_BODY_H

#include <stdint.h>

#include "common/base/error.h"
#include "common/base/span.h"
#include "common/json/json_scan.h"

enum { BODY_MEMBERS_MAX = 64 };

struct body {
    struct json_member members[BODY_MEMBERS_MAX]; /* they point into the text */
    size_t count;
};

/* Reads it; empty (or white space) is {}. A member that is not in `known` (NULL-terminated; NULL:
 * any) is named in err->field. Returns 0 or -1. */
int body_parse(struct body *body, struct span text, const char *const *known, struct error *err);

/* NULL when it is not there. */
const struct json_member *body_member(const struct body *body, const char *name);

/* The text of a string that fits into out_size bytes and has no U+0000. Absent: `out` stays.
 * Returns 0, or -1 with `what` it must be. */
int body_text(const struct body *body, const char *name, char *out, size_t out_size,
              const char *what, struct error *err);

#endif
