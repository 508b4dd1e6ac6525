/* The PII rules in force; see filter.h. */
#include "ingest/publish/filter.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/http/metrics.h"

/* limit of rules and paths in a log line */
enum { TOLD_BYTES_MAX = 900 };

/* Filtered values by rule name, kept across reloads of the file. */
struct count {
    char name[PII_NAME_BYTES_MAX + 1];
    uint64_t values;
    UT_hash_handle hh;
};

struct filter {
    const char *path;
    struct pii *pii; /* NULL: no rules */
    uint16_t version;
    struct file_watch watch;
    struct count *counts;
    struct count **by_rule; /* counts of the rules in force */
};

static struct count *filter_count_of(struct filter *f, const char *name) {
    struct count *count;
    HASH_FIND_STR(f->counts, name, count);
    if (!count) {
        count = mem_zero(sizeof *count);
        memcpy(count->name, name, strlen(name));
        HASH_ADD_STR(f->counts, name, count);
    }
    return count;
}

static uint16_t filter_version_of(struct span text) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)text.data, text.len, digest);
    uint16_t version = (uint16_t)(digest[0] << 8 | digest[1]);
    return version ? version : 1;
}

static int filter_take_rules(struct filter *f, struct span text, struct error *err) {
    struct pii *pii = pii_read(text, err);
    if (!pii)
        return error_prefix(err, "%s:", f->path);
    pii_free(f->pii);
    f->pii = pii;
    f->version = filter_version_of(text);
    f->by_rule = mem_resize(f->by_rule, pii_count(pii) * sizeof *f->by_rule);
    for (size_t i = 0; i < pii_count(pii); i++)
        f->by_rule[i] = filter_count_of(f, pii_name(pii, i));
    return 0;
}

static void filter_on_changed(void *arg, struct span content, const struct error *unreadable) {
    struct filter *f = arg;
    struct error err;
    if (unreadable ? error_set(&err, "%s: %s", f->path, unreadable->message)
                   : filter_take_rules(f, content, &err))
        log_error("bad_pii_file", LOG_S("reason", err.message),
                  LOG_N("rules_in_force", pii_count(f->pii)));
    else
        log_info("pii_file_read", LOG_N("rules", pii_count(f->pii)));
}

struct filter *filter_new(struct loop *loop, const char *path, struct error *err) {
    struct filter *f = mem_zero(sizeof *f);
    struct buf text = {0};
    f->path = path;
    if (!*path)
        return f;
    int result = file_read(path, PII_FILE_BYTES_MAX, &text, err) ? error_prefix(err, "%s: ", path)
                                                                 : 0;
    if (result == 0)
        result = filter_take_rules(f, (struct span){buf_string(&text), text.len}, err);
    if (result == 0)
        file_watch_init(&f->watch, loop, path, PII_FILE_BYTES_MAX,
                        (struct span){text.data, text.len}, filter_on_changed, f);
    buf_wipe(&text); /* the text contains the hash key */
    if (result == 0)
        return f;
    filter_free(f);
    return NULL;
}

void filter_free(struct filter *f) {
    struct count *count, *next;
    if (!f)
        return;
    file_watch_fini(&f->watch);
    HASH_ITER(hh, f->counts, count, next) {
        HASH_DEL(f->counts, count);
        free(count);
    }
    free(f->by_rule);
    pii_free(f->pii);
    free(f);
}

/* --- events */

/* Collects the rules' reports for one event. */
struct telling {
    const struct pii *pii;
    struct filter_hits *hits;
    size_t last_rule;
    struct buf last_path; /* repeated paths are listed once */
};

static void filter_on_told(void *arg, size_t rule, const char *path) {
    struct telling *t = arg;
    struct filter_hits *hits = t->hits;
    hits->counts[rule]++;
    bool first = hits->values++ == 0;
    if (!first && rule == t->last_rule && strcmp(path, buf_string(&t->last_path)) == 0)
        return;
    if (hits->rules.len + hits->paths.len + strlen(path) > TOLD_BYTES_MAX)
        return;
    t->last_rule = rule;
    buf_clear(&t->last_path);
    buf_puts(&t->last_path, path);
    buf_printf(&hits->rules, "%s%s", first ? "" : ",", pii_name(t->pii, rule));
    buf_printf(&hits->paths, "%s%s", first ? "" : ",", path);
}

bool filter_event(const struct filter *f, struct event *event, struct buf *out,
                  struct filter_hits *hits) {
    struct telling telling = {.pii = f->pii, .hits = hits};
    event->rules = f->version;
    if (!f->pii ||
        !pii_filter(f->pii, span_of(event->topic), event->data, out, filter_on_told, &telling))
        return false;
    event->data = (struct span){out->data, out->len};
    buf_fini(&telling.last_path);
    return true;
}

void filter_count(struct filter *f, const struct event *event, const struct filter_hits *hits) {
    for (size_t i = 0; i < pii_count(f->pii); i++)
        f->by_rule[i]->values += hits->counts[i];
    log_info("pii_filtered", LOG_S("topic", event->topic), LOG_S("id", event->id),
             LOG_S("rule", buf_string(&hits->rules)), LOG_S("path", buf_string(&hits->paths)),
             LOG_N("values", hits->values));
}

char *filter_data(struct filter *f, const char *topic, struct span data) {
    struct event event = {.id = "test", .data = data};
    struct filter_hits hits = {.values = 0};
    struct buf out = {0};
    snprintf(event.topic, sizeof event.topic, "%s", topic);
    if (filter_event(f, &event, &out, &hits))
        filter_count(f, &event, &hits);
    char *rest = mem_copy_string(event.data.data, event.data.len);
    filter_hits_fini(&hits);
    buf_fini(&out);
    return rest;
}

void filter_hits_fini(struct filter_hits *hits) {
    buf_fini(&hits->rules);
    buf_fini(&hits->paths);
}

void filter_metrics(const struct filter *f, struct buf *out) {
    struct buf label = {0};
    metrics_family(out, "ess_pii_filtered_total", "counter",
                   "Values that a PII rule filtered, in whole or in part.");
    for (const struct count *count = f->counts; count; count = count->hh.next) {
        buf_clear(&label);
        metrics_label(&label, "rule", count->name);
        metrics_value(out, "ess_pii_filtered_total", buf_string(&label), (double)count->values);
    }
    buf_fini(&label);
}
