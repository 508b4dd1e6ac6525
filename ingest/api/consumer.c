/* The consumer of a pulled subscriber; see consumer.h. The position is the checkpoint's, or the
 * cursor acknowledged since. ess-ingest needs no dispatcher for either call. */
#include "ingest/api/consumer.h"

#include <inttypes.h>
#include <string.h>

#include "common/json/body.h"
#include "common/json/writer.h"
#include "ingest/api/call.h"
#include "ingest/ingest.h"
#include "ingest/read/page.h"
#include "ingest/registry/acknowledging.h"
#include "ingest/registry/positions.h"
#include "ingest/registry/registry.h"
#include "ingest/registry/subscriber_status.h"

/* --- the subscriber as its consumer finds it */

struct consumer_view {
    enum token_state state;
    int64_t position;
    int64_t previous; /* the newest event for the subscriber up to the position, or the position */
    bool compacted;   /* records between the two are gone */
    int64_t rewinds;  /* so far */
};

/* Returns 0, or -1 with the reason why the subscriber is not pulled at present. */
static int consumer_look(const struct ingest *ingest, const struct registry_entry *entry,
                         struct consumer_view *view, struct error *err) {
    struct token read;
    const struct token *token = subscriber_status_token(ingest, entry, &read) ? &read : NULL;
    const char *reason;
    view->state = subscriber_status_state(ingest, entry, token, &reason);
    view->position = subscriber_status_position(entry, token);
    view->rewinds = token ? token->rewinds : 0;
    bool at_token = token && token->position == view->position;
    view->previous = at_token ? token->last : view->position;
    view->compacted = at_token && token->compacted;
    int result = 0;
    if (token && strcmp(token->feed, ingest->service.genesis.feed) != 0)
        result = error_set(err, "%s stands in another log: a dispatcher has yet to compare the two",
                           entry->id);
    else if (view->state == TOKEN_DISABLED)
        result = error_set(err, "%s is disabled: %s", entry->id,
                           reason ? reason : "see its status");
    else if (!spec_is_pulled(&entry->spec))
        result = error_set(err, "%s has an endpoint: ESS delivers its events there", entry->id);
    if (token)
        token_fini(&read);
    return result;
}

static int consumer_check_paused(const struct registry_entry *entry,
                                 const struct consumer_view *view, struct error *err) {
    return view->state == TOKEN_PAUSED || registry_paused(entry)
               ? error_set(err, "%s is paused: resume it first", entry->id)
               : 0;
}

/* --- next */

/* What a page was begun for. */
struct consumer_page {
    struct ingest *ingest;
    char id[SPEC_ID_BYTES_MAX + 1], registration_id[37];
    int64_t generation; /* of the spec */
    int64_t rewinds;
};

static void consumer_refuse(struct http_request *request, unsigned status,
                            const struct error *err) {
    http_problem(request, status, err, NULL, 0);
}

/* No event and no cursor goes out of a page that was begun before the subscriber was paused,
 * changed, rewound or deleted. */
static bool consumer_still(void *arg, struct http_request *request) {
    const struct consumer_page *page = arg;
    struct registry *registry = page->ingest->registry;
    const struct registry_entry *entry = registry ? registry_find(registry, page->id) : NULL;
    struct consumer_view view;
    struct error err;
    if (!registry_in_force(entry) || strcmp(entry->registration_id, page->registration_id) != 0) {
        error_set(&err, "there is no subscriber %s", page->id);
        consumer_refuse(request, 404, &err);
    } else if (consumer_look(page->ingest, entry, &view, &err) ||
               consumer_check_paused(entry, &view, &err)) {
        consumer_refuse(request, 409, &err);
    } else if (entry->generation != page->generation || view.rewinds != page->rewinds) {
        /* the next page has the right events; the cursor is the position, so that the consumer may
         * acknowledge it */
        page_answer_empty(request, view.position);
    } else {
        return true;
    }
    return false;
}

static struct subscription consumer_subscription(const struct spec *spec) {
    struct subscription copy = {0};
    struct error ignored; /* the spec was checked */
    for (size_t i = 0; i < spec->subscription.patterns_count; i++)
        subscription_add(&copy, spec->subscription.patterns[i]);
    if (spec->filter)
        subscription_set_filter(&copy, span_of(spec->filter), &ignored);
    return copy;
}

static void consumer_begin_page(struct ingest *ingest, struct http_request *request,
                                const struct registry_entry *entry,
                                const struct consumer_view *view) {
    struct consumer_page *page = mem_zero(sizeof *page);
    *page = (struct consumer_page){
        .ingest = ingest, .generation = entry->generation, .rewinds = view->rewinds};
    memcpy(page->id, entry->id, sizeof page->id);
    memcpy(page->registration_id, entry->registration_id, sizeof page->registration_id);
    const struct page_order order = {.subscription = consumer_subscription(&entry->spec),
                                     .position = view->position,
                                     .previous = view->previous,
                                     .compacted = view->compacted,
                                     .still = consumer_still,
                                     .arg = page};
    page_answer_order(ingest, request, &order);
}

void consumer_next(void *arg, struct http_request *request) {
    struct ingest *ingest = arg;
    struct consumer_view view;
    struct error err;
    if (page_check_order(request, &err)) {
        consumer_refuse(request, 400, &err);
        return;
    }
    const struct registry_entry *entry = call_find(ingest, request);
    if (!entry)
        return;
    if (consumer_look(ingest, entry, &view, &err) || consumer_check_paused(entry, &view, &err))
        consumer_refuse(request, 409, &err);
    else
        consumer_begin_page(ingest, request, entry, &view);
}

/* --- ack */

static void consumer_answer_position(struct call *call) {
    const struct registry_entry *entry = call_entry(call);
    struct consumer_view view;
    struct error ignored;
    if (!entry)
        return;
    consumer_look(call->ingest, entry, &view, &ignored);
    json_member_number(&call->answer, "cursor", view.position);
    call_settle(call);
}

static void consumer_on_acknowledged(void *arg, const char *refused) {
    struct call *call = arg;
    if (refused)
        call_unavailable(call, refused);
    else
        consumer_answer_position(call);
}

static void consumer_acknowledge_at(struct call *call, struct registry_entry *entry,
                                    int64_t cursor) {
    struct consumer_view view;
    struct error err;
    if (consumer_look(call->ingest, entry, &view, &err))
        call_refuse(call, 409, &err);
    else if (cursor <= view.position)
        consumer_answer_position(call);
    else if (!acknowledging_add(call->ingest, entry, cursor, consumer_on_acknowledged, call))
        call_unavailable(call, "Kafka has not confirmed an earlier acknowledgement yet");
}

static void consumer_on_position(void *arg, const struct position *positions,
                                 const struct error *refused) {
    struct call *call = arg;
    struct registry_entry *entry;
    if (refused)
        call_refuse(call, *refused->field ? 400 : 503, refused);
    else if (!ingest_ready(call->ingest))
        call_unavailable(call, "Kafka does not answer, or the subscribers have not been read yet");
    else if ((entry = call_entry(call)))
        consumer_acknowledge_at(call, entry, positions[0].value);
}

static int consumer_parse(struct span text, struct position *position, struct error *err) {
    static const char *const members[] = {"cursor", NULL};
    struct body body;
    if (body_parse(&body, text, members, err))
        return -1;
    const struct json_member *cursor = body_member(&body, "cursor");
    return cursor ? position_parse(position, "cursor", cursor, POSITION_CURSOR, err)
                  : error_set_field(err, "cursor", "is missing");
}

void consumer_acknowledge(void *arg, struct http_request *request) {
    struct error err;
    struct position position;
    struct call *call = call_begin(arg, request, CALL_COMMANDS);
    if (!call)
        return;
    if (consumer_parse(http_request_body(request), &position, &err))
        call_refuse(call, 400, &err);
    else
        positions_resolve(arg, &position, 1, consumer_on_position, call);
}
