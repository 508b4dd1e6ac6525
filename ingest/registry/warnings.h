/* What is odd about a spec that is valid: its owner is told, and it is in force all the same. */
#ifndef ESS_INGEST_WARNINGS_H
#define ESS_INGEST_WARNINGS_H

#include "common/base/buf.h"
#include "common/model/spec.h"

/* Logs each, and puts the member "warnings", a list of sentences, into the object that was begun in
 * `out` (NULL: only logs). Nothing where there is none. */
void warnings_put(const struct spec *spec, struct buf *out);
/* The same without a log line. */
void warnings_show(const struct spec *spec, struct buf *out);

#endif
