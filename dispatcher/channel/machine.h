/* Whether this machine, and not an endpoint, keeps a connection from being made. Any thread;
 * nothing blocks, nothing is sent. */
#ifndef ESS_DISPATCHER_MACHINE_H
#define ESS_DISPATCHER_MACHINE_H

#include <stdbool.h>

#include "dispatcher/channel/webhook.h"

/* The fault that an errno of socket() or connect() tells of; WEBHOOK_NO_FAULT for any other. */
enum webhook_fault machine_fault_of(int code);
/* The one that a new socket would meet now. */
enum webhook_fault machine_fault(void);
/* Whether there is a route to public addresses, of IPv4 or IPv6. One endpoint's address that cannot
 * be reached from here (IPv6 only, say) is no fault of the machine. */
bool machine_has_route(void);

#endif
