/* A subscriber's one-shot commands: kept as they are read, applied in the order of their offsets,
 * and taken out of the log once a token that says so was read back from it. So each survives a
 * crash at any point and is applied once (a test delivery: at least once). One that must wait (a
 * test for its answer, a redrive for Kafka's) holds up no other: those behind it are applied, and
 * the token names it as pending. A command that only a later version can read waits in the same
 * way. What cannot be done is refused, and the token says that too. Loop thread only. */
#ifndef ESS_DISPATCHER_COMMANDS_H
#define ESS_DISPATCHER_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/base/span.h"

struct command;
struct jobs;
struct log_limit;
struct offsets;
struct offsets_question;
struct pending_command;
struct producer;
struct token;
struct token_outcome;

/* Whose commands they are; `arg` is the one given to commands_init. */
struct commands_owner {
    bool (*may_write)(void *arg); /* records about the subscriber may be written now */
    bool (*is_listed)(void *arg); /* the subscriber has a spec; else only its commands are left */
    void (*unreadable)(void *arg, int64_t offset, const char *reason); /* the command there */
    void (*rewind)(void *arg, int64_t cursor);
    void (*resume)(void *arg);
    bool (*skip)(void *arg); /* false: no event waits for another attempt */
    /* True: the test of this generation was made. False: it is being made, or waits for another;
     * commands_apply is called when it was. */
    bool (*test)(void *arg, const struct command *command, int64_t generation);
    bool (*tests)(void *arg); /* one is being made */
    /* The command at this offset is in force, or refused. */
    void (*applied)(void *arg, int64_t offset);
    void (*changed)(void *arg); /* some were applied: the token is to say so at once */
    void (*noted)(void *arg);   /* the token has an outcome more */
};

struct commands_options { /* all of it outlives the commands */
    struct loop *loop;
    struct producer *producer;
    struct offsets *offsets;
    const char *topic, *dlq_topic; /* of the commands' records, and of dead letters */
    const char *subscriber,
        *registration_id; /* its id; its registration, which may become another */
    int32_t partition;
    struct jobs *jobs;
    struct log_limit *removal_warning; /* of all subscribers */
    const struct commands_owner *owner;
    void *arg;
};

struct commands { /* embedded */
    struct commands_options options;
    bool running;
    struct pending_command *list; /* in the order of their offsets */
    int64_t applied;              /* all up to here but those that wait; -1: none */
    struct token_outcome *outcomes;
    int64_t outcomes_count;
    struct offsets_question *question; /* where the dead letters end; NULL: not asked */
    int64_t asked_for;                 /* the redrive for which it is asked */
    int64_t letters_end_of,
        letters_end;       /* the redrive for which it is known, and the newest letter's offset */
    struct loop_timer due; /* when the question was answered, or failed */
};

void commands_init(struct commands *commands, const struct commands_options *options);
void commands_fini(struct commands *commands);

/* A command's record was read; `value` data NULL: it is gone from the log. */
void commands_read(struct commands *commands, struct span key, struct span value, int64_t offset);
/* The subscriber runs from now on: what is read may be applied. */
void commands_begin(struct commands *commands);
/* Applies what may be applied now. */
void commands_apply(struct commands *commands);
/* What is being applied is called off, and will be applied anew. */
void commands_cancel(struct commands *commands);
/* The subscriber stops; commands_cancel is included. */
void commands_stop(struct commands *commands);

/* A token that is not void was read back: the commands that it has as applied may go. */
void commands_settled(struct commands *commands, const struct token *token);
/* The subscriber was deleted: all may go. */
void commands_erase(struct commands *commands);
/* Those that are left outlive a deleted subscriber: they move into the next one's. */
struct pending_command *commands_detach(struct commands *commands);
void commands_attach(struct commands *commands, struct pending_command *list);
/* From and to the token: which are applied and pending, and what became of the last ones. The
 * outcomes are taken over. NULL: there is none. */
void commands_from_token(struct commands *commands, struct token *token);
void commands_to_token(const struct commands *commands, struct token *token);
/* Notes what became of a command, for the token. `delivered`: by its job, -1 when it was none. */
void commands_note(struct commands *commands, int64_t generation, const char *command,
                   const char *outcome, const char *reason, int64_t delivered);
/* One waits, and nothing would try it again: neither a test's answer nor Kafka's nor a timer is
 * due. */
bool commands_stuck(const struct commands *commands);

#endif
