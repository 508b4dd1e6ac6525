/* The replay token: how far a subscriber's events are settled, and how its endpoint fares. One
 * record in ess.tokens, JSON with "v", which `ess-ingest` shows as status and a dispatcher goes on
 * from. Pure, any thread. */
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
    TOKEN_SETTLED_MAX = 4096, /* events settled above the position */
    TOKEN_JOBS_MAX = 16,
    TOKEN_JOB_CURSORS_MAX = 1000,
    TOKEN_PENDING_MAX = 16,
    TOKEN_OUTCOMES_MAX = 8,
    TOKEN_REDRIVEN_MAX = 1000,
};
#define TOKEN_NUMBER_MAX (INT64_C(1) << 60)

enum token_state { TOKEN_ACTIVE, TOKEN_RETRYING, TOKEN_PAUSED, TOKEN_DISABLED };

/* One failed attempt. */
struct token_attempt {
    int64_t at_ms; /* wall */
    int64_t cursor;
    int64_t attempt; /* from 1 */
    int64_t status;  /* HTTP status, or 0 and then `error` */
    char error[128];
    int64_t duration_ms;
    char excerpt[TOKEN_EXCERPT_BYTES]; /* beginning of the answer's body, valid UTF-8, control
                                          characters as spaces */
};

/* Cursors from..to: the subscriber's events among them are settled. */
struct token_range {
    int64_t from, to;
};

/* A replay of the cursors in (from, to], or a redrive of the subscriber's dead letters at the
 * offsets in (from, to] of their partition. */
struct token_job {
    int64_t job; /* the offset of its command */
    bool redrive;
    int64_t from, to;
    int64_t position;  /* settled up to here */
    int64_t last;      /* of a replay: the newest event for it at or below position, or from */
    int64_t delivered; /* with a 2xx so far */
    int64_t *cursors;  /* of a redrive: only these; NULL: all */
    int64_t cursors_count;
    struct token_range *settled; /* above position, ascending; NULL when empty */
    int64_t settled_count;
    char reason[TOKEN_REASON_BYTES]; /* what it waits for; "": nothing */
};

/* What became of a command that is not simply applied: one that was refused, or began a job or a
 * test that has ended. */
struct token_outcome {
    int64_t generation; /* the command's */
    int64_t at_ms;      /* wall */
    char command[16];
    char outcome[16];  /* "refused", "done", "ended" by another command, or "failed": a test */
    char reason[96];   /* "": none */
    int64_t delivered; /* by its job; -1: it was no job */
};

struct token {
    char registration_id[37]; /* of the spec that it belongs to */
    char feed[37];
    int64_t position; /* everything for it up to here is settled */
    int64_t last; /* the newest event for it at or below position; the position asked for before the
                     first */
    uint64_t last_id_hash; /* token_id_hash of that event's id; 0: none yet */
    bool compacted;        /* between last and position compaction had taken records */
    bool waiting;          /* was at the tail */
    enum token_state state;
    char reason[TOKEN_REASON_BYTES];
    int64_t generation; /* offset of the newest spec, keys, wanted state or command record that is
                           in force */
    int64_t applied;    /* offset of the newest command that was applied, -1: none; those before it
                           were, but for `pending` */
    int64_t epoch;      /* offset of the writer's fence; -1: none */
    int64_t number; /* the writer's tokens are numbered: of two of one epoch the higher one is the
                       newer; 0: not numbered */
    int64_t failing_since_ms; /* wall; 0: not failing */
    int64_t failing_ms;       /* time in which attempts were made and all failed */
    int64_t next_attempt_ms;  /* wall; 0: none planned */
    int64_t written_ms;       /* wall: when this token was made; what it says is of then */
    int64_t last_success_ms;  /* wall: the newest 2xx, of an event, a job's or a test; 0: none */
    int64_t oldest_ms; /* wall: when the oldest event that waits was appended, as of the last look;
                          0: none, or not known */
    bool given_up;     /* one was dead-lettered for its attempts since the last 2xx */
    int64_t refused_in_row;
    int64_t skipping; /* the event that a skip dead-letters, until its dead letter is in Kafka; 0:
                         none */
    int64_t delivered, dead_lettered;
    int64_t
        redriven; /* dead letters up to this offset of their partition were redriven; -1: none */
    int64_t redriven_count; /* dead letters that a redrive has delivered */
    /* on the heap, each NULL when empty */
    struct token_attempt *attempts; /* the last failed ones, oldest first */
    int64_t attempts_count;
    struct token_range *settled; /* above position, ascending */
    int64_t settled_count;
    struct token_job *jobs; /* in order of their commands */
    int64_t jobs_count;
    int64_t *pending; /* offsets of commands below `applied` that are still to be applied: later
                         ones overtook them */
    int64_t pending_count;
    int64_t *redriven_letters; /* offsets above `redriven` that were redriven one by one, ascending;
                                  the newest TOKEN_REDRIVEN_MAX */
    int64_t redriven_letters_count;
    struct token_outcome *outcomes; /* the last ones, oldest first */
    int64_t outcomes_count;
};

void token_fini(struct token *token);
void token_job_fini(struct token_job *job);

/* FNV-1a of an event's id, never 0. */
uint64_t token_id_hash(struct span id);

/* Appends `attempt`; the oldest goes when there are too many. */
void token_add_attempt(struct token *token, const struct token_attempt *attempt);

/* Whether the dead letter at this offset was redriven, or stands before the place that a redrive of
 * all has reached. */
bool token_has_redriven(const struct token *token, int64_t offset);

/* Appends an outcome to a list of TOKEN_OUTCOMES_MAX; the oldest goes when there are too many.
 * *list may be NULL with none. */
void token_add_outcome(struct token_outcome **list, int64_t *count,
                       const struct token_outcome *outcome);

void token_to_json(const struct token *token, struct buf *out);

/* Reads a record into a token that holds nothing; token_fini it afterwards. Unknown members are
 * ignored. Returns 0; -1 with the reason when it is not one of ours or of a newer version (`*newer`
 * is set then), and then nothing is left to free. */
int token_from_json(struct token *token, struct span text, bool *newer, struct error *err);

const char *token_state_name(enum token_state state);

/* What is kept of a subscriber's tokens while they are read in log order. All zero: nothing yet. */
struct token_choice {
    enum { CHOICE_NONE, CHOICE_VOID, CHOICE_VALID } kept;
    int64_t epoch, number; /* of the one that is kept */
    bool rewrite; /* one that does not count is the newest in the log: its owner writes its own
                     again */
};
/* A token was read that was written under `epoch` (-1: none) with `number` (0: none), after a fence
 * at the offset `newest_fence`
 * (-1: none). It is void when that fence is newer than its epoch, and late when one of the same
 * epoch with a higher number is kept: a producer that was replaced may append it behind its
 * successor's. Returns true when it is to be kept instead of what was kept: the newest valid one
 * is, and the newest void one while there is no valid one. */
bool token_choose(struct token_choice *choice, int64_t epoch, int64_t number, int64_t newest_fence);

#endif
