/* Reads a subscriber's file; see spec.h. */
#include "common/json/json_scan.h"
#include "common/json/yaml.h"
#include "common/model/spec.h"

int spec_from_yaml(struct spec *spec, struct span text, const struct spec_rules *rules,
                   struct error *err) {
    struct yaml yaml;
    if (yaml_read(&yaml, text, SPEC_FILE_BYTES_MAX, JSON_DEPTH_MAX, err))
        return -1;
    int result = spec_from_tree(spec, yaml.root, rules, err);
    if (result)
        error_prefix(err, "%zu: ", yaml_line(&yaml, err->field));
    yaml_fini(&yaml);
    return result;
}
