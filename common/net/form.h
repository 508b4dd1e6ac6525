/* Forms in HTTP bodies (application/x-www-form-urlencoded). Any thread. */
#ifndef ESS_NET_FORM_H
#define ESS_NET_FORM_H

#include "common/base/buf.h"
#include "common/base/span.h"

/* Appends the text with everything encoded that is not unreserved (RFC 3986, 2.3). A space becomes
 * %20, which decoders of forms and of URLs alike read as a space. */
void form_put_encoded(struct buf *out, struct span text);
/* Appends "name=value", after a & unless the buffer is empty. The name is put as it is. */
void form_put(struct buf *out, const char *name, struct span value);

#endif
