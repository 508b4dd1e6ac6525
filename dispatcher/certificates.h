/* Client certificates of the subscribers that run here, which are warned of before they expire.
 * Loop thread only. */
#ifndef ESS_DISPATCHER_CERTIFICATES_H
#define ESS_DISPATCHER_CERTIFICATES_H

#include "common/base/buf.h"

struct dispatcher;

/* Looks from now on, and logs `certificate_expires` once a day for each in its last days. */
void certificates_begin(struct dispatcher *d);
void certificates_metrics(const struct dispatcher *d, struct buf *out);

#endif
