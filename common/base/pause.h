/* A pause that grows while a rare event keeps happening. */
#ifndef ESS_BASE_PAUSE_H
#define ESS_BASE_PAUSE_H

#include <stdint.h>

enum { PAUSE_FIRST_MS = 500, PAUSE_LONGEST_MS = 30000, PAUSE_FORGET_MS = 60000 };

struct pause { /* all zero at first */
    int64_t until_ms, length_ms;
};

/* Call when the event happens. Returns when to try again: at once, unless the event also happened
 * within the minute before. */
static inline int64_t pause_until(struct pause *p, int64_t now_ms) {
    if (!p->until_ms || now_ms - p->until_ms > PAUSE_FORGET_MS)
        p->length_ms = 0;
    else
        p->length_ms = !p->length_ms                         ? PAUSE_FIRST_MS
                       : p->length_ms * 2 > PAUSE_LONGEST_MS ? PAUSE_LONGEST_MS
                                                             : p->length_ms * 2;
    return p->until_ms = now_ms + p->length_ms;
}

#endif
