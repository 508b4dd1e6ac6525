/* What an operator or a vendor tells a subscriber's owner, as records: routes' handlers, whose
 * `arg` is the struct ingest. */
#ifndef ESS_INGEST_COMMANDS_H
#define ESS_INGEST_COMMANDS_H

struct http_request;

/* POST /ess/subscribers/{id}/… */
void commands_pause(void *arg, struct http_request *request);
void commands_resume(void *arg, struct http_request *request);
void commands_skip(void *arg, struct http_request *request);
void commands_rewind(void *arg, struct http_request *request);
void commands_replay(void *arg, struct http_request *request);
void commands_redrive(void *arg, struct http_request *request);
void commands_test(void *arg, struct http_request *request);

/* DELETE /ess/subscribers/{id}/jobs/{job} */
void commands_end_job(void *arg, struct http_request *request);

#endif
