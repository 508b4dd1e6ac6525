/* Acknowledgements; see acknowledgement.h. */
#include "common/model/acknowledgement.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/number.h"
#include "common/crypto/uuid.h"
#include "common/json/body.h"
#include "common/json/json_string.h"
#include "common/json/writer.h"

void acknowledgement_key(const char *id, char out[ACKNOWLEDGEMENT_KEY_BYTES]) {
    snprintf(out, ACKNOWLEDGEMENT_KEY_BYTES, "%s/ack", id);
}

void acknowledgement_to_json(const struct acknowledgement *a, struct buf *out) {
    json_put_object(out);
    json_member_number(out, "v", ACKNOWLEDGEMENT_VERSION);
    json_member_string(out, "born", a->registration_id);
    json_member_string(out, "feed", a->feed);
    json_member_number(out, "rewinds", a->rewinds);
    json_member_number(out, "cursor", a->cursor);
    json_end_object(out);
}

static int acknowledgement_number(const struct body *body, const char *name, int64_t *out,
                                  struct error *err) {
    const struct json_member *member = body_member(body, name);
    *out = member && member->kind == JSON_IS_NUMBER ? number_parse(member->value) : -1;
    return *out < 0 ? error_set_field(err, name, "must be a whole number that is not negative") : 0;
}

static int acknowledgement_uuid(const struct body *body, const char *name, char out[37],
                                struct error *err) {
    if (body_text(body, name, out, 37, "a uuid", err))
        return -1;
    return uuid_check(out) ? 0 : error_set_field(err, name, "must be a uuid");
}

int acknowledgement_from_json(struct acknowledgement *a, struct span text, struct error *err) {
    struct body body;
    int64_t v;
    *a = (struct acknowledgement){0};
    if (body_parse(&body, text, NULL, err) || acknowledgement_number(&body, "v", &v, err) || v < 1)
        return error_set(err, "not a record of ESS");
    if (v > ACKNOWLEDGEMENT_VERSION)
        return error_set(err, "written by a newer version of ESS (v %" PRId64 ")", v);
    return acknowledgement_uuid(&body, "born", a->registration_id, err) ||
                   acknowledgement_uuid(&body, "feed", a->feed, err) ||
                   acknowledgement_number(&body, "rewinds", &a->rewinds, err) ||
                   acknowledgement_number(&body, "cursor", &a->cursor, err)
               ? -1
               : 0;
}

static bool acknowledgement_exceeds(const struct acknowledgement *a,
                                    const struct acknowledgement *b) {
    return a->rewinds != b->rewinds ? a->rewinds > b->rewinds : a->cursor > b->cursor;
}

bool acknowledgement_take(struct acknowledgement *kept, const struct acknowledgement *read,
                          const char *registration_id, const char *feed) {
    bool same = strcmp(kept->registration_id, read->registration_id) == 0,
         is_void = strcmp(read->registration_id, registration_id) != 0 &&
                   strcmp(kept->registration_id, registration_id) == 0 && *registration_id;
    if (is_void || strcmp(read->feed, feed) != 0 || (same && !acknowledgement_exceeds(read, kept)))
        return false;
    *kept = *read;
    return true;
}

bool acknowledgement_differs(const struct acknowledgement *a, const struct acknowledgement *b) {
    return strcmp(a->registration_id, b->registration_id) != 0 || strcmp(a->feed, b->feed) != 0 ||
           a->rewinds != b->rewinds || a->cursor != b->cursor;
}

int64_t acknowledgement_position(const struct acknowledgement *a, const char *registration_id,
                                 int64_t rewinds, int64_t position) {
    bool counts = strcmp(a->registration_id, registration_id) == 0 && a->rewinds == rewinds;
    return counts && a->cursor > position ? a->cursor : position;
}
