/* Warns early. Once a second the monitor looks at lanes that are behind, and warns when the age
 * of the oldest waiting event nears the replay window: beyond the window compaction may take the
 * event. Also warns when an endpoint has failed for an hour. Loop thread only. */
#ifndef ESS_DISPATCHER_LAG_MONITOR_H
#define ESS_DISPATCHER_LAG_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/log.h"

struct endpoint;
struct feed;
struct lag_monitor;
struct lane;
struct loop;

struct lag_watch {          /* of one subscriber; embedded */
    const char *subscriber; /* the subscriber's id */
    const struct lane *lane;
    const struct endpoint *endpoint;
    void (*changed)(void *arg); /* oldest_ms is another now */
    void *arg;
    struct lag_monitor *monitor; /* NULL: not watched */
    int64_t oldest_at;           /* the position behind oldest_ms; -1: none */
    int64_t oldest_ms; /* wall: append time of the oldest waiting event; 0: none, or unknown */
    struct log_limit lag_warning, failing_warning;
    struct lag_watch *prev, *next;
};

/* `subscriber`, `lane` and `endpoint` outlive the watch. */
void lag_watch_init(struct lag_watch *watch, const char *subscriber, const struct lane *lane,
                    const struct endpoint *endpoint, void (*changed)(void *arg), void *arg);
/* The lane runs from now on, or does not any more. */
void lag_watch_begin(struct lag_watch *watch, struct lag_monitor *monitor);
void lag_watch_end(struct lag_watch *watch);

/* The oldest waiting event has waited for four fifths of the replay window. */
bool lag_watch_nears_window(const struct lag_watch *watch, int64_t replay_window_ms,
                            int64_t wall_ms);
/* Attempts were made for an hour, and all failed. */
bool lag_watch_fails_long(const struct lag_watch *watch);

/* `feed` outlives the monitor. */
struct lag_monitor *lag_monitor_new(struct loop *loop, struct feed *feed, int64_t replay_window_ms);
/* Nothing is watched any more. */
void lag_monitor_free(struct lag_monitor *monitor);

#endif
