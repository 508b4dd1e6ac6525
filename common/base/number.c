/* Whole numbers as text; see number.h. */
#include "common/base/number.h"

int64_t number_parse(struct span text) {
    int64_t n = 0;
    if (text.len == 0 || text.len > NUMBER_DIGITS_MAX)
        return -1;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        n = n * 10 + (text.data[i] - '0');
    }
    return n;
}
