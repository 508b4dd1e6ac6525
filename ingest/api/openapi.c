/* The OpenAPI document; see openapi.h. */
#include "ingest/api/openapi.h"

#include "common/http/server.h"

void openapi_handle(void *arg, struct http_request *request) {
    struct buf body = {0};
    (void)arg;
    if (!http_request_no_query(request))
        return;
    buf_puts(&body, openapi_document);
    http_answer(request, 200, "application/json", &body);
    buf_fini(&body);
}
