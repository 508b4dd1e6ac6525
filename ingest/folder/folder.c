/* The folders of subscribers' YAML files; see folder.h. Every scan compares all files with the log
 * and writes the differences, so the next scan repairs the effects of a crash or outage. A file
 * equal to its records is not compared again until either changes, so 10,000 files cost a stat
 * each. */
#include "ingest/folder/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>
#include <uthash.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/json/writer.h"
#include "ingest/folder/subscriber_file.h"
#include "ingest/ingest.h"
#include "ingest/registry/positions.h"
#include "ingest/registry/registration.h"
#include "ingest/registry/registry.h"
#include "ingest/registry/registry_write.h"
#include "ingest/registry/registry_writer.h"

enum {
    WATCHED = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_ONLYDIR
};
enum { SCAN_MS = 3000, SETTLE_MS = 50, GONE_AFTER_MS = 1500, FILES_MAX = 100000 };

struct directory {
    const char *path;
    ino_t inode;  /* 0: never seen with files */
    bool healthy; /* exists, is readable and is not suddenly empty */
    struct complaint complaint;
};

/* A subscriber in force whose file has disappeared. */
struct orphan {
    UT_hash_handle hh;
    char id[SPEC_ID_BYTES_MAX + 1];
    int64_t since_ms;
    bool seen; /* in this scan */
};

struct folder {
    struct ingest *ingest;
    struct directory *directories;
    size_t count;
    struct subscriber_file *files;  /* by path */
    struct subscriber_file **by_id; /* good files, sorted by id and then path */
    size_t by_id_count;
    bool stale;             /* by_id must be rebuilt */
    bool unsettled;         /* some records differ from the files */
    struct orphan *orphans; /* by id; while there are orphans, the next scan is soon */
    uint64_t version;       /* the registry's version at the last scan */
    struct loop_timer timer;
    struct loop_io io;
    int inotify;
};

static void folder_look_again(struct folder *f, int64_t wait_ms) {
    loop_timer_set(f->ingest->service.loop, &f->timer, clock_ms() + wait_ms);
}

/* --- finding files */

static bool folder_yaml_name(const char *name) {
    size_t len = strlen(name);
    return name[0] != '.' && ((len > 4 && strcmp(name + len - 4, ".yml") == 0) ||
                              (len > 5 && strcmp(name + len - 5, ".yaml") == 0));
}

static void folder_visit_file(struct folder *f, int folder_fd, const char *name, const char *path) {
    struct stat now;
    struct subscriber_file *file;
    struct spec_rules rules = ingest_spec_rules(f->ingest);
    rules.from_file = true;
    if (fstatat(folder_fd, name, &now, 0) || !S_ISREG(now.st_mode))
        return;
    HASH_FIND_STR(f->files, path, file);
    if (!file) {
        file = subscriber_file_new(path);
        HASH_ADD_KEYPTR(hh, f->files, file->path, strlen(file->path), file);
    }
    file->seen = true;
    f->stale |= subscriber_file_load(file, &now, &rules);
}

static bool folder_in_directory(const char *path, const char *directory) {
    size_t len = strlen(directory);
    return strncmp(path, directory, len) == 0 && path[len] == '/' && !strchr(path + len + 1, '/');
}

/* Whether subscribers in force come from the folder. A sudden emptiness must not remove any. */
static bool folder_defines_some(struct folder *f, const struct directory *d) {
    for (struct registry_entry *e = registry_first(f->ingest->registry); e; e = e->hh.next)
        if (e->readable && !e->removed && folder_in_directory(e->source, d->path))
            return true;
    return false;
}

static void folder_visit_files(struct folder *f, struct directory *d, DIR *dir, size_t *files) {
    char path[4096];
    struct dirent *entry;
    for (*files = 0; *files < FILES_MAX && (entry = readdir(dir));) {
        if (!folder_yaml_name(entry->d_name))
            continue;
        ++*files;
        snprintf(path, sizeof path, "%s/%s", d->path, entry->d_name);
        folder_visit_file(f, dirfd(dir), entry->d_name, path);
    }
}

static void folder_visit_directory(struct folder *f, struct directory *d) {
    struct stat now;
    size_t files;
    DIR *dir = opendir(d->path);
    d->healthy = dir && fstat(dirfd(dir), &now) == 0;
    if (!d->healthy) {
        complain(&d->complaint, "subscribers_folder", d->path, 0, strerror(errno));
        if (dir)
            closedir(dir);
        return;
    }
    folder_visit_files(f, d, dir, &files);
    closedir(dir);
    if (files == 0 && d->inode != now.st_ino && folder_defines_some(f, d)) {
        d->healthy = false;
        complain(&d->complaint, "subscribers_folder", d->path, 0,
                 "is empty although subscribers from this folder are in force: no subscriber is "
                 "removed");
        return;
    }
    d->inode = now.st_ino;
    complaint_clear(&d->complaint);
    if (f->inotify >= 0)
        inotify_add_watch(f->inotify, d->path, WATCHED);
}

static bool folder_may_still_be_there(const struct folder *f, const struct subscriber_file *file) {
    for (size_t i = 0; i < f->count; i++)
        if (!f->directories[i].healthy && folder_in_directory(file->path, f->directories[i].path))
            return true;
    return false;
}

/* Forgets disappeared files, except in a folder that cannot be read. */
static void folder_forget_files(struct folder *f) {
    for (struct subscriber_file *file = f->files, *next; file; file = next) {
        next = file->hh.next;
        if (!file->seen && !folder_may_still_be_there(f, file)) {
            HASH_DEL(f->files, file);
            subscriber_file_free(file);
            f->stale = true;
        } else {
            file->seen = false;
        }
    }
}

static int folder_by_id_and_path(const void *a, const void *b) {
    const struct subscriber_file *x = *(struct subscriber_file *const *)a,
                                 *y = *(struct subscriber_file *const *)b;
    int order = strcmp(x->spec.id, y->spec.id);
    return order ? order : strcmp(x->path, y->path);
}

static void folder_sort_files(struct folder *f) {
    if (!f->stale)
        return;
    f->stale = false;
    f->by_id = mem_resize(f->by_id, HASH_COUNT(f->files) * sizeof *f->by_id);
    f->by_id_count = 0;
    for (struct subscriber_file *file = f->files; file; file = file->hh.next)
        if (file->good)
            f->by_id[f->by_id_count++] = file;
    qsort(f->by_id, f->by_id_count, sizeof *f->by_id, folder_by_id_and_path);
}

/* --- from files to records */

/* Complains of a good file. A bad file has its own complaint already. */
static void folder_complain_of(struct subscriber_file *file, const char *error) {
    if (!file->bad)
        complain(&file->complaint, "bad_subscriber_file", file->path, 0, error);
}

static void folder_on_registered(void *arg, enum registration_outcome outcome, const char *reason) {
    struct ingest *ingest = arg;
    if (outcome == REGISTRATION_FAILED)
        log_warn("subscriber_not_written", LOG_S("reason", reason));
    if (ingest->folder)
        folder_look_again(ingest->folder, SCAN_MS);
}

static void folder_begin(struct folder *f, const struct subscriber_file *file, int64_t start) {
    registration_begin(f->ingest, &file->spec, file->path, "", "", start, folder_on_registered,
                       f->ingest);
}

/* Resolves the start position of a file's new subscriber. The file may have changed, or the folder
 * be gone, by the time of the answer. */
struct lookup {
    struct ingest *ingest;
    char *path;
};

static void folder_on_start(void *arg, const struct position *positions,
                            const struct error *refused) {
    struct lookup *l = arg;
    struct folder *f = l->ingest->folder;
    struct subscriber_file *file = NULL;
    if (f)
        HASH_FIND_STR(f->files, l->path, file);
    if (file)
        file->asking = false;
    if (file && refused)
        folder_complain_of(file, refused->message);
    else if (file && file->good &&
             !registry_in_force(registry_find(f->ingest->registry, file->spec.id)))
        folder_begin(f, file, positions[0].value);
    free(l->path);
    free(l);
}

static void folder_register_file(struct folder *f, struct subscriber_file *file) {
    const struct position position = position_of_spec(f->ingest, &file->spec);
    /* This ingest's own end is recent enough: the file appeared a moment ago. */
    if (file->spec.from == SPEC_FROM_END) {
        folder_begin(f, file, ingest_end(f->ingest));
        return;
    }
    struct lookup *l = mem_zero(sizeof *l);
    *l = (struct lookup){.ingest = f->ingest,
                         .path = mem_copy_string(file->path, strlen(file->path))};
    file->asking = true;
    positions_resolve(f->ingest, &position, 1, folder_on_start, l);
}

static void folder_register_or_update(struct folder *f, struct subscriber_file *file,
                                      struct registry_entry *entry) {
    if (registry_write_pending(f->ingest->registry_writes, file->spec.id))
        return;
    if (!entry || !entry->known) {
        folder_register_file(f, file);
    } else if (!registry_writer_update(f->ingest, entry, &file->spec, file->path)) {
        file->generation = entry->generation;
        file->keys_offset = entry->keys_offset;
    }
}

/* Writes the records of the file where they differ. */
static void folder_put_file(struct folder *f, struct subscriber_file *file,
                            struct registry_entry *entry) {
    char error[SPEC_ID_BYTES_MAX + 64];
    if (file->asking)
        return;
    if (entry && entry->known && !entry->readable) {
        folder_complain_of(file, entry->faults[REGISTRY_SPEC].reason);
    } else if (registry_in_force(entry) && !registry_is_file(entry)) {
        snprintf(error, sizeof error, "id: %s was registered through the API", file->spec.id);
        folder_complain_of(file, error);
    } else {
        if (!file->bad && (registry_in_force(entry) || file->spec.from == SPEC_FROM_END ||
                           file->spec.from == SPEC_FROM_BEGINNING))
            complaint_clear(&file->complaint);
        folder_register_or_update(f, file, entry);
    }
}

static bool folder_is_settled(const struct subscriber_file *file,
                              const struct registry_entry *entry) {
    return entry && file->generation >= 0 && file->generation == entry->generation &&
           file->keys_offset == entry->keys_offset && (file->bad || !file->complaint.error);
}

/* Chooses among several files with one id: the one in force, otherwise the first by name. The
 * others get a complaint. */
static struct subscriber_file *folder_choose(struct subscriber_file **files, size_t count,
                                             const struct registry_entry *entry) {
    if (entry && entry->readable && !entry->removed)
        for (size_t i = 0; i < count; i++)
            if (strcmp(entry->source, files[i]->path) == 0)
                return files[i];
    return files[0];
}

static void folder_put_all(struct folder *f) {
    f->unsettled = false;
    for (size_t i = 0, count; i < f->by_id_count; i += count) {
        const char *id = f->by_id[i]->spec.id;
        for (count = 1; i + count < f->by_id_count && strcmp(f->by_id[i + count]->spec.id, id) == 0;
             count++)
            ;
        struct registry_entry *entry = registry_find(f->ingest->registry, id);
        if (count == 1 && folder_is_settled(f->by_id[i], entry))
            continue;
        f->unsettled = true;
        struct subscriber_file *chosen = folder_choose(&f->by_id[i], count, entry);
        for (size_t j = i; j < i + count; j++) {
            char error[4200];
            snprintf(error, sizeof error, "id: %s is already defined by %s", id, chosen->path);
            if (f->by_id[j] != chosen)
                folder_complain_of(f->by_id[j], error);
        }
        folder_put_file(f, chosen, entry);
    }
}

/* --- removing */

static bool folder_has_file(const struct folder *f, const char *id) {
    size_t low = 0, high = f->by_id_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(f->by_id[middle]->spec.id, id);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* Whether the file of a subscriber in force has disappeared. A bad file still defines its
 * subscriber. */
static bool folder_is_gone(const struct folder *f, const struct registry_entry *entry) {
    struct subscriber_file *file;
    if (!entry->readable || entry->removed || !registry_is_file(entry) ||
        folder_has_file(f, entry->id))
        return false;
    HASH_FIND_STR(f->files, entry->source, file);
    return !file || file->good;
}

static bool folder_all_healthy(const struct folder *f) {
    for (size_t i = 0; i < f->count; i++)
        if (!f->directories[i].healthy)
            return false;
    return true;
}

static struct orphan *folder_orphan_of(struct folder *f, const char *id) {
    struct orphan *orphan;
    HASH_FIND_STR(f->orphans, id, orphan);
    if (orphan)
        return orphan;
    orphan = mem_zero(sizeof *orphan);
    *orphan = (struct orphan){.since_ms = clock_ms()};
    snprintf(orphan->id, sizeof orphan->id, "%s", id);
    HASH_ADD_STR(f->orphans, id, orphan);
    return orphan;
}

/* Forgets orphans not seen in this scan: defined by a file again, or no longer in force. */
static void folder_forget_orphans(struct folder *f) {
    struct orphan *orphan, *next;
    HASH_ITER(hh, f->orphans, orphan, next) {
        if (orphan->seen) {
            orphan->seen = false;
            continue;
        }
        HASH_DEL(f->orphans, orphan);
        free(orphan);
    }
}

/* Removes subscribers whose file stays away. Editors remove a file and put a new one in place. */
static void folder_remove_orphans(struct folder *f) {
    bool healthy = folder_all_healthy(f);
    for (struct registry_entry *e = registry_first(f->ingest->registry); e; e = e->hh.next) {
        if (!healthy || !folder_is_gone(f, e))
            continue;
        struct orphan *orphan = folder_orphan_of(f, e->id);
        orphan->seen = true;
        if (clock_ms() - orphan->since_ms >= GONE_AFTER_MS &&
            !registry_write_pending(f->ingest->registry_writes, e->id))
            registry_writer_remove(f->ingest, e);
    }
    folder_forget_orphans(f);
}

/* --- scan */

static void folder_scan(void *arg) {
    struct folder *f = arg;
    folder_look_again(f, SCAN_MS);
    if (!f->ingest->service.kafka_up)
        return;
    for (size_t i = 0; i < f->count; i++)
        folder_visit_directory(f, &f->directories[i]);
    folder_forget_files(f);
    bool changed = f->stale || f->unsettled || f->orphans ||
                   f->version != registry_version(f->ingest->registry);
    f->version = registry_version(f->ingest->registry);
    folder_sort_files(f);
    if (changed) {
        folder_put_all(f);
        folder_remove_orphans(f);
    }
    if (f->orphans)
        folder_look_again(f, GONE_AFTER_MS);
}

static void folder_on_inotify(void *arg, uint32_t events) {
    struct folder *f = arg;
    char ignored[4096];
    (void)events;
    while (read(f->inotify, ignored, sizeof ignored) > 0)
        ;
    folder_look_again(f, SETTLE_MS);
}

static void folder_put_error(const char *path, const struct complaint *c, struct buf *out) {
    if (!c->error)
        return;
    json_put_object(out);
    json_member_string(out, "file", path);
    json_member_number(out, "line", c->line ? c->line : 1);
    json_member_string(out, "error", c->error);
    json_end_object(out);
}

void folder_errors(const struct folder *f, struct buf *out) {
    for (size_t i = 0; i < f->count; i++)
        folder_put_error(f->directories[i].path, &f->directories[i].complaint, out);
    for (const struct subscriber_file *file = f->files; file; file = file->hh.next)
        folder_put_error(file->path, &file->complaint, out);
}

struct folder *folder_new(struct ingest *ingest) {
    const struct option_list *paths = &ingest->service.settings.subscribers_dir;
    struct folder *f = mem_zero(sizeof *f);
    f->ingest = ingest;
    f->inotify = -1;
    loop_timer_init(&f->timer, folder_scan, f);
    f->count = paths->count;
    f->directories = mem_zero(f->count * sizeof *f->directories);
    for (size_t i = 0; i < f->count; i++)
        f->directories[i].path = paths->items[i];
    if (f->count == 0)
        return f;
    f->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (f->inotify >= 0)
        loop_io_set(ingest->service.loop, &f->io, f->inotify, EPOLLIN, folder_on_inotify, f);
    folder_look_again(f, 0); /* in the next turn, once ingest->folder is set */
    return f;
}

void folder_free(struct folder *f) {
    struct subscriber_file *file, *next;
    if (!f)
        return;
    loop_timer_clear(f->ingest->service.loop, &f->timer);
    loop_io_clear(f->ingest->service.loop, &f->io);
    if (f->inotify >= 0)
        close(f->inotify);
    HASH_ITER(hh, f->files, file, next) {
        HASH_DEL(f->files, file);
        subscriber_file_free(file);
    }
    folder_forget_orphans(f);
    for (size_t i = 0; i < f->count; i++)
        complaint_clear(&f->directories[i].complaint);
    free(f->by_id);
    free(f->directories);
    free(f);
}
