/* Changes of a subscriber's secrets and access token. Of two simultaneous changes in two ingests
 * both take effect. */
#ifndef ESS_INGEST_KEYS_H
#define ESS_INGEST_KEYS_H

struct call;
struct registry_write;
struct http_request;
struct registry_entry;

/* POST /ess/subscribers/{id}/rotate and /token. Route handlers; `arg` is the struct ingest. */
void keys_rotate(void *arg, struct http_request *request);
void keys_token(void *arg, struct http_request *request);

/* Adds a keys record to the call's write: from now on only `secret` signs. */
void keys_add_secret(struct call *call, struct registry_write *write, struct registry_entry *entry,
                     const char *secret);

#endif
