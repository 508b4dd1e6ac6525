/* Selects librdkafka log lines to show to operators; see cause.h. */
#include "common/kafka/cause.h"

#include <string.h>
#include <syslog.h>

/* FNV-1a of the constant part of a repeated line: without digits and without "(after 3ms in state
 * CONNECT)". */
static uint64_t cause_kind_of(const char *text) {
    const char *end = strstr(text, " (after");
    uint64_t hash = 0xcbf29ce484222325;
    for (; *text && text != end; text++)
        if (*text < '0' || *text > '9')
            hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
    return hash ? hash : 1;
}

static struct cause *cause_of(struct causes *c, uint64_t kind) {
    for (int i = 0; i < CAUSES_MAX; i++)
        if (c->newest[i].kind == kind)
            return &c->newest[i];
    struct cause *oldest = &c->newest[c->at++ % CAUSES_MAX];
    *oldest = (struct cause){.kind = kind};
    return oldest;
}

void causes_init(struct causes *c) {
    *c = (struct causes){0};
    pthread_mutex_init(&c->lock, NULL);
}

bool causes_pass(struct causes *c, int level, const char *text, int64_t now_ms,
                 int64_t *held_back) {
    if (level > LOG_WARNING)
        return false;
    pthread_mutex_lock(&c->lock);
    struct cause *cause = cause_of(c, cause_kind_of(text));
    bool pass = now_ms >= cause->next_ms;
    *held_back = cause->held_back;
    cause->held_back = pass ? 0 : cause->held_back + 1;
    if (pass)
        cause->next_ms = now_ms + CAUSE_PERIOD_MS;
    pthread_mutex_unlock(&c->lock);
    return pass;
}
