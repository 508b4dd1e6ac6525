/* A one-shot command to a subscriber's owner: one record in ess.subscribers, written by ess-ingest,
 * carried out once.
 *
 * Key "<id>/cmd/<uuid>", in the partition of the id. Value, JSON with "v", always with the
 * registration id of the spec that it is for:
 *   {"v":1,"born":…,"command":"rewind","cursor":N}           the live lane goes on above N (forward
 * too); enables a disabled one
 *   {"v":1,"born":…,"command":"resume"}                       a disabled lane goes on; a back-off
 * ends
 *   {"v":1,"born":…,"command":"replay","from":N,"to":M}       a job that re-sends N < cursor <= M
 *   {"v":1,"born":…,"command":"redrive","cursors"?:[…]}       a job over the dead letters: these,
 * or all since the last redrive
 *   {"v":1,"born":…,"command":"test","topic":…,"data":…}      one attempt with id
 * ess-test-<generation>
 *   {"v":1,"born":…,"command":"end_job","job":G}              ends the job G
 *   {"v":1,"born":…,"command":"skip"}                         dead-letters the event that the live
 * lane waits to try again The record's offset is the command's *generation*, and the id of the job
 * that it begins. Commands are applied in the order of their offsets; one of another registration
 * id than the spec in force is void. The owner's token holds the offset of the last one applied
 * ("applied"): after a crash those at or below it are not applied again, and a command is made a
 * tombstone when such a token, not void, was read back from the log. Times and "the end" were
 * resolved to cursors by whoever wrote the record. Pure but for command_key's randomness; any
 * thread. */
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
    int64_t from, to;     /* replay: above from, up to and with to; from <= to */
    int64_t *cursors;     /* redrive, ascending, each once; NULL: all since the last one */
    size_t cursors_count; /* at most COMMAND_CURSORS_MAX */
    char topic[TOPIC_BYTES_MAX + 1]; /* test: a topic, no pattern */
    char *data;  /* test: JSON, byte for byte, without CR and LF between its tokens */
    int64_t job; /* end_job */
};

/* "rewind", "resume", … */
const char *command_name(enum command_kind kind);

/* A new key: "<id>/cmd/" and a fresh uuid. */
void command_key(const char *id, char out[COMMAND_KEY_BYTES]);

void command_to_json(const struct command *command, struct buf *out);

/* Reads a record. Unknown members are ignored. Returns 0, and then it is the caller's:
 * command_fini; -1 with the reason when it is none of ours or of a newer version (`*newer` is set
 * then). */
int command_from_json(struct command *command, struct span text, bool *newer, struct error *err);

void command_fini(struct command *command);

#endif
