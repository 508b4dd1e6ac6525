/* The answers to GET /healthz, /readyz and /metrics. */
#ifndef ESS_SERVICE_READINESS_H
#define ESS_SERVICE_READINESS_H

#include "common/base/buf.h"
#include "common/service/service.h"

/* Why a service is not ready. `own` is the role's reason, or NULL. `reading` is the reason if the
 * service only has to read more. Valid until the callback returns to the loop. */
const char *readiness_reason(const struct service *s, const char *own, const char *reading);

/* Handles GET /healthz. */
void readiness_healthz(void *arg, struct http_request *request);
/* Answers GET /readyz: 200, or 503 with a reason. NULL: the service is ready. */
void readiness_answer(struct http_request *request, const char *reason);
/* Answers GET /metrics: `own`, which is emptied, and the metrics of both services. `cursor` is the
 * newest known cursor. */
void readiness_metrics(const struct service *s, struct http_request *request, int64_t cursor,
                       struct buf *own);

#endif
