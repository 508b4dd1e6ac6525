/* The endpoint; see endpoint.h. */
#include "dispatcher/lane/endpoint.h"

#include <assert.h>

uint64_t endpoint_start(struct endpoint *e) { return endpoint_start_many(e, 1); }

uint64_t endpoint_start_many(struct endpoint *e, int64_t events) {
    e->in_flight++;
    adaptive_start(&e->adaptive, events);
    return e->started++;
}

void endpoint_end(struct endpoint *e) {
    assert(e->in_flight > 0);
    e->in_flight--;
}

void endpoint_answer(struct endpoint *e, uint64_t attempt, const struct outcome *outcome,
                     int64_t events, int64_t now_ms) {
    if (!endpoint_moved_since(e, attempt))
        adaptive_answer(&e->adaptive, attempt, e->started, outcome, events, now_ms);
}

bool endpoint_takes(const struct endpoint *e) { return !e->probing || e->in_flight == 0; }

void endpoint_pause(struct endpoint *e) {
    e->failing_since_ms = e->failing_ms = e->failed_at_ms = 0;
}

void endpoint_forget(struct endpoint *e) {
    endpoint_pause(e);
    e->until_ms = e->failures = 0;
    e->probing = false;
}

void endpoint_move(struct endpoint *e) {
    endpoint_forget(e);
    adaptive_forget(&e->adaptive);
    e->moved_at = e->started;
}

bool endpoint_moved_since(const struct endpoint *e, uint64_t attempt) {
    return attempt < e->moved_at;
}

void endpoint_succeed(struct endpoint *e, uint64_t attempt) {
    if (endpoint_moved_since(e, attempt))
        return;
    if (attempt >= e->frees_from)
        endpoint_forget(e);
    else
        endpoint_pause(e);
}

void endpoint_fail(struct endpoint *e, int64_t now_ms, int64_t wall_ms, int64_t most_ms) {
    int64_t since_ms = e->failed_at_ms ? now_ms - e->failed_at_ms : 0;
    if (e->failing_since_ms == 0)
        e->failing_since_ms = wall_ms;
    e->failing_ms += since_ms < most_ms ? since_ms : most_ms;
    e->failed_at_ms = now_ms;
}

void endpoint_back_off(struct endpoint *e, int64_t now_ms, int64_t until_ms) {
    e->probing = true;
    e->frees_from = e->started;
    if (now_ms < e->until_ms)
        return;
    e->failures++;
    e->until_ms = until_ms;
}
