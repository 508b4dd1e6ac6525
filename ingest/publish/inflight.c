/* Records whose outcome is not known yet; see inflight.h. */
#include "ingest/publish/inflight.h"

#include <assert.h>
#include <utlist.h>

void inflight_add(struct inflight *f, struct inflight_record *r, int64_t now_ms) {
    r->state = INFLIGHT_SENT;
    r->sent_ms = now_ms;
    HASH_ADD(hh, f->by_id, print.id, sizeof r->print.id, r);
}

struct inflight_record *inflight_find(const struct inflight *f, const struct dedupe_print *print) {
    struct inflight_record *r;
    HASH_FIND(hh, f->by_id, print->id, sizeof print->id, r);
    return r;
}

void inflight_wait(struct inflight_record *r, struct inflight_wait *wait) {
    assert(!wait->record);
    wait->record = r;
    DL_APPEND(r->waits, wait);
}

void inflight_leave(struct inflight_wait *wait) {
    if (!wait->record)
        return;
    DL_DELETE(wait->record->waits, wait);
    wait->record = NULL;
}

void inflight_wake(struct inflight_record *r) {
    struct inflight_record woken = {
        .waits = r->waits}; /* from here on a leaving wait is taken off `woken` */
    struct inflight_wait *wait;
    r->waits = NULL;
    DL_FOREACH(woken.waits, wait)
        wait->record = &woken;
    while ((wait = woken.waits)) {
        inflight_leave(wait);
        wait->settled(wait->arg);
    }
}

void inflight_unresolve(struct inflight *f, struct inflight_record *r, int64_t now_ms) {
    assert(r->state == INFLIGHT_SENT);
    r->state = INFLIGHT_UNRESOLVED;
    r->reported_ms = now_ms;
    r->heard_ms = 0;
    r->absent_at = -1;
    DL_APPEND(f->unresolved, r);
    f->unresolved_count++;
}

void inflight_settle(struct inflight *f, struct inflight_record *r) {
    HASH_DEL(f->by_id, r);
    if (r->state != INFLIGHT_UNRESOLVED)
        return;
    DL_DELETE(f->unresolved, r);
    f->unresolved_count--;
}

static int64_t inflight_patience_ms(const struct inflight_record *r) {
    int64_t silence_ms = r->heard_ms - r->sent_ms;
    if (silence_ms < INFLIGHT_PATIENCE_MIN_MS)
        return INFLIGHT_PATIENCE_MIN_MS;
    return silence_ms > INFLIGHT_PATIENCE_MAX_MS ? INFLIGHT_PATIENCE_MAX_MS : silence_ms;
}

struct inflight_record *inflight_look(struct inflight *f, int64_t asked_ms, int64_t now_ms,
                                      int64_t newest, int64_t tail) {
    struct inflight_record *r;
    DL_FOREACH(f->unresolved, r) {
        if (asked_ms <= r->reported_ms)
            continue;
        if (!r->heard_ms)
            r->heard_ms = now_ms;
        else if (r->absent_at < 0 && asked_ms >= r->heard_ms + inflight_patience_ms(r))
            r->absent_at = newest;
        if (r->absent_at >= 0 && tail >= r->absent_at)
            return r;
    }
    return NULL;
}

void inflight_start_over(struct inflight *f) {
    struct inflight_record *r, *next;
    HASH_ITER(hh, f->by_id, r, next)
        r->before_start_over = true;
    DL_FOREACH(f->unresolved, r) {
        r->heard_ms = 0;
        r->absent_at = -1;
    }
}
