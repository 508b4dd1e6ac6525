/* The certificates of egress.ca_file: endpoints may be signed by them besides the system's. A
 * changed file is read again. curl gets a copy in memory under a path of its own
 * (/proc/self/fd/N). A connection made under an earlier copy is not reused, since the path
 * differs. A request under way keeps the earlier copy. Loop thread only. */
#ifndef ESS_DISPATCHER_AUTHORITIES_H
#define ESS_DISPATCHER_AUTHORITIES_H

#include "common/base/error.h"
#include "common/base/loop.h"

struct authorities;
struct authorities_copy;

/* Reads the file; "": no file. The caller keeps `file`, which must stay. Returns NULL with the
 * reason if the file cannot be read or holds no certificates. A file that turns bad later is
 * logged, and the last good file stays in force. A file that changes while no descriptor or memory
 * is left comes into force as soon as there is one again. */
struct authorities *authorities_new(struct loop *loop, const char *file, struct error *err);
/* Copies taken outlive the authorities. */
void authorities_free(struct authorities *authorities);

/* A reference to the copy in force; NULL: there is no file. */
struct authorities_copy *authorities_take(struct authorities *authorities);
/* Path of the copy while the reference is held; NULL for NULL. */
const char *authorities_path(const struct authorities_copy *copy);
/* NULL may be released. */
void authorities_release(struct authorities_copy *copy);

#endif
