/* Subscribers' files; see subscriber_file.h. */
#include "ingest/folder/subscriber_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/number.h"
#include "common/crypto/signature.h"
#include "common/model/tls_identity.h"
#include "ingest/registry/warnings.h"

/* --- complaints */

void complaint_clear(struct complaint *c) {
    free(c->error);
    *c = (struct complaint){0};
}

void complain(struct complaint *c, const char *event, const char *file, int64_t line,
              const char *error) {
    struct buf reason = {0};
    if (c->error && c->line == line && strcmp(c->error, error) == 0)
        return;
    char *kept = mem_copy_string(error, strlen(error)); /* `error` may point into `c` */
    complaint_clear(c);
    *c = (struct complaint){kept, line};
    buf_puts(&reason, file);
    if (line)
        buf_printf(&reason, ":%" PRId64, line);
    buf_printf(&reason, ": %s", kept);
    log_error(event, LOG_S("file", file), LOG_S("reason", buf_string(&reason)));
    buf_fini(&reason);
}

/* --- reading */

/* Reads a file that a YAML file names. A relative path starts at the YAML file's folder. */
static int subscriber_file_read_named(void *yaml_path, const char *name, size_t max,
                                      struct buf *out, struct error *err) {
    char path[4096];
    const char *from = yaml_path, *slash = strrchr(from, '/');
    int folder_len = slash && name[0] != '/' ? (int)(slash - from + 1) : 0;
    snprintf(path, sizeof path, "%.*s%s", folder_len, from, name);
    return file_read(path, max, out, err);
}

/* Reads the one line of a `secret_file`. */
static int subscriber_file_read_secret(char *yaml_path, struct spec *spec, struct error *err) {
    struct buf text = {0};
    int result = subscriber_file_read_named(yaml_path, spec->secret_file, SPEC_SECRET_BYTES_MAX,
                                            &text, err);
    size_t len = strcspn(buf_string(&text), "\r\n");
    if (result == 0 && (len == 0 || strspn(buf_string(&text) + len, "\r\n") != text.len - len))
        result = error_set(err, "must hold one line");
    if (result == 0) {
        spec->secret = mem_copy_string(text.data, len);
        result = strlen(spec->secret) == len ? signature_check_secret(spec->secret, err)
                                             : error_set(err, "must not hold U+0000");
    }
    if (result)
        error_prefix(err, "secret_file: %s: ", spec->secret_file);
    buf_wipe(&text);
    return result;
}

/* On failure err->message may start with the line: "4: throttle: …". */
static int subscriber_file_parse(char *path, const struct spec_rules *rules, struct spec *spec,
                                 struct error *err) {
    struct buf text = {0};
    int result = file_read(path, SPEC_FILE_BYTES_MAX, &text, err);
    if (result == 0)
        result = spec_from_yaml(spec, (struct span){buf_string(&text), text.len}, rules, err);
    buf_wipe(&text);
    if (result == 0 && spec->secret_file && subscriber_file_read_secret(path, spec, err)) {
        spec_fini(spec);
        result = -1;
    }
    return result;
}

static void complain_of(struct subscriber_file *file, const struct error *err) {
    char error[sizeof err->message + 64];
    size_t digits = strspn(err->message, "0123456789");
    const char *rest = err->message + digits;
    int64_t line = number_parse((struct span){err->message, digits});
    bool has_line = line > 0 && strncmp(rest, ": ", 2) == 0;
    snprintf(error, sizeof error, "%s; %s", has_line ? rest + 2 : err->message,
             file->good ? "the last good version stays in force" : "the file is not in force");
    complain(&file->complaint, "bad_subscriber_file", file->path, has_line ? line : 0, error);
}

/* Whether the file was modified so recently that a further change may leave the mtime alone. */
static bool subscriber_file_is_fresh(const struct stat *now) {
    enum { COARSE_MS = 2000 };
    return clock_wall_ms() - (int64_t)now->st_mtim.tv_sec * 1000 < COARSE_MS;
}

static bool subscriber_file_unchanged(const struct subscriber_file *file, const struct stat *now) {
    return !file->again && file->size == now->st_size && file->inode == now->st_ino &&
           file->modified.tv_sec == now->st_mtim.tv_sec &&
           file->modified.tv_nsec == now->st_mtim.tv_nsec;
}

/* Whether the YAML file names other files. Their changes do not show in the YAML file itself. */
static bool subscriber_file_names_files(const struct spec *spec) {
    return spec->secret_file || (spec->tls && tls_identity_has_files(spec->tls));
}

/* A pulled subscriber has no secret. */
static bool subscriber_file_same_secret(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool subscriber_file_same_spec(const struct spec *a, const struct spec *b) {
    return spec_equal(a, b) && subscriber_file_same_secret(a->secret, b->secret) &&
           a->from == b->from && a->from_value == b->from_value;
}

bool subscriber_file_load(struct subscriber_file *file, const struct stat *now,
                          const struct spec_rules *rules) {
    struct spec_rules own = *rules;
    struct spec spec;
    struct error err;
    bool was_bad = file->bad;
    if (subscriber_file_unchanged(file, now))
        return false;
    file->modified = now->st_mtim;
    file->size = now->st_size;
    file->inode = now->st_ino;
    own.read_file = subscriber_file_read_named;
    own.arg = file->path;
    file->bad = subscriber_file_parse(file->path, &own, &spec, &err) != 0;
    file->again = file->bad || subscriber_file_names_files(&spec) || subscriber_file_is_fresh(now);
    if (file->bad) {
        complain_of(file, &err);
        return false;
    }
    if (was_bad)
        complaint_clear(&file->complaint);
    if (file->good && subscriber_file_same_spec(&file->spec, &spec)) {
        spec_fini(&spec);
        return was_bad;
    }
    if (file->good)
        spec_fini(&file->spec);
    file->spec = spec;
    file->good = true;
    warnings_put(&spec, NULL);
    file->generation = file->keys_offset = -1;
    return true;
}

struct subscriber_file *subscriber_file_new(const char *path) {
    struct subscriber_file *file = mem_zero(sizeof *file);
    file->path = mem_copy_string(path, strlen(path));
    file->again = true;
    file->generation = file->keys_offset = -1;
    return file;
}

void subscriber_file_free(struct subscriber_file *file) {
    if (file->good)
        spec_fini(&file->spec);
    complaint_clear(&file->complaint);
    free(file->path);
    free(file);
}
