/* Sizes as text; see size.h. */
#include "common/base/size.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

int size_parse(const char *text, int64_t *bytes) {
    static const struct {
        const char *name;
        int shift;
    } units[] = {{"", 0}, {"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
    char *end;
    if (!isdigit((unsigned char)*text))
        return -1;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    while (*end == ' ')
        end++;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcasecmp(end, units[i].name) != 0)
            continue;
        if (errno || n > INT64_MAX >> units[i].shift)
            return -1;
        *bytes = n << units[i].shift;
        return 0;
    }
    return -1;
}

void size_format(int64_t bytes, char out[SIZE_TEXT_BYTES]) {
    static const char *const units[] = {"", "KiB", "MiB", "GiB"};
    size_t unit = 0;
    for (; unit < 3 && bytes && bytes % 1024 == 0; unit++)
        bytes /= 1024;
    snprintf(out, SIZE_TEXT_BYTES, "%" PRId64 "%s", bytes, units[unit]);
}
