/* GET /ess/subscribers/{id}/dead-letters: the dead letters, newest first. */
#ifndef ESS_INGEST_DEAD_LETTERS_H
#define ESS_INGEST_DEAD_LETTERS_H

struct http_request;

/* Route handler; `arg` is the struct ingest. */
void dead_letters_handle(void *arg, struct http_request *request);

#endif
