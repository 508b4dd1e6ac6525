/* signing.key_file: read at the start, and after each change of the file. */
#ifndef ESS_SERVICE_SIGNING_FILE_H
#define ESS_SERVICE_SIGNING_FILE_H

#include "common/base/error.h"

struct service;

/* Fills `signing_keys` of the service, and keeps it up to date. Without the option it stays empty.
 * Returns 0, or -1 with the option, the file and the reason. */
int signing_file_open(struct service *service, struct error *err);
void signing_file_close(struct service *service);

#endif
