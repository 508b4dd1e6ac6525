/* Commands of operators and vendors to a subscriber, written as records. Route handlers; `arg` is
 * the struct ingest. */
#ifndef ESS_INGEST_COMMAND_API_H
#define ESS_INGEST_COMMAND_API_H

struct http_request;

/* POST /ess/subscribers/{id}/… */
void command_api_pause(void *arg, struct http_request *request);
void command_api_resume(void *arg, struct http_request *request);
void command_api_skip(void *arg, struct http_request *request);
void command_api_rewind(void *arg, struct http_request *request);
void command_api_replay(void *arg, struct http_request *request);
void command_api_redrive(void *arg, struct http_request *request);
void command_api_test(void *arg, struct http_request *request);

/* DELETE /ess/subscribers/{id}/jobs/{job} */
void command_api_end_job(void *arg, struct http_request *request);

#endif
