/* What makes a service ess-dispatcher: the key that opens secrets, the log's tail, the consumer
 * group, webhooks. Waits for each as long as it takes. */
#ifndef ESS_DISPATCHER_ROLE_H
#define ESS_DISPATCHER_ROLE_H

#include "common/service/service.h"

/* `arg` is a struct dispatcher, whose `service` the service is. */
extern const struct service_role dispatcher_role;

#endif
