/* Dead letters on their way back; see redrive.h. The letters that were read ahead wait in a list;
 * the first stays until a later one is asked for, since it may have to be sent again. */
#include "dispatcher/subscriber/redrive.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/json/json_scan.h"
#include "common/kafka/config.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/subscriber/letters.h"

enum { MEMBERS_MAX = 32 };

struct read_letter {
    struct redrive_letter letter;
    struct buf text; /* that it points into */
    struct read_letter *prev, *next;
};

struct redrive {
    struct dispatcher *dispatcher;
    struct letters *letters;
    struct letters_user user; /* its `read`: up to the job's end */
    const struct token_job *job;
    char *id, *born;
    void (*ready)(void *arg);
    void *arg;
    struct read_letter *ahead; /* in the order of their offsets */
    size_t ahead_bytes;
    bool asked;
    struct loop_timer turn; /* tells who has asked */
};

/* --- a letter's record */

static const struct json_member *member(const struct json_member *members, size_t count,
                                        const char *name) {
    for (size_t i = 0; i < count; i++)
        if (span_equal(members[i].name, span_of(name)))
            return &members[i];
    return NULL;
}

static bool is_text(const struct json_member *m, const char *text) {
    return m && m->kind == JSON_IS_STRING && m->value.len == strlen(text) + 2 &&
           memcmp(m->value.data + 1, text, m->value.len - 2) == 0;
}

static struct span inside(const struct json_member *m) {
    return m && m->kind == JSON_IS_STRING ? (struct span){m->value.data + 1, m->value.len - 2}
                                          : (struct span){NULL, 0};
}

/* The event without its `prev_cursor`, which belongs to the live stream. */
static void copy_body(struct buf *out, struct span event, const struct json_member *prev) {
    const char *from = prev ? prev->name.data - 1 : event.data + event.len;
    const char *behind = prev ? prev->value.data + prev->value.len : from;
    buf_append(out, event.data, (size_t)(from - event.data));
    behind += prev && *behind == ',';
    buf_append(out, behind, (size_t)(event.data + event.len - behind));
}

/* Points the letter into the copy: its members' places in it are found once more. */
static bool point_into_copy(struct read_letter *copy) {
    struct json_member members[MEMBERS_MAX];
    struct error err;
    size_t count;
    struct span body = {copy->text.data, copy->text.len};
    if (json_scan_object(body, JSON_DEPTH_MAX, members, MEMBERS_MAX, &count, &err))
        return false;
    copy->letter.body = body;
    copy->letter.topic = inside(member(members, count, "topic"));
    copy->letter.id = inside(member(members, count, "id"));
    return copy->letter.topic.len && copy->letter.id.len;
}

static bool wanted(const struct redrive *r, int64_t cursor) {
    for (int64_t i = 0; i < r->job->cursors_count; i++)
        if (r->job->cursors[i] == cursor)
            return true;
    return r->job->cursors_count == 0;
}

/* Copies a record's letter, when it is this redrive's. */
static bool copy_letter(const struct redrive *r, struct span record, struct read_letter *copy) {
    struct json_member outer[MEMBERS_MAX], inner[MEMBERS_MAX];
    size_t outer_count, inner_count;
    struct error err;
    if (json_scan_object(record, JSON_DEPTH_MAX + 1, outer, MEMBERS_MAX, &outer_count, &err) ||
        !is_text(member(outer, outer_count, "born"), r->born))
        return false;
    const struct json_member *cursor = member(outer, outer_count, "cursor");
    const struct json_member *event = member(outer, outer_count, "event");
    if (!cursor || cursor->kind != JSON_IS_NUMBER || !event || event->kind != JSON_IS_OBJECT)
        return false;
    copy->letter.cursor = strtoll(cursor->value.data, NULL, 10);
    if (!wanted(r, copy->letter.cursor) ||
        json_scan_object(event->value, JSON_DEPTH_MAX, inner, MEMBERS_MAX, &inner_count, &err))
        return false;
    copy_body(&copy->text, event->value, member(inner, inner_count, "prev_cursor"));
    return point_into_copy(copy);
}

/* --- reading ahead */

static void free_letter(struct read_letter *letter) {
    buf_fini(&letter->text);
    free(letter);
}

static void drop_first(struct redrive *r) {
    struct read_letter *first = r->ahead;
    r->ahead_bytes -= first->text.len;
    DL_DELETE(r->ahead, first);
    free_letter(first);
}

static void add_letter(struct redrive *r, const struct letters_record *record) {
    struct read_letter *letter = mem_zero(sizeof *letter);
    if (!copy_letter(r, record->value, letter)) {
        free_letter(letter);
        return;
    }
    letter->letter.offset = record->offset;
    r->ahead_bytes += letter->text.len;
    DL_APPEND(r->ahead, letter);
}

static struct redrive *redrive_of(struct letters_user *user) {
    return (struct redrive *)(void *)((char *)user - offsetof(struct redrive, user));
}

static void tell(struct redrive *r) {
    if (r->asked)
        loop_timer_set(r->dispatcher->loop, &r->turn, clock_ms());
}

static bool read_all(const struct redrive *r) { return r->user.read >= r->job->to; }

static bool on_record(struct letters_user *user, const struct letters_record *record) {
    struct redrive *r = redrive_of(user);
    if (record->offset <= r->job->to && span_equal(record->key, span_of(r->id)))
        add_letter(r, record);
    if (r->ahead || read_all(r))
        tell(r);
    return !read_all(r) && r->ahead_bytes < letters_share_bytes(r->letters);
}

/* The partition ends before `to`: its retention took what was there. */
static void on_end(struct letters_user *user) {
    struct redrive *r = redrive_of(user);
    user->read = r->job->to;
    tell(r);
}

static void on_turn(void *arg) {
    struct redrive *r = arg;
    r->asked = false;
    r->ready(r->arg);
}

/* Before the list runs dry, so that sending does not wait for reading. */
static void read_on(struct redrive *r) {
    if (!read_all(r) && r->ahead_bytes <= letters_share_bytes(r->letters) / 2)
        letters_ask(r->letters, &r->user);
}

struct redrive *redrive_new(struct dispatcher *d, const char *id, const char *born,
                            const struct token_job *job, void (*ready)(void *), void *arg,
                            struct error *err) {
    struct letters *letters = letters_join(d, err);
    if (!letters)
        return NULL;
    struct redrive *r = mem_zero(sizeof *r);
    *r = (struct redrive){.dispatcher = d,
                          .letters = letters,
                          .job = job,
                          .ready = ready,
                          .arg = arg,
                          .user = {.partition = kafka_partition_of(id, DEAD_LETTER_PARTITIONS),
                                   .read = job->position,
                                   .take = on_record,
                                   .ended = on_end}};
    r->id = mem_copy_string(id, strlen(id));
    r->born = mem_copy_string(born, strlen(born));
    loop_timer_init(&r->turn, on_turn, r);
    return r;
}

void redrive_free(struct redrive *r) {
    if (!r)
        return;
    letters_leave(r->letters, &r->user);
    loop_timer_clear(r->dispatcher->loop, &r->turn);
    while (r->ahead)
        drop_first(r);
    free(r->id);
    free(r->born);
    free(r);
}

bool redrive_waits(const struct redrive *r) { return r->asked; }

enum redrive_result redrive_next(struct redrive *r, int64_t position, struct redrive_letter *letter,
                                 int64_t *passed) {
    while (r->ahead && r->ahead->letter.offset <= position)
        drop_first(r);
    *passed = position;
    read_on(r);
    r->asked = false;
    if (r->ahead) {
        *letter = r->ahead->letter;
        return REDRIVE_LETTER;
    }
    if (read_all(r)) {
        *passed = r->job->to;
        return REDRIVE_END;
    }
    r->asked = true;
    return REDRIVE_LATER;
}
