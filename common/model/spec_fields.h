/* Takes the fields of a spec, each by itself: their bounds, and the texts of their errors. Pure,
 * any thread. */
#ifndef ESS_MODEL_SPEC_FIELDS_H
#define ESS_MODEL_SPEC_FIELDS_H

#include "common/model/spec.h"

/* Takes one field into the spec. On failure err->field names it; what was taken so far stays. */
int spec_take_field(struct spec *spec, const char *name, struct json_object *value,
                    const struct spec_rules *rules, struct error *err);

const char *spec_ordering_name(enum spec_ordering ordering);

#endif
