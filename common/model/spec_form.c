/* What a delivery looks like, as a spec says it; see spec_form.h. */
#include "common/model/spec_form.h"

#include <json-c/json.h>

#include "common/base/names.h"
#include "common/json/json_tree.h"
#include "common/json/writer.h"

static const char *const formats[] = {[EVENT_FORMAT_ESS] = "ess",
                                      [EVENT_FORMAT_CLOUDEVENTS] = "cloudevents"};
static const char *const contents[] = {"full", "id"};
static const char *const signatures[] = {"hmac", "ed25519"}; /* in the order of their bits */
enum { KINDS = 2 };

static int spec_form_find(const char *const *names, struct json_object *value) {
    return names_find(names, KINDS, json_tree_text(value));
}

int spec_take_format(struct spec *spec, struct json_object *value, struct error *err) {
    const int found = spec_form_find(formats, value);
    if (found < 0)
        return error_set_field(err, "format", "must be ess or cloudevents");
    spec->form.format = (enum event_format)found;
    return 0;
}

int spec_take_content(struct spec *spec, struct json_object *value, struct error *err) {
    const int found = spec_form_find(contents, value);
    spec->form.without_data = found == 1;
    return found < 0 ? error_set_field(err, "content", "must be full or id") : 0;
}

static int spec_take_signature(struct spec *spec, struct json_object *value,
                               const struct spec_rules *rules, struct error *err) {
    const int found = spec_form_find(signatures, value);
    if (found < 0)
        return error_set_field(err, "signatures", "must be a list of hmac and ed25519");
    if (spec->signatures & 1U << found)
        return error_set_field(err, "signatures", "has %s twice", signatures[found]);
    spec->signatures |= 1U << found;
    if (spec->signatures & SPEC_SIGNED_ED25519 && !rules->from_record && !rules->has_signing_key)
        return error_set_field(err, "signatures",
                               "ed25519 needs a key of ESS's own: the operator sets "
                               "signing.key_file for ess-ingest and ess-dispatcher");
    return 0;
}

int spec_take_signatures(struct spec *spec, struct json_object *value,
                         const struct spec_rules *rules, struct error *err) {
    const size_t count = json_object_is_type(value, json_type_array)
                             ? json_object_array_length(value)
                             : 0;
    if (!count)
        return error_set_field(err, "signatures", "must be a list of hmac and ed25519");
    spec->signatures = 0;
    for (size_t i = 0; i < count; i++)
        if (spec_take_signature(spec, json_object_array_get_idx(value, i), rules, err))
            return -1;
    return 0;
}

static void spec_put_signatures(const struct spec *spec, struct buf *out) {
    json_member_list(out, "signatures");
    for (int i = 0; i < KINDS; i++)
        if (spec->signatures & 1U << i)
            json_put_string(out, signatures[i]);
    json_end_list(out);
}

void spec_put_form(const struct spec *spec, struct buf *out) {
    if (spec->form.format != EVENT_FORMAT_ESS)
        json_member_string(out, "format", formats[spec->form.format]);
    if (spec->form.without_data)
        json_member_string(out, "content", "id");
    if (spec->signatures & SPEC_SIGNED_ED25519)
        spec_put_signatures(spec, out);
}
