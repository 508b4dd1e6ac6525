/* A published event: whatever is taken is stored as one line of valid JSON that is spliced without
 * being read again. */
#include "common/json/json_scan.h"
#include "common/model/event.h"
#include "fuzz.h"

enum { DATA_MAX = 1024 };
static const char made_id[] = "0190163d-8694-739b-aea5-966c26f8ad91",
                  made_ts[] = "2024-05-07T14:03:11.123Z";

static void check_line(const struct buf *line) {
    struct error err;
    MUST(json_scan(content(line), JSON_DEPTH_MAX + 1, &err) == 0);
    MUST(!memchr(line->data, '\n', line->len) && !memchr(line->data, '\r', line->len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct event event;
    struct error err;
    struct buf stored = {0}, delivered = {0}, key = {0};
    bool too_large = false;
    if (event_parse(&event, bytes(data, size), DATA_MAX, made_id, made_ts, &too_large, &err)) {
        MUST(*err.message);
        return 0;
    }
    MUST(event.data.len <= DATA_MAX && strlen(event.id) > 0 && strlen(event.topic) > 0);
    event_store(&event, &stored);
    check_line(&stored);
    MUST(event_stored_valid(content(&stored), span_of(event.topic)));
    event_splice(content(&stored), strlen(event.topic), INT64_MAX, INT64_MAX - 1, true, &delivered);
    check_line(&delivered);
    event_kafka_key(&event, &key);
    MUST(key.len >= strlen(event.topic));
    buf_fini(&stored);
    buf_fini(&delivered);
    buf_fini(&key);
    return 0;
}
