/* The fields `format`, `content` and `signatures` of a spec. Pure, any thread. */
#ifndef ESS_MODEL_SPEC_FORM_H
#define ESS_MODEL_SPEC_FORM_H

#include "common/model/spec.h"

int spec_take_format(struct spec *spec, struct json_object *value, struct error *err);
int spec_take_content(struct spec *spec, struct json_object *value, struct error *err);
int spec_take_signatures(struct spec *spec, struct json_object *value,
                         const struct spec_rules *rules, struct error *err);

/* Puts those of the three that are not at their default into an open object. */
void spec_put_form(const struct spec *spec, struct buf *out);

#endif
