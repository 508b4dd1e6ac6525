/* One who reads the log by HTTP: what pages (replay, poll) and streams (NDJSON, server-sent events)
 * share. Where it stands, what it wants, and how it comes by the next event. Loop thread.
 *
 * Life: http_reader_init, the kind's own parameters, http_reader_begin; then the kind's `go` is
 * called whenever there is something to read, until the kind has answered and calls
 * http_reader_fini. */
#ifndef ESS_INGEST_HTTP_READER_H
#define ESS_INGEST_HTTP_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/feed/feed.h"
#include "ingest/ingest.h"
#include "ingest/read/parked_readers.h"

struct http_reader;

struct http_reader_kind {
    const char *cursor_name; /* the parameter that says where it begins */
    void (*go)(struct http_reader *reader);
    /* No answer can be given any more but that the log cannot be read: gives it, and ends. */
    void (*abandon)(struct http_reader *reader);
    /* Its access token is no longer in force: says so, and ends. */
    void (*lapse)(struct http_reader *reader);
    /* Nothing more is to be answered. */
    void (*free)(struct http_reader *reader);
};

struct http_reader {
    const struct http_reader_kind *kind;
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
    struct feed_reader log_reader;
    struct parked_reader at_end;
    bool indexed; /* among the parked_readers */
    int64_t end;  /* the log's end as of the request, or the position if it is beyond: the tail must
                     have come there */
    struct loop_timer turn;          /* the next piece */
    struct loop_timer appear;        /* set while the tail has not come as far as `end` */
    struct http_reader *prev, *next; /* of all of its ingest */
    struct http_reader *appear_prev, *appear_next; /* of those with `appear` set */
};

/* Embedded as the kind's first member. Everything is zero or at its beginning. */
void http_reader_init(struct http_reader *reader, const struct http_reader_kind *kind,
                      struct ingest *ingest, struct http_request *request);
/* Ends all that it waits for. */
void http_reader_fini(struct http_reader *reader);

/* A whole number within min..max. Returns 0, or -1 with `name` to blame. */
int http_reader_whole_number(const char *text, const char *name, int64_t min, int64_t max,
                             int64_t *value, struct error *err);
/* A parameter that is one; left as it is where absent. */
int http_reader_number(const struct http_request *request, const char *name, int64_t min,
                       int64_t max, int64_t *value, struct error *err);
/* Its position and `until`, from since_cursor and until_cursor. */
int http_reader_range(struct http_reader *reader, struct error *err);
/* What it wants, from `topics`. */
int http_reader_topics(struct http_reader *reader, struct error *err);

/* `position` is set, or below 0 for the log's end. Calls `go` when the tail has come as far as was
 * asked for; when it does not within a second, answers 400 or has it abandoned. */
void http_reader_begin(struct http_reader *reader);

/* For `go`, before anything is read: asks, at most once a second, whether the pull's access token
 * is still in force. True: it is not, and the pull has ended. */
bool http_reader_lapsed(struct http_reader *reader);

/* Bytes that its next piece may have: `max`, or less where memory is short; at least one event is
 * put all the same. */
size_t http_reader_piece_bytes(const struct http_reader *reader, size_t max);

enum http_reader_result {
    HTTP_READER_EVENT, /* `event` is the next one; put it by http_reader_put */
    HTTP_READER_END,   /* it has everything up to the log's end or `until` */
    HTTP_READER_LATER, /* `go` is called when there is more to read */
    HTTP_READER_NEWER, /* a later version of ESS wrote the next one: it can neither be read nor
                   passed. Abandoned, the pull says so */
};
enum http_reader_result http_reader_next(struct http_reader *reader, struct feed_event *event);
/* Appends the event in its delivered form, and moves on behind it. */
void http_reader_put(struct http_reader *reader, const struct feed_event *event, struct buf *out);
/* The log goes on above its position, as far as is wanted. */
bool http_reader_has_more(const struct http_reader *reader);
/* `go` is called in the loop's next turn, so that others have theirs. */
void http_reader_go_soon(struct http_reader *reader);
/* At the log's end: `go` is called when an event is there for it. */
void http_reader_park(struct http_reader *reader);
/* Everything for it up to here it has got: its position, or the log's end while it waits there. */
int64_t http_reader_reached(const struct http_reader *reader);

/* Answers 400 that names a parameter, or 503. Afterwards it is to be freed. */
void http_reader_refuse(struct http_reader *reader, const struct error *err);
void http_reader_unavailable(struct http_reader *reader);

/* --- all http_readers of one ingest */

struct http_readers *http_readers_new(void);
/* When all have ended. NULL is allowed. */
void http_readers_free(struct http_readers *readers);

/* The log has moved on. */
void http_readers_advanced(struct ingest *ingest);
/* How many are under way. */
size_t http_readers_count(const struct http_readers *readers);
/* The log is no longer read: ends all. */
void http_readers_end(struct http_readers *readers);

#endif
