/* Principals, and reading auth.file; see principal.h. */
#include "common/access/principal.h"

#include <json-c/json.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/hex.h"
#include "common/base/names.h"
#include "common/json/yaml.h"

enum { DEPTH_MAX = 5, FIELD_BYTES = 64 };

struct principal *principal_new(size_t scopes_count) {
    struct principal *principal = mem_zero(sizeof *principal +
                                           scopes_count * sizeof *principal->scopes);
    principal->references = 1;
    principal->expires_ms = -1;
    principal->scopes_count = scopes_count;
    return principal;
}

struct principal *principal_keep(struct principal *principal) {
    principal->references++;
    return principal;
}

void principal_release(struct principal *principal) {
    if (principal && --principal->references == 0)
        free(principal);
}

bool principal_equal(const struct principal *a, const struct principal *b) {
    bool equal = strcmp(a->name, b->name) == 0 && strcmp(a->subscriber, b->subscriber) == 0 &&
                 strcmp(a->registration_id, b->registration_id) == 0 &&
                 a->expires_ms == b->expires_ms && a->scopes_count == b->scopes_count &&
                 principal_digest_equal(a->digest, b->digest);
    for (size_t i = 0; equal && i < a->scopes_count; i++)
        equal = a->scopes[i].kind == b->scopes[i].kind &&
                strcmp(a->scopes[i].pattern, b->scopes[i].pattern) == 0;
    return equal;
}

void principal_digest(struct span token, unsigned char digest[PRINCIPAL_DIGEST_BYTES]) {
    SHA256((const unsigned char *)token.data, token.len, digest);
}

bool principal_digest_equal(const unsigned char a[PRINCIPAL_DIGEST_BYTES],
                            const unsigned char b[PRINCIPAL_DIGEST_BYTES]) {
    return CRYPTO_memcmp(a, b, PRINCIPAL_DIGEST_BYTES) == 0;
}

int principal_digest_parse(struct span hex, unsigned char digest[PRINCIPAL_DIGEST_BYTES]) {
    return hex_parse(hex, digest, PRINCIPAL_DIGEST_BYTES);
}

/* --- the file */

/* "tokens[3].name" */
static int principal_blame(size_t index, const char *field, struct error *err, const char *reason) {
    char path[2 * FIELD_BYTES];
    snprintf(path, sizeof path, "tokens[%zu]%s%s", index, *field ? "." : "", field);
    return error_set_field(err, path, "%s", reason);
}

static const char *principal_text_of(struct json_object *token, const char *name) {
    struct json_object *value;
    bool found = json_object_object_get_ex(token, name, &value) &&
                 json_object_is_type(value, json_type_string);
    return found ? json_object_get_string(value) : NULL;
}

static int principal_check_fields(struct json_object *token, size_t index, struct error *err) {
    static const char *const known[] = {"name", "sha256", "scopes", "expires"};
    if (!json_object_is_type(token, json_type_object))
        return principal_blame(index, "", err, "must have name, sha256 and scopes");
    json_object_object_foreach(token, name, value) {
        (void)value;
        if (names_find(known, sizeof known / sizeof *known, name) < 0)
            return principal_blame(
                index, name, err,
                "is not a field of a token; fields are name, sha256, scopes and expires");
    }
    return 0;
}

static int principal_take_name(struct principal *principal, struct json_object *token, size_t index,
                               struct error *err) {
    const char *name = principal_text_of(token, "name");
    size_t len = name ? strlen(name) : 0;
    for (size_t i = 0; i < len; i++)
        if (name[i] < 0x21 || name[i] > 0x7e)
            len = 0;
    if (len == 0 || len >= PRINCIPAL_NAME_BYTES)
        return principal_blame(index, "name", err,
                               "must be text of 1 to 64 printable ASCII characters without spaces");
    memcpy(principal->name, name, len);
    return 0;
}

static int take_digest(struct principal *principal, struct json_object *token, size_t index,
                       struct error *err) {
    const char *hex = principal_text_of(token, "sha256");
    if (!hex || principal_digest_parse(span_of(hex), principal->digest))
        return principal_blame(
            index, "sha256", err,
            "must be the 64 hex digits of the token's SHA-256: printf %s \"$TOKEN\" | sha256sum");
    return 0;
}

static int take_expires(struct principal *principal, struct json_object *token, size_t index,
                        struct error *err) {
    const char *text = principal_text_of(token, "expires");
    if (!json_object_object_get_ex(token, "expires", NULL))
        return 0;
    if (!text || clock_parse(text, strlen(text), &principal->expires_ms))
        return principal_blame(index, "expires", err,
                               "must be a time such as 2027-01-31T12:00:00Z");
    return 0;
}

static int take_scopes(struct principal *principal, struct json_object *scopes, size_t index,
                       struct error *err) {
    for (size_t i = 0; i < principal->scopes_count; i++) {
        struct json_object *scope = json_object_array_get_idx(scopes, i);
        char field[FIELD_BYTES];
        struct error reason;
        error_set(&reason, "must be text such as read:*");
        if (json_object_is_type(scope, json_type_string) &&
            scope_parse(&principal->scopes[i], json_object_get_string(scope), &reason) == 0)
            continue;
        snprintf(field, sizeof field, "scopes[%zu]", i);
        return principal_blame(index, field, err, reason.message);
    }
    return 0;
}

/* Returns NULL with the reason. */
static struct principal *principal_read_token(struct json_object *token, size_t index,
                                              struct error *err) {
    struct json_object *scopes = NULL;
    if (principal_check_fields(token, index, err))
        return NULL;
    size_t count = 0;
    if (json_object_object_get_ex(token, "scopes", &scopes) &&
        json_object_is_type(scopes, json_type_array))
        count = json_object_array_length(scopes);
    if (count == 0 || count > PRINCIPAL_SCOPES_MAX) {
        principal_blame(
            index, "scopes", err,
            "must be a list of 1 to 100 scopes, such as [\"publish:drug.*\", \"read:*\"]");
        return NULL;
    }
    struct principal *principal = principal_new(count);
    if (principal_take_name(principal, token, index, err) ||
        take_digest(principal, token, index, err) || take_expires(principal, token, index, err) ||
        take_scopes(principal, scopes, index, err)) {
        principal_release(principal);
        return NULL;
    }
    return principal;
}

static int check_unique(const struct principals *principals, const struct principal *principal,
                        struct error *err) {
    for (size_t i = 0; i < principals->count; i++) {
        if (strcmp(principals->items[i]->name, principal->name) == 0)
            return principal_blame(principals->count, "name", err, "is used by another token too");
        if (principal_digest_equal(principals->items[i]->digest, principal->digest))
            return principal_blame(principals->count, "sha256", err,
                                   "is used by another token too");
    }
    return 0;
}

static int read_tokens(struct principals *principals, struct json_object *root, struct error *err) {
    struct json_object *list = NULL;
    json_object_object_foreach(root, name, value) {
        if (strcmp(name, "tokens") != 0)
            return error_set_field(err, name, "is unknown; the file has only tokens");
        list = value;
    }
    if (!json_object_is_type(list, json_type_array))
        return error_set_field(err, "tokens", "must be a list of tokens");
    if (json_object_array_length(list) > PRINCIPALS_MAX)
        return error_set_field(err, "tokens", "must not be more than %d", PRINCIPALS_MAX);
    principals->items = mem_zero(json_object_array_length(list) * sizeof *principals->items);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct principal *principal = principal_read_token(json_object_array_get_idx(list, i), i,
                                                           err);
        if (!principal)
            return -1;
        if (check_unique(principals, principal, err)) {
            principal_release(principal);
            return -1;
        }
        principals->items[principals->count++] = principal;
    }
    return 0;
}

int principals_from_yaml(struct principals *principals, struct span text, struct error *err) {
    struct yaml yaml;
    *principals = (struct principals){0};
    if (yaml_read(&yaml, text, PRINCIPALS_FILE_BYTES_MAX, DEPTH_MAX, err))
        return -1;
    int result = read_tokens(principals, yaml.root, err);
    if (result) {
        error_prefix(err, "%zu: ", yaml_line(&yaml, err->field));
        principals_fini(principals);
    }
    yaml_fini(&yaml);
    return result;
}

struct principal *principals_find(const struct principals *principals,
                                  const unsigned char digest[PRINCIPAL_DIGEST_BYTES]) {
    struct principal *found = NULL;
    for (size_t i = 0; i < principals->count; i++)
        if (principal_digest_equal(principals->items[i]->digest, digest))
            found = principals->items[i];
    return found;
}

void principals_keep_same(struct principals *principals, const struct principals *old) {
    for (size_t i = 0; i < principals->count; i++) {
        struct principal *before = principals_find(old, principals->items[i]->digest);
        if (!before || !principal_equal(before, principals->items[i]))
            continue;
        principal_release(principals->items[i]);
        principals->items[i] = principal_keep(before);
    }
}

void principals_fini(struct principals *principals) {
    for (size_t i = 0; i < principals->count; i++)
        principal_release(principals->items[i]);
    free(principals->items);
    *principals = (struct principals){0};
}
