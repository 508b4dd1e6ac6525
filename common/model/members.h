/* A field of a spec whose value is a map of texts, some of them secret: `sns`, `tls`, `oauth2`. The
 * members stand in one table, by which they are read, written and wiped. Pure, any thread. */
#ifndef ESS_MODEL_MEMBERS_H
#define ESS_MODEL_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/error.h"

struct json_object;
struct spec_rules;

enum member_text {
    MEMBER_VISIBLE,   /* printable ASCII without spaces */
    MEMBER_PRINTABLE, /* printable ASCII */
    MEMBER_LINES,     /* printable ASCII, tabs and line ends */
};

struct member {
    const char *name;
    size_t offset; /* of a `char *` in the struct: owned, NULL when left out */
    size_t max;    /* bytes */
    enum member_text text;
    bool secret;
};

struct members {
    const char *field; /* "sns" */
    const char *needs; /* a member that must be there, for the error about another type */
    const struct member *list;
    size_t count;
};

enum { MEMBER_FIELD_BYTES = 64 };

/* Reads the map `value` into `object`, whose texts were NULL. Returns 0, or -1 with the reason,
 * which blames the field or one of its members ("sns.topic_arn"). */
int members_take(const struct members *members, void *object, struct json_object *value,
                 const struct spec_rules *rules, struct error *err);
/* Overwrites and frees the texts. */
void members_wipe(const struct members *members, void *object);

/* Appends an object of the members that are there, in the table's order. Secrets are written whole
 * when `secrets`, else as a list of their names. */
void members_to_json(const struct members *members, const void *object, bool secrets,
                     struct buf *out);
/* Appends an object of the secrets alone. Returns whether there are any. */
bool members_put_secrets(const struct members *members, const void *object, struct buf *out);

#endif
