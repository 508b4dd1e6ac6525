/* A subscriber's spec, as YAML or JSON by the first byte: what is taken is written as JSON that
 * reads as the same spec. */
#include "common/json/json_scan.h"
#include "common/model/spec.h"
#include "fuzz.h"

static void check_again(const struct spec *spec) {
    static const struct cidr everywhere = {.bits = 0};
    static const struct spec_rules rules = {.allowed = &everywhere, .allowed_count = 1};
    struct buf first = {0}, second = {0};
    struct spec again;
    struct error err;
    spec_to_json(spec, true, &first);
    MUST(json_scan(content(&first), JSON_DEPTH_MAX, &err) == 0);
    MUST(spec_from_json(&again, content(&first), &rules, &err) == 0);
    spec_to_json(&again, true, &second);
    MUST(span_equal(content(&first), content(&second)));
    spec_fini(&again);
    buf_fini(&first);
    buf_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct spec_rules from_file = {.from_file = true}, from_api = {0};
    struct spec spec;
    struct error err;
    bool yaml = size && data[0] == 'y';
    if (size == 0)
        return 0;
    struct span text = bytes(data + 1, size - 1);
    if (yaml ? spec_from_yaml(&spec, text, &from_file, &err)
             : spec_from_json(&spec, text, &from_api, &err)) {
        MUST(*err.message);
        return 0;
    }
    if (!*spec.id)
        snprintf(spec.id, sizeof spec.id, "made"); /* as a registration does */
    check_again(&spec);
    spec_fini(&spec);
    return 0;
}
