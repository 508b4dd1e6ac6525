/* The JSON object that a call's body is: what is taken has only members that are known, each once.
 */
#include "common/base/number.h"
#include "common/json/body.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const known[] = {"cursor", "time", "from", "to", "topic", NULL};
    struct body body;
    struct error err;
    char text[32] = "";
    if (body_parse(&body, bytes(data, size), known, &err)) {
        MUST(*err.message);
        return 0;
    }
    MUST(body.count || !memchr(data, 0, size)); /* what is no JSON is not empty either */
    MUST(body.count <= sizeof known / sizeof *known - 1);
    for (const char *const *name = known; *name; name++) {
        const struct json_member *member = body_member(&body, *name);
        MUST(!member || (member->value.data >= (const char *)data &&
                         member->value.data + member->value.len <= (const char *)data + size));
        if (body_text(&body, *name, text, sizeof text, "must be text", &err) == 0)
            MUST(strlen(text) < sizeof text);
        if (member)
            MUST(number_parse(member->value) >= -1);
    }
    return 0;
}
