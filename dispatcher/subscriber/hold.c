/* See hold.h. */
#include "dispatcher/subscriber/hold.h"

#include <inttypes.h>
#include <stdio.h>

#include "dispatcher/dispatcher.h"
#include "dispatcher/subscriber/subscriber.h"

void hold_to_token(const struct subscriber *s, struct token *token) {
    const char *lacks = channels_lack(&s->channels);
    const int64_t newer = sender_waits_for_newer(&s->live);
    if (newer && !token->reason[0])
        snprintf(token->reason, sizeof token->reason,
                 "a later version of ESS wrote the event at cursor %" PRId64
                 ": upgrade the dispatchers, or rewind past it",
                 newer);
    if (sender_fault(&s->live))
        snprintf(token->reason, sizeof token->reason, "%s",
                 fault_reason_of(sender_fault(&s->live)));
    if (lacks && !s->live.lane.disabled)
        snprintf(token->reason, sizeof token->reason, "%s", lacks);
}
