/* Warnings about a valid spec. They go to its owner; the spec is in force all the same. */
#ifndef ESS_INGEST_WARNINGS_H
#define ESS_INGEST_WARNINGS_H

#include "common/base/buf.h"
#include "common/model/spec.h"

/* Logs each warning, and puts the member "warnings", a list of sentences, into the open object in
 * `out` (NULL: only logs). Puts nothing if the spec has no warnings. */
void warnings_put(const struct spec *spec, struct buf *out);
/* warnings_put without log lines. */
void warnings_show(const struct spec *spec, struct buf *out);

#endif
