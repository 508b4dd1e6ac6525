/* GET /.well-known/jwks.json: ESS's public signing keys as a JWK Set (RFC 7517, RFC 8037). */
#ifndef ESS_INGEST_JWKS_H
#define ESS_INGEST_JWKS_H

struct http_request;

/* A handler of the HTTP server; `arg` is the ingest. */
void jwks_handle(void *arg, struct http_request *request);

#endif
