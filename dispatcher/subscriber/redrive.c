/* A redrive's dead letters; see redrive.h. Dead letters read ahead wait in a list. Each
 * stays until it is released, since it may have to be sent again. */
#include "dispatcher/subscriber/redrive.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/container_of.h"
#include "common/kafka/config.h"
#include "common/model/dead_letter.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/subscriber/redrive_reader.h"

struct read_letter {
    struct redrive_letter letter;
    struct buf text; /* backs the spans above */
    struct read_letter *prev, *next;
};

struct redrive {
    struct dispatcher *dispatcher;
    struct redrive_reader *reader;
    struct redrive_reader_user user; /* `read`: up to the job's end */
    const struct token_job *job;
    char *id, *registration_id;
    void (*ready)(void *arg);
    void *arg;
    struct read_letter *ahead; /* in the order of their offsets */
    struct read_letter *at;    /* the last one asked for; NULL: it was released */
    size_t ahead_bytes;
    bool asked;
    struct loop_timer turn; /* reports to the owner from the loop */
};

static bool redrive_wanted(const struct redrive *r, int64_t cursor) {
    for (int64_t i = 0; i < r->job->cursors_count; i++)
        if (r->job->cursors[i] == cursor)
            return true;
    return r->job->cursors_count == 0;
}

/* Copies a record's dead letter if the redrive wants it. */
static bool redrive_copy_letter(const struct redrive *r, struct span text,
                                struct read_letter *copy) {
    struct dead_letter_record record;
    struct error err;
    if (dead_letter_from_json(&record, text, &err) ||
        !span_equal(record.registration_id, span_of(r->registration_id)) ||
        !redrive_wanted(r, record.cursor) ||
        dead_letter_copy_event(&record, &copy->text, &copy->letter.topic, &copy->letter.id))
        return false;
    copy->letter.cursor = record.cursor;
    copy->letter.body = (struct span){copy->text.data, copy->text.len};
    return true;
}

/* --- reading ahead */

static void redrive_free_letter(struct read_letter *letter) {
    buf_fini(&letter->text);
    free(letter);
}

static void redrive_drop_first(struct redrive *r) {
    struct read_letter *first = r->ahead;
    r->ahead_bytes -= first->text.len;
    r->at = r->at == first ? NULL : r->at;
    DL_DELETE(r->ahead, first);
    redrive_free_letter(first);
}

static void redrive_add_letter(struct redrive *r, const struct redrive_reader_record *record) {
    struct read_letter *letter = mem_zero(sizeof *letter);
    if (!redrive_copy_letter(r, record->value, letter)) {
        redrive_free_letter(letter);
        return;
    }
    letter->letter.offset = record->offset;
    r->ahead_bytes += letter->text.len;
    DL_APPEND(r->ahead, letter);
}

static struct redrive *redrive_of(struct redrive_reader_user *user) {
    return container_of(user, struct redrive, user);
}

static void redrive_tell(struct redrive *r) {
    if (r->asked)
        loop_timer_set(r->dispatcher->service.loop, &r->turn, clock_ms());
}

static bool redrive_read_all(const struct redrive *r) { return r->user.read >= r->job->to; }

static bool redrive_on_record(struct redrive_reader_user *user,
                              const struct redrive_reader_record *record) {
    struct redrive *r = redrive_of(user);
    if (record->offset <= r->job->to && span_equal(record->key, span_of(r->id)))
        redrive_add_letter(r, record);
    if (r->ahead || redrive_read_all(r))
        redrive_tell(r);
    return !redrive_read_all(r) && r->ahead_bytes < redrive_reader_share_bytes(r->reader);
}

/* The partition ends before `to`: retention took the rest. */
static void redrive_on_end(struct redrive_reader_user *user) {
    struct redrive *r = redrive_of(user);
    user->read = r->job->to;
    redrive_tell(r);
}

static void redrive_on_turn(void *arg) {
    struct redrive *r = arg;
    r->asked = false;
    r->ready(r->arg);
}

static bool redrive_wants_more(const struct redrive *r) {
    return !redrive_read_all(r) && r->ahead_bytes <= redrive_reader_share_bytes(r->reader) / 2;
}

/* Reads on before the list runs dry, so that sending never waits for reading. */
static void redrive_read_on(struct redrive *r) {
    if (redrive_wants_more(r))
        redrive_reader_ask(r->reader, &r->user);
}

struct redrive *redrive_new(struct dispatcher *d, const char *id, const char *registration_id,
                            const struct token_job *job, void (*ready)(void *), void *arg,
                            struct error *err) {
    struct redrive_reader *reader = redrive_reader_join(d, err);
    if (!reader)
        return NULL;
    struct redrive *r = mem_zero(sizeof *r);
    *r = (struct redrive){.dispatcher = d,
                          .reader = reader,
                          .job = job,
                          .ready = ready,
                          .arg = arg,
                          .user = {.partition = kafka_partition_of(id, DEAD_LETTER_PARTITIONS),
                                   .read = job->position,
                                   .take = redrive_on_record,
                                   .ended = redrive_on_end}};
    r->id = mem_copy_string(id, strlen(id));
    r->registration_id = mem_copy_string(registration_id, strlen(registration_id));
    loop_timer_init(&r->turn, redrive_on_turn, r);
    return r;
}

void redrive_free(struct redrive *r) {
    if (!r)
        return;
    redrive_reader_leave(r->reader, &r->user);
    loop_timer_clear(r->dispatcher->service.loop, &r->turn);
    while (r->ahead)
        redrive_drop_first(r);
    free(r->id);
    free(r->registration_id);
    free(r);
}

bool redrive_waits(const struct redrive *r) { return r->asked; }

void redrive_release(struct redrive *r, int64_t settled) {
    while (r->ahead && r->ahead->letter.offset <= settled)
        redrive_drop_first(r);
}

/* The first letter above `position`: most often the one after the last asked for. */
static struct read_letter *redrive_above(struct redrive *r, int64_t position) {
    struct read_letter *at = r->at && r->at->letter.offset <= position ? r->at : r->ahead;
    while (at && at->letter.offset <= position)
        at = at->next;
    if (at)
        r->at = at;
    return at;
}

enum redrive_result redrive_next(struct redrive *r, int64_t position, struct redrive_letter *letter,
                                 int64_t *passed) {
    const struct read_letter *above = redrive_above(r, position);
    *passed = position;
    redrive_read_on(r);
    r->asked = false;
    if (above) {
        *letter = above->letter;
        return REDRIVE_LETTER;
    }
    if (redrive_read_all(r)) {
        *passed = r->job->to;
        return REDRIVE_END;
    }
    if (!redrive_wants_more(r))
        return REDRIVE_FULL;
    r->asked = true;
    return REDRIVE_LATER;
}
