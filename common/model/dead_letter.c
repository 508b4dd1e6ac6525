/* Dead letter records; see dead_letter.h. Read by json_scan, so that the event stays byte for
 * byte. */
#include "common/model/dead_letter.h"

#include "common/base/clock.h"
#include "common/base/number.h"
#include "common/json/writer.h"

const char *dead_letter_reason_name(enum dead_letter_reason reason) {
    static const char *const names[DEAD_LETTER_REASONS] = {"attempts", "refused", "skipped"};
    return names[reason];
}

/* --- writing */

size_t dead_letter_to_json(const struct dead_letter *letter, struct buf *out) {
    char at[CLOCK_TEXT_BYTES];
    clock_format(letter->at_ms, at);
    json_put_object(out);
    json_member_number(out, "v", DEAD_LETTER_VERSION);
    json_member_string(out, "subscriber", letter->subscriber);
    json_member_string(out, "born", letter->registration_id);
    json_member_number(out, "cursor", letter->cursor);
    json_member_string(out, "at", at);
    json_member_string(out, "reason", dead_letter_reason_name(letter->reason));
    json_member_number(out, "attempts", letter->attempts);
    if (letter->status)
        json_member_number(out, "status", letter->status);
    if (letter->error)
        json_member_string(out, "error", letter->error);
    size_t before_event = out->len;
    json_member_raw(out, "event", letter->event);
    json_end_object(out);
    return before_event;
}

void dead_letter_leave_event_out(struct buf *value, size_t before_event, const char *reason) {
    value->len = before_event;
    json_member_string(value, "event_left_out", reason);
    json_end_object(value);
}

/* --- reading */

static struct span dead_letter_text(const struct json_member *member) {
    return member && member->kind == JSON_IS_STRING
               ? (struct span){member->value.data + 1, member->value.len - 2}
               : (struct span){NULL, 0};
}

int dead_letter_from_json(struct dead_letter_record *record, struct span text, struct error *err) {
    if (json_scan_object(text, JSON_DEPTH_MAX + 1, record->members, DEAD_LETTER_MEMBERS_MAX,
                         &record->count, err))
        return -1;
    const struct json_member *cursor = json_find_member(record->members, record->count, "cursor");
    const struct json_member *member = json_find_member(record->members, record->count, "born");
    const struct json_member *event = json_find_member(record->members, record->count, "event");
    record->cursor = cursor ? number_parse(cursor->value) : -1;
    record->registration_id = dead_letter_text(member);
    record->event = event && event->kind == JSON_IS_OBJECT ? event->value : (struct span){NULL, 0};
    if (record->cursor < 0)
        return error_set_field(err, "cursor", "must be a cursor");
    return member && !record->registration_id.data
               ? error_set_field(err, "born", "must be a string")
               : 0;
}

void dead_letter_show(const struct dead_letter_record *record, bool redriven, struct buf *out) {
    static const char *const shown[] = {"cursor", "at",    "reason", "attempts",
                                        "status", "error", "event",  "event_left_out"};
    json_put_object(out);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        const struct json_member *member = json_find_member(record->members, record->count,
                                                            shown[i]);
        if (member)
            json_member_raw(out, shown[i], member->value);
    }
    if (redriven)
        json_member_bool(out, "redriven", true);
    json_end_object(out);
}

/* A part to cut out of an event. */
struct cut {
    const char *from, *to;
};

static const char *dead_letter_end(const struct json_member *member) {
    return member->value.data + member->value.len;
}

/* Cuts out a member and one comma beside it. For NULL, cuts nothing. */
static struct cut dead_letter_cut(const struct json_member *members, size_t count,
                                  const struct json_member *member) {
    const struct json_member *last = &members[count - 1];
    if (!member)
        return (struct cut){dead_letter_end(last), dead_letter_end(last)};
    if (member > members)
        return (struct cut){dead_letter_end(member - 1), dead_letter_end(member)};
    return (struct cut){member->name.data - 1,
                        member < last ? member[1].name.data - 1 : dead_letter_end(member)};
}

/* Maps a text of the event to the same text in the copy. */
static struct span dead_letter_moved(struct span text, struct span event, struct cut cut,
                                     const struct buf *copy) {
    size_t at = (size_t)(text.data - event.data);
    if (text.data >= cut.to)
        at -= (size_t)(cut.to - cut.from);
    return (struct span){copy->data + at, text.len};
}

int dead_letter_copy_event(const struct dead_letter_record *record, struct buf *out,
                           struct span *topic, struct span *id) {
    struct json_member members[DEAD_LETTER_MEMBERS_MAX];
    size_t count;
    struct error err;
    struct span event = record->event;
    if (!event.len ||
        json_scan_object(event, JSON_DEPTH_MAX, members, DEAD_LETTER_MEMBERS_MAX, &count, &err))
        return -1;
    *topic = dead_letter_text(json_find_member(members, count, "topic"));
    *id = dead_letter_text(json_find_member(members, count, "id"));
    if (!topic->len || !id->len)
        return -1;
    struct cut cut = dead_letter_cut(members, count,
                                     json_find_member(members, count, "prev_cursor"));
    buf_append(out, event.data, (size_t)(cut.from - event.data));
    buf_append(out, cut.to, (size_t)(event.data + event.len - cut.to));
    *topic = dead_letter_moved(*topic, event, cut, out);
    *id = dead_letter_moved(*id, event, cut, out);
    return 0;
}
