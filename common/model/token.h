/* The checkpoint of a subscriber (replay token in the API): how far events are settled, and how the
 * endpoint fares. One record in ess.tokens, JSON with "v". `ess-ingest` shows the checkpoint as
 * status, and a dispatcher continues from the checkpoint. Pure, any thread. */
#ifndef ESS_MODEL_TOKEN_H
#define ESS_MODEL_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/span.h"

enum {
    TOKEN_VERSION = 1,
    TOKEN_ATTEMPTS_MAX = 10,
    TOKEN_REASON_BYTES = 256,
    TOKEN_EXCERPT_BYTES = 128,
    TOKEN_SETTLED_MAX = 4096, /* settled events above the position */
    TOKEN_JOBS_MAX = 16,
    TOKEN_JOB_CURSORS_MAX = 1000,
    TOKEN_PENDING_MAX = 16,
    TOKEN_OUTCOMES_MAX = 8,
    TOKEN_REDRIVEN_MAX = 1000,
    TOKEN_HANDSHAKE_BYTES = 33, /* of a handshake's id: 32 hex digits */
};
#define TOKEN_NUMBER_MAX (INT64_C(1) << 60)

/* PENDING: the endpoint has yet to answer a handshake. */
enum token_state { TOKEN_ACTIVE, TOKEN_RETRYING, TOKEN_PAUSED, TOKEN_DISABLED, TOKEN_PENDING };

/* One failed attempt. */
struct token_attempt {
    int64_t at_ms; /* wall */
    int64_t cursor;
    int64_t attempt; /* from 1 */
    int64_t status;  /* HTTP status; 0: see `error` */
    char error[128];
    int64_t duration_ms;
    /* Start of the answer's body: valid UTF-8, control characters replaced by spaces. */
    char excerpt[TOKEN_EXCERPT_BYTES];
};

/* The subscriber's events with cursors from..to are settled. */
struct token_range {
    int64_t from, to;
};

/* A replay of the cursors in (from, to], or a redrive of the subscriber's dead letters at offsets
 * in (from, to] of their partition. */
struct token_job {
    int64_t job; /* offset of its command */
    bool redrive;
    int64_t from, to;
    int64_t position;  /* all settled up to here */
    int64_t last;      /* replay: the newest own event up to position, or `from` */
    int64_t delivered; /* with a 2xx so far */
    int64_t *cursors;  /* redrive: only these; NULL: all */
    int64_t cursors_count;
    struct token_range *settled; /* above position, ascending; NULL when empty */
    int64_t settled_count;
    char reason[TOKEN_REASON_BYTES]; /* why the job waits; "" if running */
};

/* The outcome of a refused command, or of a job or test that has ended. */
struct token_outcome {
    int64_t generation; /* of the command */
    int64_t at_ms;      /* wall */
    char command[16];
    /* "refused", "done", "ended" by another command, or "failed" for a test. */
    char outcome[16];
    char reason[96];   /* "": none */
    int64_t delivered; /* by the job; -1: not a job */
};

struct token {
    char registration_id[37]; /* of the spec */
    char feed[37];
    int64_t position; /* all own events up to here are settled */
    /* The newest own event up to position; before the first, the requested position. */
    int64_t last;
    uint64_t last_id_hash; /* token_id_hash of the event at `last`; 0: none */
    int64_t rewinds;       /* of the position so far, by commands or because the log went back */
    /* Compaction removed records between last and position. */
    bool compacted;
    bool waiting; /* was at the tail */
    enum token_state state;
    char reason[TOKEN_REASON_BYTES];
    /* Offset of the newest spec, keys, desired state or command record in force. */
    int64_t generation;
    /* Offset of the newest applied command; -1: none. Older ones are applied, except `pending`. */
    int64_t applied;
    int64_t epoch; /* offset of the writer's fence; -1: none */
    /* Counts the writer's checkpoints: within an epoch, the highest number is the newest. 0:
     * unnumbered. */
    int64_t number;
    int64_t failing_since_ms; /* wall; 0: not failing */
    int64_t failing_ms;       /* time in which all attempts failed */
    int64_t next_attempt_ms;  /* wall; 0: none planned */
    int64_t written_ms;       /* wall: when the checkpoint was made */
    /* Wall: newest 2xx, of an event, a job or a test; 0: none. */
    int64_t last_success_ms;
    /* Wall: append time of the oldest waiting event at the last look; 0: none or unknown. */
    int64_t oldest_ms;
    /* An event was dead-lettered for its attempts since the last 2xx. */
    bool given_up;
    int64_t refused_in_row;
    /* Event being dead-lettered by a skip, until Kafka has the dead letter; 0: none. */
    int64_t skipping;
    int64_t delivered, dead_lettered;
    double rate; /* events a second, of an adaptive subscriber; 0: not adaptive */
    /* Id of the newest handshake that was answered; "": none. */
    char handshake[TOKEN_HANDSHAKE_BYTES];
    /* Dead letters up to this offset of their partition were redriven; -1: none. */
    int64_t redriven;
    int64_t redriven_count; /* dead letters delivered by redrives */
    /* On the heap; NULL when empty. */
    struct token_attempt *attempts; /* the last failed ones, oldest first */
    int64_t attempts_count;
    struct token_range *settled; /* above position, ascending */
    int64_t settled_count;
    struct token_job *jobs; /* in order of their commands */
    int64_t jobs_count;
    /* Offsets below `applied` of commands still to apply: later commands overtook them. */
    int64_t *pending;
    int64_t pending_count;
    /* Offsets above `redriven` redriven one by one, ascending; the newest TOKEN_REDRIVEN_MAX. */
    int64_t *redriven_letters;
    int64_t redriven_letters_count;
    struct token_outcome *outcomes; /* the last ones, oldest first */
    int64_t outcomes_count;
};

void token_fini(struct token *token);
void token_job_fini(struct token_job *job);

/* FNV-1a of an event's id, never 0. */
uint64_t token_id_hash(struct span id);

/* Appends `attempt`, dropping the oldest when the list is full. */
void token_add_attempt(struct token *token, const struct token_attempt *attempt);

/* Whether the dead letter at this offset was redriven, alone or by a redrive of all. */
bool token_has_redriven(const struct token *token, int64_t offset);

/* Appends an outcome to a list of TOKEN_OUTCOMES_MAX, dropping the oldest when full. *list may be
 * NULL when empty. */
void token_add_outcome(struct token_outcome **list, int64_t *count,
                       const struct token_outcome *outcome);

void token_to_json(const struct token *token, struct buf *out);

/* Reads a record into an empty token; end it by token_fini. Unknown members are ignored. Returns 0.
 * Returns -1 with the reason, and nothing to free, for a foreign record or one of a newer version
 * (sets `*newer`). */
int token_from_json(struct token *token, struct span text, bool *newer, struct error *err);

const char *token_state_name(enum token_state state);
/* Returns the state or -1. A record has no state "pending", which older versions cannot read:
 * token_to_json writes "paused" with a member beside it. */
int token_state_of(const char *name);

/* The checkpoint to keep, while a subscriber's checkpoints are read in log order. All zero at
 * first. */
struct token_choice {
    enum { CHOICE_NONE, CHOICE_VOID, CHOICE_VALID } kept;
    int64_t epoch, number; /* of the kept one */
    /* The newest in the log does not count: the owner must append its own again. */
    bool rewrite;
};
/* Call for each checkpoint read, written under `epoch` (-1: none) with `number` (0: none), behind a
 * fence at offset `newest_fence` (-1: none). A checkpoint is void when the fence is newer than its
 * epoch. A checkpoint is late when a higher number of its epoch is kept: a replaced producer may
 * append an older one behind its successor's. Returns true when the checkpoint replaces the kept
 * one: kept is the newest valid one, or else the newest void one. */
bool token_choose(struct token_choice *choice, int64_t epoch, int64_t number, int64_t newest_fence);

#endif
