/* Two clocks: a monotonic one for deadlines, and the wall clock for people and protocols. */
#ifndef ESS_BASE_CLOCK_H
#define ESS_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

enum { CLOCK_TEXT_BYTES = 32 };

/* CLOCK_BOOTTIME: never goes backwards, counts time asleep. */
int64_t clock_ms(void);
int64_t clock_us(void);

/* Milliseconds since 1970, UTC. */
int64_t clock_wall_ms(void);

/* RFC 3339 in UTC with milliseconds: 2024-05-07T14:03:11.123Z. Clamps to the years 0 to 9999. */
void clock_format(int64_t wall_ms, char out[CLOCK_TEXT_BYTES]);

/* Reads any RFC 3339 date-time: any offset, a fraction of any length cut to milliseconds, "T" or
 * "t", "Z" or "z". Accepts a leap second only at the end of a month in UTC, and reads it as the
 * second after. Returns 0, or -1 for any other text. `wall_ms` may be NULL to check only. */
int clock_parse(const char *text, size_t len, int64_t *wall_ms);

/* Reads a duration in milliseconds: "15s", "1h30m", "7d", "250ms". The only number allowed without
 * a unit is 0. Returns 0 or -1. */
int clock_parse_duration(const char *text, size_t len, int64_t *ms);

/* Writes a duration as clock_parse_duration reads it, with as few units as needed: "15s", "1h30m".
 * `ms` is not negative. */
void clock_format_duration(int64_t ms, char out[CLOCK_TEXT_BYTES]);

#endif
