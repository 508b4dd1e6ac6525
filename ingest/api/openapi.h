/* GET /openapi.json: the API as OpenAPI 3.1. The document is ingest/api/openapi.json, built in. */
#ifndef ESS_INGEST_OPENAPI_H
#define ESS_INGEST_OPENAPI_H

struct http_request;

extern const char openapi_document[];

/* Route handler. */
void openapi_handle(void *arg, struct http_request *request);

#endif
