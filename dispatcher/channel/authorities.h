/* The certificates of egress.ca_file, which endpoints may be signed by besides the system's. The
 * file is read again when it changes. curl is given a copy in memory by a path of its own
 * (/proc/self/fd/N): a connection that was made under the copy before is not used again, since its
 * path differs, and a request under way keeps its copy. Loop thread only. */
#ifndef ESS_DISPATCHER_AUTHORITIES_H
#define ESS_DISPATCHER_AUTHORITIES_H

#include "common/base/error.h"
#include "common/base/loop.h"

struct authorities;
struct authorities_copy;

/* Reads the file; "": there is none. `file` stays the caller's and must stay. NULL with the reason
 * when it cannot be read or holds no certificates. A file that is bad later is logged, and the last
 * good one stays in force. */
struct authorities *authorities_new(struct loop *loop, const char *file, struct error *err);
/* Copies that were taken outlive it. */
void authorities_free(struct authorities *authorities);

/* A reference to the copy in force; NULL: there is no file. */
struct authorities_copy *authorities_take(struct authorities *authorities);
/* Where it can be read while the reference is held; NULL for NULL. */
const char *authorities_path(const struct authorities_copy *copy);
/* NULL may be released. */
void authorities_release(struct authorities_copy *copy);

#endif
