/* The ranges of events that a lane's token has as settled; see lane.h. */
#include <stdlib.h>
#include <string.h>

#include "dispatcher/lane/lane_internal.h"

void lane_forget_settled(struct lane *lane) {
    free(lane->settled);
    lane->settled = NULL;
    lane->settled_at = lane->settled_count = 0;
}

void lane_set_settled(struct lane *lane, const struct token_range *ranges, int64_t count) {
    lane_forget_settled(lane);
    if (count == 0)
        return;
    lane->settled = mem_zero((size_t)count * sizeof *ranges);
    lane->settled_count = count;
    memcpy(lane->settled, ranges, (size_t)count * sizeof *ranges);
}

/* Drops the ranges that end at `cursor` or below. Each range ends with an event of the
 * subscriber. If compaction took that event, its cursor is still the prev_cursor of the next
 * event. */
void lane_pass_settled(struct lane *lane, int64_t cursor) {
    while (lane->settled_at < lane->settled_count && lane->settled[lane->settled_at].to <= cursor) {
        int64_t to = lane->settled[lane->settled_at++].to;
        if (to > lane->newest) {
            lane->newest = to;
            lane->newest_id_hash = 0;
        }
    }
    if (lane->settled_count && lane->settled_at == lane->settled_count)
        lane_forget_settled(lane);
}

/* Skips to the last event of a range: nothing else in the range is needed, and the id of the last
 * event is. */
void lane_skip_settled(struct lane *lane) {
    if (lane->settled_at == lane->settled_count)
        return;
    const struct token_range *range = &lane->settled[lane->settled_at];
    if (range->from <= lane->scanned + 1 && range->to - 1 > lane->scanned) {
        lane->scanned = range->to - 1;
        lane->compacted = false;
    }
}
