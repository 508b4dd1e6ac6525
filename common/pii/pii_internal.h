/* Shared by pii.c and pii_filter.c. */
#ifndef ESS_PII_PII_INTERNAL_H
#define ESS_PII_PII_INTERNAL_H

#include "common/pii/pii.h"

enum { PII_PATHS_MAX = 64, PII_SEGMENTS_MAX = 32, PII_KEY_BYTES_MAX = 4096 };

struct pii_segment {
    struct span name; /* data NULL: [*] */
};

struct pii_path {
    char *text; /* as in the file; segments point into the text */
    struct pii_segment segments[PII_SEGMENTS_MAX];
    size_t segments_count;
};

enum pii_action { PII_DROP, PII_MASK, PII_HASH };

struct pii_rule {
    char *name;
    char **topics;
    size_t topics_count;
    struct pii_path *paths;
    size_t paths_count; /* 0: detect */
    unsigned kinds;     /* of detect */
    enum pii_action action;
};

struct pii {
    struct pii_rule *rules;
    size_t rules_count;
    char *hash_key; /* NULL: none */
};

/* Splits path->text. Returns 0, or -1 with the reason. */
int pii_path_parse(struct pii_path *path, struct error *err);

#endif
