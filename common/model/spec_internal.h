/* What spec.c and spec_yaml.c share. */
#ifndef ESS_MODEL_SPEC_INTERNAL_H
#define ESS_MODEL_SPEC_INTERNAL_H

#include "common/model/spec.h"

struct json_object;

/* Reads an object; on failure err->field names the member, and nothing is left to free. */
int spec_from_tree(struct spec *spec, struct json_object *tree, const struct spec_rules *rules,
                   struct error *err);

#endif
