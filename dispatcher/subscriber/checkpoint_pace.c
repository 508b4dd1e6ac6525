/* The pace of tokens; see checkpoint_pace.h. */
#include "dispatcher/subscriber/checkpoint_pace.h"

int64_t checkpoint_pace_changed(struct checkpoint_pace *pace, bool urgent, int64_t now_ms) {
    int64_t due_ms = now_ms + (urgent ? 0 : CHECKPOINT_PACE_WITHIN_MS);
    int64_t next_ms = pace->sent_ms ? pace->sent_ms + CHECKPOINT_PACE_EVERY_MS : 0;
    if (!pace->changed_ms)
        pace->changed_ms = now_ms;
    return due_ms > next_ms ? due_ms : next_ms;
}

void checkpoint_pace_sent(struct checkpoint_pace *pace, int64_t number, int64_t now_ms) {
    if (!pace->covered_ms)
        pace->covered_ms = pace->changed_ms ? pace->changed_ms : now_ms;
    pace->changed_ms = 0;
    pace->sent_ms = now_ms;
    pace->number = number;
}

void checkpoint_pace_reported(struct checkpoint_pace *pace, int64_t number, int64_t sent_ms,
                              bool written) {
    bool newest = number == pace->number;
    if (!pace->covered_ms)
        return;
    if (written && !newest) { /* changes since this token are in newer tokens */
        pace->covered_ms = sent_ms > pace->covered_ms ? sent_ms : pace->covered_ms;
    } else if (newest) {
        if (!written)
            pace->changed_ms = pace->covered_ms;
        pace->covered_ms = 0;
    }
}

int64_t checkpoint_pace_unwritten_ms(const struct checkpoint_pace *pace, int64_t now_ms) {
    int64_t oldest_ms = pace->covered_ms ? pace->covered_ms : pace->changed_ms;
    return oldest_ms ? now_ms - oldest_ms : 0;
}
