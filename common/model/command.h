/* A one-shot command to a subscriber's owner: one record in ess.subscribers, written by ess-ingest,
 * executed once.
 *
 * Key "<id>/cmd/<uuid>", in the partition of the id. Value, JSON with "v" and the registration id
 * of the commanded spec:
 *   {"v":1,"born":…,"command":"rewind","cursor":N}        continue the live lane above N, also
 *                                                         forward; enable a disabled lane
 *   {"v":1,"born":…,"command":"resume"}                   enable a disabled lane; end a back-off
 *   {"v":1,"born":…,"command":"replay","from":N,"to":M}   a job that re-sends N < cursor <= M
 *   {"v":1,"born":…,"command":"redrive","cursors"?:[…]}   a job over these dead letters, or
 *                                                         over all since the last redrive
 *   {"v":1,"born":…,"command":"test","topic":…,"data":…}  one attempt with id ess-test-<generation>
 *   {"v":1,"born":…,"command":"end_job","job":G}          end the job G
 *   {"v":1,"born":…,"command":"skip"}                     dead-letter the event that the live lane
 *                                                         waits to retry
 *
 * The record's offset is the command's *generation*, and the id of a job it starts. Commands are
 * applied in order of offset. A command with another registration id than the current spec is void.
 * The owner's checkpoint holds the offset of the last applied command ("applied"): after a crash,
 * commands up to that offset are not applied again. Once a valid checkpoint with such an offset is
 * read back from the log, the command's key gets a tombstone. The writer of the record has resolved
 * times and "the end" to cursors. Pure except for command_key's randomness; any thread. */
#ifndef ESS_MODEL_COMMAND_H
#define ESS_MODEL_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/span.h"
#include "common/model/pattern.h"
#include "common/model/spec.h"

enum {
    COMMAND_VERSION = 1,
    COMMAND_CURSORS_MAX = 1000,
    COMMAND_KEY_BYTES = SPEC_ID_BYTES_MAX + 5 + 36 + 1
};

enum command_kind {
    COMMAND_REWIND,
    COMMAND_RESUME,
    COMMAND_REPLAY,
    COMMAND_REDRIVE,
    COMMAND_TEST,
    COMMAND_END_JOB,
    COMMAND_SKIP,
    COMMAND_KINDS,
};

struct command {
    char registration_id[37];
    enum command_kind kind;
    int64_t cursor;       /* rewind */
    int64_t from, to;     /* replay: above `from`, up to and including `to`; from <= to */
    int64_t *cursors;     /* redrive: ascending, unique; NULL: all since the last */
    size_t cursors_count; /* at most COMMAND_CURSORS_MAX */
    char topic[TOPIC_BYTES_MAX + 1]; /* test: a topic, not a pattern */
    char *data;  /* test: JSON, byte for byte, except line breaks between tokens */
    int64_t job; /* end_job */
};

/* "rewind", "resume", … */
const char *command_name(enum command_kind kind);

/* Writes a new key: "<id>/cmd/" and a random uuid. */
void command_key(const char *id, char out[COMMAND_KEY_BYTES]);

void command_to_json(const struct command *command, struct buf *out);

/* Reads a record, ignoring unknown members. Returns 0; end the result by command_fini. Returns -1
 * with the reason for a foreign record, or one of a newer version (sets `*newer`). */
int command_from_json(struct command *command, struct span text, bool *newer, struct error *err);

void command_fini(struct command *command);

#endif
