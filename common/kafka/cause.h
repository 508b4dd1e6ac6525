/* librdkafka's log lines name causes that its error codes do not: a wrong password, an unknown CA,
 * an advertised host without an address. Selects the lines to show to operators. */
#ifndef ESS_KAFKA_CAUSE_H
#define ESS_KAFKA_CAUSE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { CAUSES_MAX = 8, CAUSE_PERIOD_MS = 60 * 1000 };

/* The newest kinds of lines. */
struct causes {
    pthread_mutex_t lock;
    struct cause {
        uint64_t kind; /* hash of the line without numbers */
        int64_t next_ms, held_back;
    } newest[CAUSES_MAX];
    unsigned at;
};

void causes_init(struct causes *causes);

/* Returns true for a line of level LOG_WARNING or worse, once a period per kind. `held_back` is the
 * number of such lines hidden since. Any thread. */
bool causes_pass(struct causes *causes, int syslog_level, const char *text, int64_t now_ms,
                 int64_t *held_back);

#endif
