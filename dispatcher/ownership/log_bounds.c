/* How far two logs are equal; see log_bounds.h. */
#include "dispatcher/ownership/log_bounds.h"

void log_bounds_init(struct log_bounds *b) { *b = (struct log_bounds){.other = INT64_MAX}; }

static bool log_bounds_in_question(const struct log_bounds *b, const struct log_place *place) {
    return place->id_hash && !place->gone && place->cursor > b->same && place->cursor < b->other;
}

size_t log_bounds_next(const struct log_bounds *b, const struct log_place *places, size_t count) {
    size_t questions = 0, passed = 0;
    for (size_t i = 0; i < count; i++)
        questions += log_bounds_in_question(b, &places[i]);
    size_t wanted = b->other == INT64_MAX ? questions : (questions + 1) / 2; /* counted from 1 */
    for (size_t i = 0; questions && i < count; i++)
        if (log_bounds_in_question(b, &places[i]) && ++passed == wanted)
            return i;
    return count;
}

void log_bounds_found(struct log_bounds *b, const struct log_place *place, bool same) {
    if (!same) {
        log_bounds_ends(b, place->cursor);
    } else if (place->cursor > b->same) {
        b->same = place->cursor;
        b->same_id_hash = place->id_hash;
    }
}

void log_bounds_ends(struct log_bounds *b, int64_t end) {
    if (end < b->other)
        b->other = end;
}

bool log_bounds_hold(const struct log_bounds *b, int64_t position) {
    return b->other == INT64_MAX || position <= b->same;
}
