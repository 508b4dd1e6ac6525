/* Reading, replacing and deleting subscribers: routes' handlers, whose `arg` is the struct ingest.
 */
#ifndef ESS_INGEST_SUBSCRIBERS_H
#define ESS_INGEST_SUBSCRIBERS_H

struct http_request;

void subscribers_list(void *arg, struct http_request *request);    /* GET /ess/subscribers */
void subscribers_show(void *arg, struct http_request *request);    /* GET /ess/subscribers/{id} */
void subscribers_replace(void *arg, struct http_request *request); /* PUT */
void subscribers_delete(void *arg, struct http_request *request);  /* DELETE */
void subscribers_attempts(void *arg,
                          struct http_request *request); /* GET /ess/subscribers/{id}/attempts */

#endif
