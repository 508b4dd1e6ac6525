/* Faults of this process or machine that keep webhooks from going out: no descriptor, port,
 * memory or route left, no name server answering, no readable CA file, no working proxy. A fault
 * says nothing about an endpoint, so no attempt is counted. During a fault the delivery slots are
 * closed. After each pause, longer every time, one sender gets a turn to try. A fault of one
 * endpoint alone holds only its sender. */
#ifndef ESS_DISPATCHER_FAULT_H
#define ESS_DISPATCHER_FAULT_H

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "dispatcher/channel/channel.h"

struct dispatcher;

struct fault {
    /* the newest fault, until a new connection is made, or nothing is sent for half a minute */
    enum fault_kind kind;
    int64_t pause_ms;
    struct loop_timer probe; /* set while the slots are closed */
    struct loop_timer quiet; /* set while there is a fault */
    struct log_limit log;
    uint64_t count[FAULTS];
};

void fault_init(struct dispatcher *d);
/* Takes note of an ended attempt. */
void fault_note(struct dispatcher *d, const struct outcome *outcome);
/* How long a sender waits after its `number`th faulty attempt in a row, from 0. */
int64_t fault_hold_ms(enum fault_kind kind, int64_t number);
/* The kind of fault, and what to do; NULL for FAULT_NONE. */
const char *fault_reason_of(enum fault_kind kind);
/* The fault, and what to do; NULL: no fault. */
const char *fault_reason(const struct dispatcher *d);
void fault_metrics(const struct dispatcher *d, struct buf *out);

#endif
