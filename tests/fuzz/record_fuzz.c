/* What stands in Kafka beside events, as anybody who may write there could make it: specs, keys,
 * wanted states, commands, replay tokens, dead letters. The first byte says which. What is taken is
 * written as JSON, and that reads as the same. */
#include <sys/stat.h>
#include <unistd.h>

#include "common/json/json_scan.h"
#include "common/model/acknowledgement.h"
#include "common/model/command.h"
#include "common/model/dead_letter.h"
#include "common/model/subscriber.h"
#include "common/model/token.h"
#include "fuzz.h"

static struct keyring *keyring;

static void make_keyring(void) {
    char folder[] = "/tmp/ess-fuzz-XXXXXX", path[64];
    struct error err;
    MUST(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/key", folder);
    MUST(keyring_create(path, &err) == 0 && (keyring = keyring_load(path, NULL, &err)));
    unlink(path);
    rmdir(folder);
}

static void check_json(const struct buf *text) {
    struct error err;
    MUST(json_scan(content(text), JSON_DEPTH_MAX + 8, &err) == 0);
}

static void check_acknowledgement(struct span text) {
    struct acknowledgement read, again;
    struct buf out = {0};
    struct error err;
    if (acknowledgement_from_json(&read, text, &err))
        return;
    acknowledgement_to_json(&read, &out);
    MUST(acknowledgement_from_json(&again, content(&out), &err) == 0);
    MUST(!acknowledgement_differs(&read, &again));
    buf_fini(&out);
}

static void check_command(struct span text) {
    struct command command, again;
    struct buf first = {0}, second = {0};
    struct error err;
    bool newer = false;
    check_acknowledgement(text);
    if (command_from_json(&command, text, &newer, &err))
        return;
    command_to_json(&command, &first);
    check_json(&first);
    MUST(command_from_json(&again, content(&first), &newer, &err) == 0);
    command_to_json(&again, &second);
    MUST(span_equal(content(&first), content(&second)));
    command_fini(&command);
    command_fini(&again);
    buf_fini(&first);
    buf_fini(&second);
}

static void check_token(struct span text) {
    struct token token = {0}, again = {0};
    struct buf first = {0}, second = {0};
    struct error err;
    bool newer = false;
    if (token_from_json(&token, text, &newer, &err))
        return;
    token_to_json(&token, &first);
    check_json(&first);
    MUST(token_from_json(&again, content(&first), &newer, &err) == 0);
    token_to_json(&again, &second);
    MUST(json_scan(text, JSON_DEPTH_MAX + 8, &err) ||
         span_equal(content(&first), content(&second))); /* what is no UTF-8 was replaced */
    token_fini(&token);
    token_fini(&again);
    buf_fini(&first);
    buf_fini(&second);
}

static void check_record(struct span text) {
    struct subscriber_record record, again;
    struct buf out = {0};
    struct error err;
    bool newer, old_key = false;
    if (subscriber_record_from_json(&record, "a", text, keyring, &newer, &old_key, &err))
        return;
    subscriber_record_to_json(&record, keyring, &out);
    check_json(&out);
    MUST(subscriber_record_from_json(&again, "a", content(&out), keyring, &newer, &old_key, &err) ==
         0);
    MUST(again.start == record.start && again.removed == record.removed &&
         spec_same_endpoint(&again.spec, &record.spec));
    spec_fini(&record.spec);
    spec_fini(&again.spec);
    buf_fini(&out);
}

static void check_keys(struct span text) {
    struct subscriber_keys keys;
    struct subscriber_desired desired;
    struct buf out = {0};
    struct error err;
    bool newer, old_key = false;
    if (subscriber_keys_from_json(&keys, "a", text, keyring, &newer, &old_key, &err) == 0) {
        subscriber_keys_to_json(&keys, "a", keyring, &out);
        subscriber_keys_fini(&keys);
    } else if (subscriber_desired_from_json(&desired, text, &newer, &err) == 0) {
        subscriber_desired_to_json(&desired, &out);
    } else {
        MUST(subscriber_check_from_json(text, keyring, &old_key,
                                        &err)); /* sealed by a key that was made just now */
        return;
    }
    check_json(&out);
    buf_fini(&out);
}

static void check_dead_letter(struct span text) {
    struct dead_letter_record record;
    struct buf shown = {0}, event = {0};
    struct span topic, id;
    struct error err;
    if (dead_letter_from_json(&record, text, &err))
        return;
    dead_letter_show(&record, true, &shown);
    check_json(&shown);
    if (dead_letter_copy_event(&record, &event, &topic, &id) == 0) {
        check_json(&event);
        MUST(topic.data[-1] == '"' && topic.data[topic.len] == '"');
        MUST(id.data[-1] == '"' && id.data[id.len] == '"');
    }
    buf_fini(&shown);
    buf_fini(&event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const checks[])(struct span text) = {check_command, check_token, check_record,
                                                       check_keys, check_dead_letter};
    char id[SPEC_ID_BYTES_MAX + 1];
    if (!keyring)
        make_keyring();
    subscriber_key_parse(bytes(data, size), id);
    if (size)
        checks[data[0] % 5](bytes(data + 1, size - 1));
    return 0;
}
