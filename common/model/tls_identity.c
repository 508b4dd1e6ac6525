/* An identity in TLS; see tls_identity.h. */
#include "common/model/tls_identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/crypto/certificate.h"
#include "common/model/members.h"
#include "common/model/spec.h"

enum { PATH_BYTES_MAX = 4095 };

#define TLS_PEM(member, secret)                                                                    \
    {#member, offsetof(struct tls_identity, member), TLS_IDENTITY_PEM_BYTES_MAX, MEMBER_LINES,     \
     secret}
#define TLS_FILE(member)                                                                           \
    {#member, offsetof(struct tls_identity, member), PATH_BYTES_MAX, MEMBER_PRINTABLE, false}

/* The first three are what is written, and all that a JSON body may have. */
static const struct member members[] = {
    TLS_PEM(certificate, false), TLS_PEM(ca, false), TLS_PEM(key, true),
    TLS_FILE(certificate_file),  TLS_FILE(ca_file),  TLS_FILE(key_file),
};
enum { WRITTEN = 3, READ = sizeof members / sizeof *members };

static const struct members tls_written = {"tls", "certificate and key, or ca", members, WRITTEN},
                            tls_read = {"tls", "certificate and key, or ca", members, READ};

/* --- files */

static int tls_read_file(const struct spec_rules *rules, const char *name, const char *path,
                         char **out, struct error *err) {
    struct buf text = {0};
    char field[MEMBER_FIELD_BYTES];
    snprintf(field, sizeof field, "tls.%s_file", name);
    if (!path)
        return 0;
    if (*out)
        return error_set_field(err, field, "must not stand beside %s", name);
    struct error reason;
    int result = rules->read_file(rules->arg, path, TLS_IDENTITY_PEM_BYTES_MAX, &text, &reason);
    if (result == 0 && strlen(buf_string(&text)) != text.len)
        result = error_set(&reason, "must not hold U+0000");
    if (result)
        error_set_field(err, field, "%s: %s", path, reason.message);
    else
        *out = mem_copy_string(text.data, text.len);
    buf_wipe(&text);
    return result;
}

static int tls_read_files(struct tls_identity *t, const struct spec_rules *rules,
                          struct error *err) {
    if (!rules->read_file)
        return 0;
    return tls_read_file(rules, "certificate", t->certificate_file, &t->certificate, err) ||
                   tls_read_file(rules, "key", t->key_file, &t->key, err) ||
                   tls_read_file(rules, "ca", t->ca_file, &t->ca, err)
               ? -1
               : 0;
}

/* --- checks */

/* Blames the member, or the file that it was read from. */
static int tls_blame(const char *name, const char *path, const struct error *reason,
                     struct error *err) {
    char field[MEMBER_FIELD_BYTES];
    snprintf(field, sizeof field, "tls.%s%s", name, path ? "_file" : "");
    return path ? error_set_field(err, field, "%s %s", path, reason->message)
                : error_set_field(err, field, "%s", reason->message);
}

static int tls_check_certificates(struct tls_identity *t, struct error *err) {
    struct error reason;
    int64_t ignored;
    if (t->certificate && certificate_check(t->certificate, &t->not_after_ms, &reason))
        return tls_blame("certificate", t->certificate_file, &reason, err);
    if (t->ca && certificate_check(t->ca, &ignored, &reason))
        return tls_blame("ca", t->ca_file, &reason, err);
    return 0;
}

static int tls_check(struct tls_identity *t, const struct spec_rules *rules, struct error *err) {
    struct error reason;
    if (!t->certificate && !t->key && !t->ca)
        return error_set_field(err, "tls", "must have certificate and key, or ca, or all three");
    if (t->certificate && !t->key)
        return error_set_field(err, "tls.key", "is missing beside certificate");
    if (t->key && !t->certificate)
        return error_set_field(err, "tls.certificate", "is missing beside key");
    if (tls_check_certificates(t, err))
        return rules->from_record ? 0 : -1;
    if (t->key && !rules->from_record && certificate_check_key(t->certificate, t->key, &reason))
        return tls_blame("key", t->key_file, &reason, err);
    return 0;
}

/* --- the whole */

struct tls_identity *tls_identity_new(struct json_object *value, const struct spec_rules *rules,
                                      struct error *err) {
    struct tls_identity *t = mem_zero(sizeof *t);
    if (members_take(rules->read_file ? &tls_read : &tls_written, t, value, rules, err) == 0 &&
        tls_read_files(t, rules, err) == 0 && tls_check(t, rules, err) == 0)
        return t;
    tls_identity_free(t);
    return NULL;
}

void tls_identity_free(struct tls_identity *t) {
    if (!t)
        return;
    members_wipe(&tls_read, t);
    free(t);
}

bool tls_identity_has_files(const struct tls_identity *t) {
    return t->certificate_file || t->key_file || t->ca_file;
}

void tls_identity_to_json(const struct tls_identity *t, bool secrets, struct buf *out) {
    members_to_json(&tls_written, t, secrets, out);
}

bool tls_identity_put_secrets(const struct tls_identity *t, struct buf *out) {
    return members_put_secrets(&tls_written, t, out);
}

bool tls_identity_warning(const struct tls_identity *t, int64_t wall_ms, struct buf *out) {
    char text[CLOCK_TEXT_BYTES];
    if (t->not_after_ms == 0 ||
        t->not_after_ms - wall_ms > (int64_t)TLS_IDENTITY_WARN_DAYS * 24 * 60 * 60 * 1000)
        return false;
    clock_format(t->not_after_ms, text);
    buf_printf(out, "tls: the certificate %s at %s: give a new one",
               t->not_after_ms <= wall_ms ? "has expired" : "expires", text);
    return true;
}
