/* The forms of an event, of bytes that another program may have appended: valid JSON gives valid
 * JSON, data goes out byte for byte or not at all. */
#include "common/json/json_scan.h"
#include "common/model/event_form.h"
#include "fuzz.h"

enum { MEMBERS_MAX = 64 };

static struct span data_of(struct span text, bool *valid) {
    struct json_member members[MEMBERS_MAX];
    size_t count = 0;
    struct error err;
    *valid = json_scan_object(text, JSON_DEPTH_MAX, members, MEMBERS_MAX, &count, &err) == 0;
    const struct json_member *data = *valid ? json_find_member(members, count, "data") : NULL;
    return data ? data->value : (struct span){NULL, 0};
}

static void check_form(struct event_form form, struct span body) {
    struct buf out = {0};
    bool valid, still;
    const struct span data = data_of(body, &valid);
    const bool changes = event_form_changes(form, body);
    event_form_put(form, "feed", body, &out);
    const struct span now = data_of(content(&out), &still);
    MUST(still || !valid);
    if (valid && changes)
        MUST(form.without_data ? !now.len : span_equal(now, data));
    else if (!changes)
        MUST(span_equal(content(&out), body));
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (int form = 0; form < 4; form++)
        check_form((struct event_form){form & 1 ? EVENT_FORMAT_CLOUDEVENTS : EVENT_FORMAT_ESS,
                                       (form & 2) != 0},
                   bytes(data, size));
    return 0;
}
