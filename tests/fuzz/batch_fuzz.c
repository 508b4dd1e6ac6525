/* A body of many events, as an array or as NDJSON: all are taken or none, in order, and the one to
 * blame is among them. */
#include <stdio.h>

#include "common/json/json_scan.h"
#include "fuzz.h"
#include "ingest/publish/batch.h"

static void make_id(void *arg, char out[37]) {
    (void)arg;
    snprintf(out, 37, "0190163d-8694-739b-aea5-966c26f8ad91");
}

/* The lines of NDJSON that are not blank. */
static size_t lines_of(struct span text) {
    size_t count = 0;
    while (text.len) {
        struct span line = take_until(&text, '\n');
        size_t blank = 0;
        while (blank < line.len && strchr(" \t\r", line.data[blank]) && line.data[blank])
            blank++;
        count += blank < line.len;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct batch batch;
    struct batch_fault fault = {0};
    struct error err;
    if (size == 0)
        return 0;
    const struct batch_options options = {.ndjson = data[0] & 1,
                                          .data_max = 1024,
                                          .ts = "2024-05-07T14:03:11.123Z",
                                          .make_id = make_id};
    struct span body = bytes(data + 1, size - 1);
    if (batch_read(&batch, body, &options, &fault, &err)) {
        MUST(*err.message);
        MUST(!fault.at_event || fault.index < size);
        return 0;
    }
    MUST(batch.count >= 1 && batch.count <= BATCH_EVENTS_MAX && (batch.many || batch.count == 1));
    MUST(!options.ndjson || batch.count == lines_of(body));
    for (size_t i = 0; i < batch.count; i++) {
        struct span value = batch.events[i].data;
        MUST(json_scan(value, JSON_DEPTH_MAX, &err) == 0);
        MUST(value.data >= body.data && value.data + value.len <= body.data + body.len);
        MUST(i == 0 || value.data > batch.events[i - 1].data.data);
    }
    batch_fini(&batch);
    return 0;
}
