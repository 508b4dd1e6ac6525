/* Reads, replaces and deletes subscribers. Route handlers; `arg` is the struct ingest. */
#ifndef ESS_INGEST_SUBSCRIBER_API_H
#define ESS_INGEST_SUBSCRIBER_API_H

struct http_request;

void subscriber_api_list(void *arg, struct http_request *request); /* GET /ess/subscribers */
void subscriber_api_show(void *arg, struct http_request *request); /* GET /ess/subscribers/{id} */
void subscriber_api_replace(void *arg, struct http_request *request); /* PUT */
void subscriber_api_delete(void *arg, struct http_request *request);  /* DELETE */
void subscriber_api_attempts(void *arg,
                             struct http_request *request); /* GET /ess/subscribers/{id}/attempts */

#endif
