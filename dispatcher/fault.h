/* Faults of this process or its machine that keep webhooks from going out: no descriptor, port,
 * memory or route is left, no name server answers, the CA file cannot be read. They say nothing of
 * an endpoint, so no attempt is counted. While one lasts, places for webhooks are closed, and after
 * each pause, which grows, one sender has its turn to try. */
#ifndef ESS_DISPATCHER_FAULT_H
#define ESS_DISPATCHER_FAULT_H

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "dispatcher/channel/channel.h"

struct dispatcher;

struct fault {
    enum fault_kind kind; /* the newest; until a new connection is made, or nothing is sent for
                           * half a minute */
    int64_t pause_ms;
    struct loop_timer probe; /* set while the places are closed */
    struct loop_timer quiet; /* set while there is a fault */
    struct log_limit log;
    uint64_t count[FAULTS];
};

void fault_init(struct dispatcher *d);
/* Is told of every attempt that ended. */
void fault_note(struct dispatcher *d, const struct outcome *outcome);
/* How long the sender whose attempt met one, its `number`th in a row from 0, waits before it tries
 * again. */
int64_t fault_hold_ms(int64_t number);
/* What is wrong, and what to do; NULL: nothing. */
const char *fault_reason(const struct dispatcher *d);
void fault_metrics(const struct dispatcher *d, struct buf *out);

#endif
