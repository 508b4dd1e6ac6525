/* The body of a publish; see batch.h. */
#include "ingest/publish/batch.h"

#include <stdlib.h>

struct reading {
    struct batch *batch;
    const struct batch_options *options;
    struct batch_fault *fault;
};

/* Makes room for another event, and an id in case the event has none. */
static int batch_next_event(struct reading *r, char made_id[37], struct event **event,
                            struct error *err) {
    struct batch *b = r->batch;
    r->fault->index = b->count;
    if (b->count == BATCH_EVENTS_MAX)
        return error_set(err, "at most %d events in one request", BATCH_EVENTS_MAX);
    if ((b->count & (b->count - 1)) == 0) /* 0, 1, 2, 4, 8, … */
        b->events = mem_resize(b->events, (b->count ? b->count * 2 : 1) * sizeof *b->events);
    *event = &b->events[b->count];
    r->options->make_id(r->options->arg, made_id);
    return 0;
}

static int batch_take_element(void *arg, size_t index, const struct json_element *element,
                              struct error *err) {
    struct reading *r = arg;
    struct event *event;
    char made_id[37];
    (void)index;
    if (batch_next_event(r, made_id, &event, err))
        return -1;
    if (element->kind != JSON_IS_OBJECT)
        return error_set(err, "must be a JSON object");
    if (event_take(event, element->members, element->members_count, r->options->data_max, made_id,
                   r->options->ts, &r->fault->too_large, err))
        return -1;
    r->fault->index = ++r->batch->count;
    return 0;
}

static int batch_take_text(struct reading *r, struct span text, struct error *err) {
    struct event *event;
    char made_id[37];
    if (batch_next_event(r, made_id, &event, err) ||
        event_parse(event, text, r->options->data_max, made_id, r->options->ts,
                    &r->fault->too_large, err))
        return -1;
    r->batch->count++;
    return 0;
}

static bool batch_is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static struct span batch_trim(struct span text) {
    while (text.len && batch_is_space(text.data[0]))
        text = (struct span){text.data + 1, text.len - 1};
    while (text.len && batch_is_space(text.data[text.len - 1]))
        text.len--;
    return text;
}

/* Empty lines are skipped. */
static int batch_take_lines(struct reading *r, struct span body, struct error *err) {
    const char *end = body.data + body.len;
    for (const char *line = body.data; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        struct span text = batch_trim(
            (struct span){line, (size_t)((newline ? newline : end) - line)});
        if (text.len && batch_take_text(r, text, err))
            return -1;
        line = newline ? newline + 1 : end;
    }
    return 0;
}

bool batch_is_array(struct span body) {
    size_t at = 0; /* skips space at the beginning only: this is called for each piece of a body */
    while (at < body.len && batch_is_space(body.data[at]))
        at++;
    return at < body.len && body.data[at] == '[';
}

static int batch_take_body(struct reading *r, struct span body, struct error *err) {
    r->batch->many = r->options->ndjson || batch_is_array(body);
    if (!r->batch->many)
        return batch_take_text(r, body, err);
    r->fault->at_event = true;
    if (r->options->ndjson ? batch_take_lines(r, body, err)
                           : json_scan_array(body, JSON_DEPTH_MAX, batch_take_element, r, err))
        return error_prefix(err, "event %zu: ", r->fault->index);
    r->fault->at_event = false;
    return r->batch->count ? 0 : error_set(err, "must hold 1 to %d events", BATCH_EVENTS_MAX);
}

int batch_read(struct batch *batch, struct span body, const struct batch_options *options,
               struct batch_fault *fault, struct error *err) {
    struct reading reading = {batch, options, fault};
    *batch = (struct batch){0};
    *fault = (struct batch_fault){0};
    if (batch_take_body(&reading, body, err) == 0)
        return 0;
    batch_fini(batch);
    return -1;
}

void batch_fini(struct batch *batch) { free(batch->events); }
