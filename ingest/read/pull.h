/* One who reads the log by HTTP: what pages (replay, poll) and streams (NDJSON, server-sent events)
 * share. Where it stands, what it wants, and how it comes by the next event. Loop thread.
 *
 * Life: pull_init, the kind's own parameters, pull_begin; then the kind's `go` is called whenever
 * there is something to read, until the kind has answered and calls pull_fini. */
#ifndef ESS_INGEST_PULL_H
#define ESS_INGEST_PULL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/feed/feed.h"
#include "ingest/ingest.h"
#include "ingest/read/waiters.h"

struct pull;

struct pull_kind {
    const char *cursor_name; /* the parameter that says where it begins */
    void (*go)(struct pull *pull);
    /* No answer can be given any more but that the log cannot be read: gives it, and ends. */
    void (*abandon)(struct pull *pull);
    /* Its access token is no longer in force: says so, and ends. */
    void (*lapse)(struct pull *pull);
    /* Nothing more is to be answered. */
    void (*free)(struct pull *pull);
};

struct pull {
    const struct pull_kind *kind;
    struct ingest *ingest;
    struct http_request *request;
    const char *cursor_name; /* kind's, or the header that was used instead */
    struct subscription subscription;
    int64_t position; /* there is nothing for it between `previous` and here that it has not got */
    int64_t previous; /* prev_cursor of its next event */
    bool compacted;   /* between the two, cursors had no record */
    int64_t newer;    /* cursor of an event of a later version that stands next; 0: none */
    int64_t until;    /* inclusive; INT64_MAX: on and on */
    int64_t count, limit;
    struct token_reads_of *token_reads; /* NULL: read without an access token, or not begun */
    int64_t ask_ms; /* when it is to be asked next whether its access token is in force */
    struct feed_reader reader;
    struct waiter waiter;
    bool indexed; /* among the waiters */
    int64_t end;  /* the log's end as of the request, or the position if it is beyond: the tail must
                     have come there */
    struct loop_timer turn;                 /* the next piece */
    struct loop_timer appear;               /* set while the tail has not come as far as `end` */
    struct pull *prev, *next;               /* of all of its ingest */
    struct pull *appear_prev, *appear_next; /* of those with `appear` set */
};

/* Embedded as the kind's first member. Everything is zero or at its beginning. */
void pull_init(struct pull *pull, const struct pull_kind *kind, struct ingest *ingest,
               struct http_request *request);
/* Ends all that it waits for. */
void pull_fini(struct pull *pull);

/* A whole number within min..max. Returns 0, or -1 with `name` to blame. */
int pull_whole_number(const char *text, const char *name, int64_t min, int64_t max, int64_t *value,
                      struct error *err);
/* A parameter that is one; left as it is where absent. */
int pull_number(const struct http_request *request, const char *name, int64_t min, int64_t max,
                int64_t *value, struct error *err);
/* Its position and `until`, from since_cursor and until_cursor. */
int pull_range(struct pull *pull, struct error *err);
/* What it wants, from `topics`. */
int pull_topics(struct pull *pull, struct error *err);

/* `position` is set, or below 0 for the log's end. Calls `go` when the tail has come as far as was
 * asked for; when it does not within a second, answers 400 or has it abandoned. */
void pull_begin(struct pull *pull);

/* For `go`, before anything is read: asks, at most once a second, whether the pull's access token
 * is still in force. True: it is not, and the pull has ended. */
bool pull_lapsed(struct pull *pull);

/* Bytes that its next piece may have: `max`, or less where memory is short; at least one event is
 * put all the same. */
size_t pull_piece_bytes(const struct pull *pull, size_t max);

enum pull_result {
    PULL_EVENT, /* `event` is the next one; put it by pull_put */
    PULL_END,   /* it has everything up to the log's end or `until` */
    PULL_LATER, /* `go` is called when there is more to read */
    PULL_NEWER, /* a later version of ESS wrote the next one: it can neither be read nor passed.
                   Abandoned, the pull says so */
};
enum pull_result pull_next(struct pull *pull, struct feed_event *event);
/* Appends the event in its delivered form, and moves on behind it. */
void pull_put(struct pull *pull, const struct feed_event *event, struct buf *out);
/* The log goes on above its position, as far as is wanted. */
bool pull_has_more(const struct pull *pull);
/* `go` is called in the loop's next turn, so that others have theirs. */
void pull_go_soon(struct pull *pull);
/* At the log's end: `go` is called when an event is there for it. */
void pull_wait(struct pull *pull);
/* Everything for it up to here it has got: its position, or the log's end while it waits there. */
int64_t pull_reached(const struct pull *pull);

/* Answers 400 that names a parameter, or 503. Afterwards it is to be freed. */
void pull_refuse(struct pull *pull, const struct error *err);
void pull_unavailable(struct pull *pull);

/* --- all pulls of one ingest */

struct pulls *pulls_new(void);
/* When all have ended. NULL is allowed. */
void pulls_free(struct pulls *pulls);

/* The log has moved on. */
void pulls_advanced(struct ingest *ingest);
/* How many are under way. */
size_t pulls_count(const struct pulls *pulls);
/* The log is no longer read: ends all. */
void pulls_end(struct pulls *pulls);

#endif
