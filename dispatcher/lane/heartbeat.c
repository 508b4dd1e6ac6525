/* The heartbeat; see heartbeat.h. */
#include "dispatcher/lane/heartbeat.h"

#include "common/base/clock.h"
#include "common/json/writer.h"
#include "dispatcher/lane/lane.h"

void heartbeat_set(struct heartbeat *h, int64_t every_ms) { h->every_ms = every_ms; }

void heartbeat_note(struct heartbeat *h, int64_t now_ms) { h->quiet_since_ms = now_ms; }

int64_t heartbeat_due_ms(const struct heartbeat *h) {
    return h->every_ms ? h->quiet_since_ms + h->every_ms : INT64_MAX;
}

int64_t heartbeat_look_ms(const struct heartbeat *h, int64_t now_ms) {
    int64_t wait_ms = h->every_ms / 10;
    return now_ms + (wait_ms > HEARTBEAT_LOOK_MIN_MS ? wait_ms : HEARTBEAT_LOOK_MIN_MS);
}

bool heartbeat_may_go(const struct lane *lane, int64_t now_ms) {
    const struct endpoint *e = lane->endpoint;
    return lane_idle(lane) && lane_state(lane) == TOKEN_ACTIVE && endpoint_takes(e) &&
           e->until_ms <= now_ms && lane_paced_ms(lane, now_ms) <= now_ms;
}

void heartbeat_put_body(const struct lane *lane, int64_t end, int64_t wall_ms, struct buf *out) {
    char ts[CLOCK_TEXT_BYTES];
    clock_format(wall_ms, ts);
    json_put_object(out);
    json_member_bool(out, "heartbeat", true);
    json_member_number(out, "cursor", end > lane->position ? end : lane->position);
    json_member_number(out, "prev_cursor", lane->last);
    json_member_string(out, "ts", ts);
    json_end_object(out);
}
