/* A reader of the log by HTTP: the part that pages (replay, poll) and streams (NDJSON, server-sent
 * events) share. A reader holds the position, the topics and the way to the next event. Loop
 * thread only.
 *
 * Life: http_reader_init, the kind's own parameters, http_reader_begin. From then on the kind's
 * `go` is called whenever there may be something to read, until the kind has answered and calls
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
    const char *cursor_name; /* the query parameter of the start position */
    void (*go)(struct http_reader *reader);
    /* Answers that the log cannot be read, and ends the reader. */
    void (*abandon)(struct http_reader *reader);
    /* Answers that the access token is no longer in force, and ends the reader. */
    void (*lapse)(struct http_reader *reader);
    /* Ends the reader without an answer. */
    void (*free)(struct http_reader *reader);
};

struct http_reader {
    const struct http_reader_kind *kind;
    struct ingest *ingest;
    struct http_request *request;
    const char *cursor_name; /* the kind's, or the header used instead */
    struct subscription subscription;
    bool admitted;    /* the caller may read what the subscription wants, whatever the scopes say */
    int64_t position; /* read up to here: no event above `previous` is missing */
    int64_t previous; /* prev_cursor of the next event; -1 before the begin: the position */
    bool compacted;   /* compaction removed cursors between `previous` and `position` */
    int64_t newer;    /* cursor of the next event if a later version of ESS wrote it; otherwise 0 */
    int64_t until;    /* inclusive; INT64_MAX: without end */
    int64_t count, limit;
    struct token_reads_of *token_reads; /* NULL: no access token, or not begun */
    int64_t ask_ms;                     /* time of the next check of the access token */
    struct feed_reader log_reader;
    struct parked_reader at_end;
    bool indexed; /* added to the parked readers */
    /* The log's end at the time of the request, or `position` if greater. Reading begins once the
     * tail is there. */
    int64_t end;
    struct loop_timer turn;                        /* for the next piece */
    struct loop_timer appear;                      /* set while the tail is below `end` */
    struct http_reader *prev, *next;               /* all readers of the ingest */
    struct http_reader *appear_prev, *appear_next; /* readers with `appear` set */
};

/* Initialises the reader, which must be the first member of the kind's struct. */
void http_reader_init(struct http_reader *reader, const struct http_reader_kind *kind,
                      struct ingest *ingest, struct http_request *request);
/* Ends every wait of the reader. */
void http_reader_fini(struct http_reader *reader);

/* Parses a whole number within min..max. Returns 0, or -1 with `name` to blame. */
int http_reader_whole_number(const char *text, const char *name, int64_t min, int64_t max,
                             int64_t *value, struct error *err);
/* Parses a whole number from a query parameter. `*value` stays where the parameter is absent. */
int http_reader_number(const struct http_request *request, const char *name, int64_t min,
                       int64_t max, int64_t *value, struct error *err);
/* Parses since_cursor and until_cursor into `position` and `until`. */
int http_reader_range(struct http_reader *reader, struct error *err);
/* Parses `topics` into the subscription. */
int http_reader_topics(struct http_reader *reader, struct error *err);
/* The same from `filter`. */
int http_reader_filter(struct http_reader *reader, struct error *err);

/* Begins to read above `position`, or at the log's end if negative. Calls `go` once the tail has
 * reached the position. After a second without, answers 400 or calls `abandon`. */
void http_reader_begin(struct http_reader *reader);

/* Checks, at most once a second, that the access token is still in force; the first step of `go`.
 * True: the token has lapsed, and the reader has ended. */
bool http_reader_lapsed(struct http_reader *reader);

/* Size limit of the next piece: `max`, or less while memory is short. A piece holds at least one
 * event regardless. */
size_t http_reader_piece_bytes(const struct http_reader *reader, size_t max);

enum http_reader_result {
    HTTP_READER_EVENT, /* `event` is the next event; write it by http_reader_put */
    HTTP_READER_END,   /* read up to the log's end or `until` */
    HTTP_READER_LATER, /* nothing at hand; `go` is called later */
    /* A later version of ESS wrote the next event: it can be neither read nor passed.
     * http_reader_unavailable names the cursor. */
    HTTP_READER_NEWER,
};
enum http_reader_result http_reader_next(struct http_reader *reader, struct feed_event *event);
/* Appends the event in the delivered form and advances behind the event. */
void http_reader_put(struct http_reader *reader, const struct feed_event *event, struct buf *out);
/* Whether the log has more above `position`, up to `until`. */
bool http_reader_has_more(const struct http_reader *reader);
/* Calls `go` in the next turn of the loop, so that other readers get a turn. */
void http_reader_go_soon(struct http_reader *reader);
/* Parks the reader at the log's end. `go` is called when a wanted event arrives. */
void http_reader_park(struct http_reader *reader);
/* The cursor up to which the reader has every wanted event: `position`, or the log's end while
 * parked. */
int64_t http_reader_reached(const struct http_reader *reader);

/* Answer 400 with the parameter to blame, or 503. The caller then frees the reader. */
void http_reader_refuse(struct http_reader *reader, const struct error *err);
void http_reader_unavailable(struct http_reader *reader);

/* --- all readers of one ingest */

struct http_readers *http_readers_new(void);
/* Every reader must have ended. NULL is allowed. */
void http_readers_free(struct http_readers *readers);

/* Call after the log's tail has advanced. */
void http_readers_advanced(struct ingest *ingest);
/* The number of readers under way. */
size_t http_readers_count(const struct http_readers *readers);
/* Abandons every reader, because the log is no longer read. */
void http_readers_end(struct http_readers *readers);

#endif
