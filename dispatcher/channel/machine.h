/* Whether this machine, and not an endpoint, keeps a connection from being made. Any thread;
 * nothing blocks, nothing is sent. */
#ifndef ESS_DISPATCHER_MACHINE_H
#define ESS_DISPATCHER_MACHINE_H

#include <stdbool.h>

#include "dispatcher/channel/channel.h"

/* The fault that an errno of socket() or connect() tells of; FAULT_NONE for any other. */
enum fault_kind machine_fault_of(int code);
/* The one that a new socket would meet now. */
enum fault_kind machine_fault(void);
/* Whether there is a route to public addresses, of IPv4 or IPv6. One endpoint's address that cannot
 * be reached from here (IPv6 only, say) is no fault of the machine. */
bool machine_has_route(void);

#endif
