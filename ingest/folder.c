/* The folders of subscribers' YAML files; see folder.h. Every scan compares all files with the log and writes what differs:
 * what a crash or an outage prevented is made good by the next scan. */
#include "ingest/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "ingest/ingest.h"
#include "ingest/registry.h"

enum { SCAN_MS = 1500, SETTLE_MS = 50, SCANS_UNTIL_REMOVED = 2, FILES_MAX = 100000 };

/* A file as it was last read. */
struct file {
    UT_hash_handle hh;
    char *path; /* "subscribers/mmis.yml" */
    struct timespec modified;
    off_t size;
    ino_t inode;
    bool seen;      /* in this scan */
    bool good;      /* `spec` is its content */
    bool again;     /* read it again although it looks the same: a secret_file may have changed, or reading failed */
    struct spec spec;
    char *complaint; /* what was last logged about it, so that it is said once */
};

struct directory {
    const char *path;
    ino_t inode;     /* 0: never seen with files in it */
    bool healthy;    /* there, readable, and not suddenly empty */
    int watch;
    char *complaint;
};

struct folder {
    struct ingest *ingest;
    struct directory *directories;
    size_t count;
    struct file *files; /* by path, sorted */
    struct loop_timer timer;
    struct loop_io io;
    int inotify;
};

static void complain(char **last, const char *event, const char *path, const char *reason) {
    if (*last && strcmp(*last, reason) == 0)
        return;
    free(*last);
    *last = mem_copy_string(reason, strlen(reason));
    log_error(event, LOG_S("file", path), LOG_S("reason", reason));
}

static void withdraw_complaint(struct file *file) {
    free(file->complaint);
    file->complaint = NULL;
}

static void file_drop(struct folder *f, struct file *file) {
    HASH_DEL(f->files, file);
    if (file->good)
        spec_fini(&file->spec);
    free(file->complaint);
    free(file->path);
    free(file);
}

/* The secret of a `secret_file`: its one line. A relative path begins at the YAML file's folder. */
static int read_secret(const char *yaml_path, struct spec *spec, struct error *err) {
    char path[4096];
    struct buf text = {0};
    const char *slash = strrchr(yaml_path, '/');
    int folder_len = slash && spec->secret_file[0] != '/' ? (int)(slash - yaml_path + 1) : 0;
    snprintf(path, sizeof path, "%.*s%s", folder_len, yaml_path, spec->secret_file);
    int result = file_read(path, SPEC_SECRET_BYTES_MAX, &text, err);
    size_t len = strcspn(buf_string(&text), "\r\n");
    if (result == 0 && (len == 0 || strspn(buf_string(&text) + len, "\r\n") != text.len - len))
        result = error_set(err, "must hold one line");
    if (result)
        error_prefix(err, "secret_file: %s: ", spec->secret_file);
    else
        spec->secret = mem_copy_string(text.data, len);
    explicit_bzero(text.data, text.data ? text.cap : 0);
    buf_fini(&text);
    return result;
}

static int parse_file(struct folder *f, const char *path, struct spec *spec, struct error *err) {
    const struct settings *s = &f->ingest->settings;
    const struct spec_rules rules = {.allowed = s->allowed, .allowed_count = s->allowed_count, .from_file = true};
    struct buf text = {0};
    int result = file_read(path, SPEC_FILE_BYTES_MAX, &text, err);
    if (result == 0)
        result = spec_from_yaml(spec, (struct span){buf_string(&text), text.len}, &rules, err);
    explicit_bzero(text.data, text.data ? text.cap : 0);
    buf_fini(&text);
    if (result == 0 && spec->secret_file && read_secret(path, spec, err)) {
        spec_fini(spec);
        result = -1;
    }
    return result;
}

static bool unchanged(const struct file *file, const struct stat *now) {
    return !file->again && file->size == now->st_size && file->inode == now->st_ino && file->modified.tv_sec == now->st_mtim.tv_sec &&
           file->modified.tv_nsec == now->st_mtim.tv_nsec;
}

static void load_file(struct folder *f, struct file *file, const struct stat *now) {
    struct spec spec;
    struct error err;
    char reason[sizeof err.message + 4096];
    file->modified = now->st_mtim;
    file->size = now->st_size;
    file->inode = now->st_ino;
    if (parse_file(f, file->path, &spec, &err)) {
        snprintf(reason, sizeof reason, "%s:%s; %s", file->path, err.message,
                 file->good ? "its last good version stays in force" : "it is not in force");
        file->again = true;
        complain(&file->complaint, "bad_subscriber_file", file->path, reason);
        return;
    }
    if (file->good)
        spec_fini(&file->spec);
    withdraw_complaint(file);
    file->spec = spec;
    file->good = true;
    file->again = spec.secret_file != NULL;
}

static bool yaml_name(const char *name) {
    size_t len = strlen(name);
    return name[0] != '.' && ((len > 4 && strcmp(name + len - 4, ".yml") == 0) || (len > 5 && strcmp(name + len - 5, ".yaml") == 0));
}

static void visit_file(struct folder *f, const char *path) {
    struct stat now;
    struct file *file;
    if (stat(path, &now) || !S_ISREG(now.st_mode))
        return;
    HASH_FIND_STR(f->files, path, file);
    if (!file) {
        file = mem_zero(sizeof *file);
        file->path = mem_copy_string(path, strlen(path));
        file->again = true;
        HASH_ADD_KEYPTR(hh, f->files, file->path, strlen(file->path), file);
    }
    file->seen = true;
    if (!unchanged(file, &now))
        load_file(f, file, &now);
}

static bool in_directory(const char *path, const char *directory) {
    size_t len = strlen(directory);
    return strncmp(path, directory, len) == 0 && path[len] == '/' && !strchr(path + len + 1, '/');
}

/* Whether subscribers of this folder are in force, which its sudden emptiness would remove. */
static bool defines_some(struct folder *f, const struct directory *d) {
    for (struct registry_entry *e = registry_first(f->ingest->registry); e; e = e->hh.next)
        if (e->readable && !e->removed && in_directory(e->source, d->path))
            return true;
    return false;
}

static void visit_directory(struct folder *f, struct directory *d) {
    char path[4096];
    struct dirent *entry;
    struct stat now;
    size_t files = 0;
    DIR *dir = opendir(d->path);
    d->healthy = dir && fstat(dirfd(dir), &now) == 0;
    if (!d->healthy) {
        complain(&d->complaint, "subscribers_folder", d->path, strerror(errno));
        if (dir)
            closedir(dir);
        return;
    }
    while ((entry = readdir(dir)) && files < FILES_MAX) {
        if (!yaml_name(entry->d_name))
            continue;
        files++;
        snprintf(path, sizeof path, "%s/%s", d->path, entry->d_name);
        visit_file(f, path);
    }
    closedir(dir);
    if (files == 0 && d->inode != now.st_ino && defines_some(f, d)) {
        d->healthy = false;
        complain(&d->complaint, "subscribers_folder", d->path, "is empty, but subscribers of it are in force: nothing is removed");
        return;
    }
    d->inode = now.st_ino;
    free(d->complaint);
    d->complaint = NULL;
    if (f->inotify >= 0)
        d->watch = inotify_add_watch(f->inotify, d->path, IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_ONLYDIR);
}

static int by_path(struct file *a, struct file *b) { return strcmp(a->path, b->path); }

/* Of several files with one id the one in force goes first, else the first by name; the others are named. */
static struct file *owner_of(struct folder *f, const char *id) {
    struct registry_entry *entry = registry_find(f->ingest->registry, id);
    struct file *first = NULL;
    for (struct file *file = f->files; file; file = file->hh.next) {
        if (!file->good || strcmp(file->spec.id, id) != 0)
            continue;
        if (entry && entry->known && entry->readable && !entry->removed && strcmp(entry->source, file->path) == 0)
            return file;
        if (!first)
            first = file;
    }
    return first;
}

/* A file that is good in itself may still not come into force; then that is said. */
static void put_file(struct folder *f, struct file *file) {
    struct registry_entry *entry = registry_find(f->ingest->registry, file->spec.id);
    struct file *owner = owner_of(f, file->spec.id);
    struct error err;
    char reason[1024];
    if (owner != file)
        snprintf(reason, sizeof reason, "%s: id: %s is defined by %s already", file->path, file->spec.id, owner->path);
    else if (entry && entry->known && entry->readable && !entry->removed && strcmp(entry->source, "api") == 0)
        snprintf(reason, sizeof reason, "%s: id: %s was registered through the API", file->path, file->spec.id);
    else if (registry_put(f->ingest->registry, &file->spec, file->path, &err) < 0)
        snprintf(reason, sizeof reason, "%s: %s", file->path, err.message);
    else {
        if (!file->again)
            withdraw_complaint(file);
        return;
    }
    complain(&file->complaint, "bad_subscriber_file", file->path, reason);
}

/* Whether a subscriber in force is defined by nothing any more. A file that is there but bad defines what it did. */
static bool is_gone(struct folder *f, const struct registry_entry *entry) {
    struct file *file;
    if (!entry->known || !entry->readable || entry->removed || strcmp(entry->source, "api") == 0 || owner_of(f, entry->id))
        return false;
    HASH_FIND_STR(f->files, entry->source, file);
    if (file && !file->good)
        return false;
    for (size_t i = 0; i < f->count; i++)
        if (!f->directories[i].healthy)
            return false;
    return true;
}

static void remove_missing(struct folder *f) {
    for (struct registry_entry *e = registry_first(f->ingest->registry); e; e = e->hh.next) {
        if (!is_gone(f, e))
            e->missing_scans = 0;
        else if (++e->missing_scans >= SCANS_UNTIL_REMOVED)
            registry_remove(f->ingest->registry, e);
    }
}

/* Files that are not there any more are forgotten; but those of a folder that cannot be read may still be. */
static void forget_files(struct folder *f) {
    struct file *file, *next;
    HASH_ITER(hh, f->files, file, next) {
        bool unsure = false;
        for (size_t i = 0; i < f->count; i++)
            unsure |= !f->directories[i].healthy && in_directory(file->path, f->directories[i].path);
        if (!file->seen && !unsure)
            file_drop(f, file);
        else
            file->seen = false;
    }
}

static void scan(void *arg) {
    struct folder *f = arg;
    loop_timer_set(f->ingest->loop, &f->timer, clock_ms() + SCAN_MS);
    if (!f->ingest->kafka_up)
        return;
    for (size_t i = 0; i < f->count; i++)
        visit_directory(f, &f->directories[i]);
    forget_files(f);
    HASH_SORT(f->files, by_path);
    for (struct file *file = f->files; file; file = file->hh.next)
        if (file->good)
            put_file(f, file);
    remove_missing(f);
}

static void on_inotify(void *arg, uint32_t events) {
    struct folder *f = arg;
    char ignored[4096];
    (void)events;
    while (read(f->inotify, ignored, sizeof ignored) > 0)
        ;
    loop_timer_set(f->ingest->loop, &f->timer, clock_ms() + SETTLE_MS);
}

struct folder *folder_new(struct ingest *ingest) {
    const struct option_list *paths = &ingest->settings.subscribers_dir;
    struct folder *f = mem_zero(sizeof *f);
    f->ingest = ingest;
    f->inotify = -1;
    loop_timer_init(&f->timer, scan, f);
    f->count = paths->count;
    f->directories = mem_zero(f->count * sizeof *f->directories);
    for (size_t i = 0; i < f->count; i++)
        f->directories[i].path = paths->items[i];
    if (f->count == 0)
        return f;
    f->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (f->inotify >= 0)
        loop_io_set(ingest->loop, &f->io, f->inotify, EPOLLIN, on_inotify, f);
    scan(f);
    return f;
}

void folder_free(struct folder *f) {
    if (!f)
        return;
    loop_timer_clear(f->ingest->loop, &f->timer);
    loop_io_clear(f->ingest->loop, &f->io);
    if (f->inotify >= 0)
        close(f->inotify);
    while (f->files)
        file_drop(f, f->files);
    for (size_t i = 0; i < f->count; i++)
        free(f->directories[i].complaint);
    free(f->directories);
    free(f);
}
