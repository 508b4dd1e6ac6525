/* Whether this machine, not an endpoint, prevents a connection. Any thread; nothing blocks,
 * nothing is sent. */
#ifndef ESS_DISPATCHER_MACHINE_H
#define ESS_DISPATCHER_MACHINE_H

#include <stdbool.h>

#include "dispatcher/channel/channel.h"

/* The fault behind an errno of socket() or connect(); FAULT_NONE for any other errno. */
enum fault_kind machine_fault_of(int code);
/* The fault that a new socket would meet now. */
enum fault_kind machine_fault(void);
/* Whether there is a route to public addresses, of IPv4 or IPv6. A single unreachable endpoint
 * (IPv6 only, say) is no fault of the machine. */
bool machine_has_route(void);

#endif
