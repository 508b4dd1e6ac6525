/* A subscriber's one-shot commands. Commands are applied in the order of their offsets, and leave
 * the log once a token naming them as applied was read back. So a command survives any crash and
 * is applied once (a test delivery: at least once). A command that must wait (a test for an
 * answer, a redrive for Kafka) does not hold up later commands: the token names the waiting
 * command as pending. A command of a later version of ESS waits too. An impossible command is
 * refused, and the token says so. Loop thread only. */
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

/* The owner of the commands; `arg` is from commands_init. */
struct commands_owner {
    bool (*may_write)(void *arg); /* records about the subscriber may be written now */
    bool (*is_listed)(void *arg); /* the subscriber has a spec; if not, only commands are left */
    void (*unreadable)(void *arg, int64_t offset, const char *reason); /* the command there */
    void (*rewind)(void *arg, int64_t cursor);
    void (*resume)(void *arg);
    bool (*skip)(void *arg); /* false: no event waits for another attempt */
    /* True: the test of this generation was made. False: the test is under way or waits;
     * commands_apply is called afterwards. */
    bool (*test)(void *arg, const struct command *command, int64_t generation);
    bool (*tests)(void *arg); /* a test is under way */
    /* The command at this offset was applied or refused. */
    void (*applied)(void *arg, int64_t offset);
    void (*changed)(void *arg); /* some were applied: the token is to say so at once */
    void (*noted)(void *arg);   /* the token has an outcome more */
};

struct commands_options { /* everything here outlives the commands */
    struct loop *loop;
    struct producer *producer;
    struct offsets *offsets;
    const char *topic, *dlq_topic; /* topics of the commands' records, and of dead letters */
    const char *subscriber;        /* the subscriber's id */
    const char *registration_id;   /* of the registration in force, which may change */
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
    /* all up to here are applied, except waiting commands; -1: none */
    int64_t applied;
    struct token_outcome *outcomes;
    int64_t outcomes_count;
    /* asks where the dead letters end; NULL: no question open */
    struct offsets_question *question;
    int64_t asked_for;      /* the redrive behind the question */
    int64_t letters_end_of; /* the redrive behind the last answer */
    int64_t letters_end;    /* the answer: the offset of the newest dead letter */
    struct loop_timer due;  /* when the question was answered, or failed */
};

void commands_init(struct commands *commands, const struct commands_options *options);
void commands_fini(struct commands *commands);

/* A command's record was read; `value` data NULL: a tombstone. */
void commands_read(struct commands *commands, struct span key, struct span value, int64_t offset);
/* The subscriber runs: commands may be applied from now on. */
void commands_begin(struct commands *commands);
/* Applies all commands that may be applied now. */
void commands_apply(struct commands *commands);
/* Calls off the commands under way; they will be applied again. */
void commands_cancel(struct commands *commands);
/* The subscriber stops; commands_cancel is included. */
void commands_stop(struct commands *commands);

/* A valid token was read back: erases the commands that the token names as applied. */
void commands_settled(struct commands *commands, const struct token *token);
/* The subscriber was deleted: all may go. */
void commands_erase(struct commands *commands);
/* Commands left over outlive a deleted subscriber: they move to the next subscriber of the id. */
struct pending_command *commands_detach(struct commands *commands);
void commands_attach(struct commands *commands, struct pending_command *list);
/* Read and write the token's part: applied and pending commands, and the last outcomes. The
 * token's outcomes are taken over. NULL: no token. */
void commands_from_token(struct commands *commands, struct token *token);
void commands_to_token(const struct commands *commands, struct token *token);
/* Notes a command's outcome for the token. `delivered`: events delivered by the command's job;
 * -1: not a job. */
void commands_note(struct commands *commands, int64_t generation, const char *command,
                   const char *outcome, const char *reason, int64_t delivered);
/* A command waits, and nothing will try again: no test's answer, no Kafka answer and no timer is
 * due. */
bool commands_stuck(const struct commands *commands);

#endif
