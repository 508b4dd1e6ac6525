/* Two clocks: one that never jumps, for deadlines, and the wall's, for people and protocols. */
#ifndef ESS_BASE_CLOCK_H
#define ESS_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

enum { CLOCK_TEXT_BYTES = 32 };

/* CLOCK_BOOTTIME: goes on while the machine sleeps, never backwards. */
int64_t clock_ms(void);
int64_t clock_us(void);

/* Milliseconds since 1970, UTC. */
int64_t clock_wall_ms(void);

/* RFC 3339 in UTC with milliseconds: 2024-05-07T14:03:11.123Z. What is before the year 0 or after
 * 9999 becomes its begin or end. */
void clock_format(int64_t wall_ms, char out[CLOCK_TEXT_BYTES]);

/* Reads any RFC 3339 date-time (offset, fraction of any length, cut to milliseconds; "T" or "t",
 * "Z" or "z"). A leap second, which only the last of a month in UTC can be, is the second after it.
 * Returns 0, or -1 when it is not one. `wall_ms` may be NULL to check only. */
int clock_parse(const char *text, size_t len, int64_t *wall_ms);

/* "15s", "1h30m", "7d", "250ms" to milliseconds; a bare 0 is allowed, any other bare number is not.
 * Returns 0 or -1. */
int clock_parse_duration(const char *text, size_t len, int64_t *ms);

/* A text that clock_parse_duration reads as the same, with the units it needs: "15s", "1h30m". `ms`
 * is not negative. */
void clock_format_duration(int64_t ms, char out[CLOCK_TEXT_BYTES]);

#endif
