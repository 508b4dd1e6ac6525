/* Dead letters by HTTP; see dead_letters.h. Kafka reads forwards only, so the partition is read in
 * blocks, the last block first and each block forwards. Blocking calls on a thread of its own, for
 * a few requests at a time. */
#include "ingest/api/dead_letters.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/json/writer.h"
#include "common/kafka/range.h"
#include "common/model/dead_letter.h"
#include "ingest/api/call.h"
#include "ingest/ingest.h"
#include "ingest/read/http_reader.h"
#include "ingest/registry/registry.h"
#include "ingest/registry/subscriber_status.h"

enum {
    LIMIT_DEFAULT = 100,
    LIMIT_MAX = 1000,
    LOOKED_AT_MAX = 100000,
    BLOCK_RECORDS = 5000,
    ANSWER_BYTES_MAX = 8 * 1024 * 1024,
    AT_ONCE_MAX = 4,
    RETRY_AFTER_S = 1,
    PATIENCE_MS = 20000
};

/* One dead letter as shown. */
struct letter {
    char *text;
    size_t len;
    int64_t offset;
};

struct dead_letter_search {
    struct dead_letter_search *prev, *next; /* all searches under way */
    struct ingest *ingest;
    struct http_request *request; /* NULL: the client has gone, or was answered */
    struct loop_timer timer;
    char id[SPEC_ID_BYTES_MAX + 1], registration_id[37];
    int64_t before; /* offset: only dead letters below */
    int64_t limit;
    bool has_token; /* `token` is set; it lists the redriven dead letters */
    struct token token;
    /* owned by the thread while it runs */
    struct range *range;
    char topic[KAFKA_TOPIC_BYTES];
    int32_t partition;
    /* The newest dead letters of the present block: at most `limit`, and no more than fit into an
     * answer. */
    struct letter *ring;
    size_t first, end; /* range in the ring, counted from the block's start */
    size_t ring_bytes;
    struct buf found; /* the answer so far, newest first */
    int64_t found_count;
    int64_t goes_on; /* there may be more below this offset; 0: no more */
    int result;
    struct error err;
};

/* --- on a thread of its own */

static struct letter *dead_letters_letter_at(struct dead_letter_search *s, size_t number) {
    return &s->ring[number % (size_t)s->limit];
}

static void dead_letters_drop(struct dead_letter_search *s, size_t number) {
    struct letter *letter = dead_letters_letter_at(s, number);
    s->ring_bytes -= letter->len;
    free(letter->text);
    letter->text = NULL;
}

/* A dead letter of another registration belongs to an earlier subscriber with this id. */
static bool dead_letters_is_ours(const struct dead_letter_search *s,
                                 const struct dead_letter_record *record) {
    return !record->registration_id.len ||
           span_equal(record->registration_id, span_of(s->registration_id));
}

static void dead_letters_take(struct dead_letter_search *s, const struct kafka_record *found) {
    struct dead_letter_record record;
    struct error err;
    struct buf text = {0};
    if (!span_equal(found->key, span_of(s->id)) ||
        dead_letter_from_json(&record, found->value, &err) || !dead_letters_is_ours(s, &record))
        return;
    dead_letter_show(&record, s->has_token && token_has_redriven(&s->token, found->offset), &text);
    if (s->end - s->first == (size_t)s->limit)
        dead_letters_drop(s, s->first++);
    struct letter *slot = dead_letters_letter_at(s, s->end++);
    *slot = (struct letter){.offset = found->offset};
    slot->text = buf_detach(&text, &slot->len);
    s->ring_bytes += slot->len;
    while (s->ring_bytes > ANSWER_BYTES_MAX && s->end - s->first > 1)
        dead_letters_drop(s, s->first++);
}

/* Adds a dead letter of this registration to the ring. */
static bool dead_letters_on_record(void *arg, const struct kafka_record *found) {
    dead_letters_take(arg, found);
    return true;
}

/* Reads from..to-1 into the ring. */
static int dead_letters_read_block(struct dead_letter_search *s, int64_t from, int64_t to) {
    const struct kafka_position position = {s->topic, s->partition, from};
    if (range_read(s->range, &position, to, dead_letters_on_record, s, &s->err))
        return error_set(&s->err, "the dead letters cannot be read at present");
    return 0;
}

/* Moves the ring into the answer, newest first. False: the answer is full, and continues below
 * `goes_on`. */
static bool dead_letters_move_block(struct dead_letter_search *s) {
    bool room = true;
    while (s->end > s->first) {
        struct letter *letter = dead_letters_letter_at(s, --s->end);
        room = room && s->found_count < s->limit &&
               (s->found_count == 0 || s->found.len + letter->len < ANSWER_BYTES_MAX);
        if (room) {
            json_put_raw(&s->found, (struct span){letter->text, letter->len});
            s->found_count++;
            s->goes_on = letter->offset;
        }
        dead_letters_drop(s, s->end);
    }
    /* otherwise the ring has dropped older dead letters of the block */
    room = room && s->first == 0;
    s->first = s->end = 0;
    return room && s->found_count < s->limit;
}

static void dead_letters_search_partition(struct dead_letter_search *s) {
    int64_t low, high, looked_at = 0;
    s->result = range_bounds(s->range, s->topic, s->partition, &low, &high, &s->err);
    if (s->result)
        return;
    for (int64_t from, to = s->before < high ? s->before : high; to > low; to = from) {
        from = to - low > BLOCK_RECORDS ? to - BLOCK_RECORDS : low;
        if (looked_at >= LOOKED_AT_MAX) {
            s->goes_on = to;
            return;
        }
        if ((s->result = dead_letters_read_block(s, from, to)))
            return;
        looked_at += to - from;
        if (!dead_letters_move_block(s))
            return;
    }
    s->goes_on = 0;
}

static void dead_letters_work(void *arg) {
    struct dead_letter_search *s = arg;
    s->range = range_new(&s->ingest->service.settings.kafka, &s->err);
    s->result = s->range ? 0 : -1;
    if (!s->range)
        return;
    s->ring = mem_zero((size_t)s->limit * sizeof *s->ring);
    dead_letters_search_partition(s);
    while (s->end > s->first)
        dead_letters_drop(s, --s->end);
    free(s->ring);
    range_free(s->range);
}

/* --- on the loop */

static void dead_letters_done(void *arg) {
    struct dead_letter_search *s = arg;
    struct buf body = {0};
    DL_DELETE(s->ingest->dead_letter_searches, s);
    loop_timer_clear(s->ingest->service.loop, &s->timer);
    if (s->request && s->result) {
        http_problem(s->request, 503, &s->err, NULL, RETRY_AFTER_S);
    } else if (s->request) {
        json_put_object(&body);
        json_member_list(&body, "dead_letters");
        json_put_raw(&body, (struct span){s->found.data, s->found.len});
        json_end_list(&body);
        if (s->goes_on)
            json_member_number(&body, "next", s->goes_on);
        json_end_object(&body);
        buf_puts(&body, "\n");
        http_answer(s->request, 200, "application/json", &body);
    }
    buf_fini(&s->found);
    if (s->has_token)
        token_fini(&s->token);
    free(s);
}

static void dead_letters_on_gone(void *arg) {
    struct dead_letter_search *s = arg;
    s->request = NULL;
}

/* The thread hangs, or the machine is too busy to run it: answers the client. */
static void dead_letters_on_late(void *arg) {
    struct dead_letter_search *s = arg;
    struct error err;
    error_set(&err, "the dead letters were not read in time");
    if (s->request)
        http_problem(s->request, 503, &err, NULL, RETRY_AFTER_S);
    s->request = NULL;
}

void dead_letters_handle(void *arg, struct http_request *request) {
    static const char *const known[] = {"limit", "before", NULL};
    struct ingest *ingest = arg;
    struct error err;
    int64_t limit = LIMIT_DEFAULT, before = INT64_MAX;
    if (http_request_query_check(request, known, &err) ||
        http_reader_number(request, "limit", 1, LIMIT_MAX, &limit, &err) ||
        http_reader_number(request, "before", 0, INT64_MAX, &before, &err)) {
        http_problem(request, 400, &err, NULL, 0);
        return;
    }
    const struct registry_entry *entry = call_find(ingest, request);
    if (!entry || !http_answer_has_room(request))
        return;
    const struct dead_letter_search *other;
    int under_way;
    DL_COUNT(ingest->dead_letter_searches, other, under_way);
    if (under_way == AT_ONCE_MAX) {
        error_set(&err, "too many other requests are reading dead letters; try again");
        http_problem(request, 503, &err, NULL, RETRY_AFTER_S);
        return;
    }
    struct dead_letter_search *s = mem_zero(sizeof *s);
    *s = (struct dead_letter_search){
        .ingest = ingest, .request = request, .limit = limit, .before = before};
    s->has_token = subscriber_status_token(ingest, entry, &s->token);
    memcpy(s->id, entry->id, sizeof s->id);
    memcpy(s->registration_id, entry->registration_id, sizeof s->registration_id);
    kafka_topic_name(&ingest->service.settings.kafka, "dlq", s->topic);
    s->partition = kafka_partition_of(s->id, DEAD_LETTER_PARTITIONS);
    http_request_on_gone(request, dead_letters_on_gone, s);
    http_answer_hold(request, ANSWER_BYTES_MAX);
    DL_APPEND(ingest->dead_letter_searches, s);
    loop_timer_init(&s->timer, dead_letters_on_late, s);
    loop_timer_set(ingest->service.loop, &s->timer, clock_ms() + PATIENCE_MS);
    loop_task(ingest->service.loop, dead_letters_work, dead_letters_done, s);
}
