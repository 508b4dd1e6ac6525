/* The JSON scanner beside jansson, a public parser that is as strict: both take and refuse the
 * same. */
#include <jansson.h>

#include "common/json/json_scan.h"
#include "fuzz.h"

/* Whether jansson takes it; `*judge` is false where it refuses what is none of its business:
 * numbers beyond a double, names with U+0000, its own limit of depth. */
static bool jansson_takes(struct span text, bool *judge) {
    json_error_t err;
    const size_t flags = JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL |
                         JSON_REJECT_DUPLICATES;
    json_t *tree = json_loadb(text.data, text.len, flags, &err);
    enum json_error_code code = tree ? json_error_unknown : json_error_code(&err);
    *judge = tree || (code != json_error_numeric_overflow && code != json_error_null_byte_in_key &&
                      code != json_error_stack_overflow);
    json_decref(tree);
    return tree != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span text = bytes(data, size);
    struct error err = {0};
    bool judge, takes = json_scan(text, JSON_DEPTH_MAX, &err) == 0;
    bool too_deep = strstr(err.message, "levels of arrays and objects") != NULL;
    MUST(takes || *err.message);
    bool jansson = jansson_takes(text, &judge);
    bool nul = size && memchr(data, 0, size); /* jansson overlooks one behind a number */
    MUST(nul ? !takes : !judge || too_deep || takes == jansson);
    return 0;
}
