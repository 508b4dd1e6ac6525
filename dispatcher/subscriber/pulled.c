/* Pulled subscribers; see pulled.h. */
#include "dispatcher/subscriber/pulled.h"

#include <string.h>

#include "dispatcher/dispatcher.h"
#include "dispatcher/subscriber/dead_lettering.h"
#include "dispatcher/subscriber/subscriber.h"

static bool pulled_move(struct subscriber *s) {
    struct lane *lane = &s->live.lane;
    int64_t cursor = acknowledgement_position(&s->acknowledged, s->record.registration_id,
                                              lane->rewinds, lane->position);
    if (cursor <= lane->position)
        return false;
    dead_lettering_forget(&s->live);
    lane_acknowledge(lane, cursor);
    return true;
}

/* A count of rewinds above the token's means that an older version of ESS has written the token and
 * dropped the count. A new count makes that acknowledgement void, and later ones valid. */
bool pulled_begin(struct subscriber *s) {
    struct lane *lane = &s->live.lane;
    const struct acknowledgement *a = &s->acknowledged;
    bool own = strcmp(a->registration_id, s->record.registration_id) == 0, moved = pulled_move(s),
         lost = own && a->rewinds > lane->rewinds;
    if (lost)
        lane->rewinds = a->rewinds + 1;
    if (lane->policy.pulled)
        endpoint_forget(&s->endpoint);
    return moved || lost;
}

/* Only a pulled lane moves: no attempt is under way there. A subscriber that has a url by now gets
 * what was acknowledged too late once more. */
void pulled_acknowledge(struct subscriber *s, const struct acknowledgement *read) {
    const char *registration_id = s->has_record ? s->record.registration_id : "";
    if (!acknowledgement_take(&s->acknowledged, read, registration_id,
                              s->dispatcher->service.genesis.feed) ||
        !s->running || !s->live.lane.policy.pulled)
        return;
    if (!pulled_move(s))
        return;
    subscriber_moved(s);
    sender_step(&s->live);
}

void pulled_look_again(struct subscriber *s) {
    if (!s->live.lane.policy.pulled || !s->live.lane.window.count)
        return;
    dead_lettering_forget(&s->live);
    subscriber_behind(s);
    lane_look_again(&s->live.lane);
}

bool pulled_refuses_test(struct subscriber *s, int64_t generation) {
    if (!spec_is_pulled(&s->record.spec))
        return false;
    commands_note(&s->commands, generation, "test", "refused",
                  "the subscriber is pulled: it has no endpoint", -1);
    return true;
}
