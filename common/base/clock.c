/* RFC 3339 and durations; see clock.h. */
#include "common/base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z, the range of RFC 3339. */
static const int64_t FIRST_MS = -62167219200000, LAST_MS = 253402300799999;

void clock_format(int64_t wall_ms, char out[CLOCK_TEXT_BYTES]) {
    wall_ms = wall_ms < FIRST_MS ? FIRST_MS : wall_ms > LAST_MS ? LAST_MS : wall_ms;
    int ms = (int)(((wall_ms % 1000) + 1000) % 1000);
    time_t seconds = (time_t)((wall_ms - ms) / 1000);
    struct tm tm = {0};
    char rest[sizeof "-05-07T14:03:11"];
    gmtime_r(&seconds, &tm);

    /* %Y does not pad. */
    strftime(rest, sizeof rest, "-%m-%dT%H:%M:%S", &tm);
    snprintf(out, CLOCK_TEXT_BYTES, "%04d%s.%03dZ", tm.tm_year + 1900, rest, ms);
}

/* Reads exactly `digits` digits. Returns -1 on any other character. */
static int clock_take_number(const char **at, const char *end, int digits) {
    int n = 0;
    if (end - *at < digits)
        return -1;
    for (int i = 0; i < digits; i++) {
        char c = (*at)[i];
        if (c < '0' || c > '9')
            return -1;
        n = n * 10 + (c - '0');
    }
    *at += digits;
    return n;
}

static bool clock_take_letter(const char **at, const char *end, char lower) {
    if (*at >= end || (**at | 0x20) != (lower | 0x20))
        return false;
    (*at)++;
    return true;
}

static int days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* Reads the part after the seconds: a fraction in milliseconds, then the offset in minutes. */
static int fraction_and_offset(const char **at, const char *end, int64_t *ms, int64_t *offset_min) {
    *ms = 0;
    if (*at < end && **at == '.') {
        int64_t scale = 100;
        const char *first = ++*at;
        for (; *at < end && **at >= '0' && **at <= '9'; (*at)++, scale /= 10)
            *ms += scale * (**at - '0');
        if (*at == first)
            return -1;
    }
    *offset_min = 0;
    if (clock_take_letter(at, end, 'z'))
        return 0;
    if (*at >= end || (**at != '+' && **at != '-'))
        return -1;
    int sign = *(*at)++ == '-' ? -1 : 1;
    int hours = clock_take_number(at, end, 2);
    if (hours < 0 || hours > 23 || *at >= end || *(*at)++ != ':')
        return -1;
    int minutes = clock_take_number(at, end, 2);
    if (minutes < 0 || minutes > 59)
        return -1;
    *offset_min = sign * (hours * 60 + minutes);
    return 0;
}

/* A leap second ends a month in UTC (RFC 3339, appendix D), so the second after it begins a
 * month. */
static bool follows_leap_second(int64_t seconds) {
    time_t t = (time_t)seconds;
    struct tm tm = {0};
    gmtime_r(&t, &tm);
    return tm.tm_mday == 1 && tm.tm_hour == 0 && tm.tm_min == 0 && tm.tm_sec == 0;
}

int clock_parse(const char *text, size_t len, int64_t *wall_ms) {
    const char *at = text, *end = text + len;
    int64_t ms, offset_min;
    int year = clock_take_number(&at, end, 4);
    if (year < 0 || at >= end || *at++ != '-')
        return -1;
    int month = clock_take_number(&at, end, 2);
    if (month < 1 || month > 12 || at >= end || *at++ != '-')
        return -1;
    int day = clock_take_number(&at, end, 2);
    if (day < 1 || day > days_in_month(year, month) || !clock_take_letter(&at, end, 't'))
        return -1;
    int hour = clock_take_number(&at, end, 2);
    if (hour < 0 || hour > 23 || at >= end || *at++ != ':')
        return -1;
    int minute = clock_take_number(&at, end, 2);
    if (minute < 0 || minute > 59 || at >= end || *at++ != ':')
        return -1;
    int second = clock_take_number(&at, end, 2);
    if (second < 0 || second > 60 || fraction_and_offset(&at, end, &ms, &offset_min) || at != end)
        return -1;
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute,
                    .tm_sec = second};
    int64_t seconds = (int64_t)timegm(&tm) - offset_min * 60;
    if (second == 60 && !follows_leap_second(seconds))
        return -1;
    if (wall_ms)
        *wall_ms = seconds * 1000 + ms;
    return 0;
}

static const struct unit {
    const char *name;
    int64_t ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"ms", 1}, {"m", 60000}, {"s", 1000}};
enum { UNITS = sizeof units / sizeof *units };

static const struct unit *unit_at(const char *at, const char *end) {
    for (size_t i = 0; i < UNITS; i++) {
        size_t n = strlen(units[i].name);
        if ((size_t)(end - at) >= n && memcmp(at, units[i].name, n) == 0)
            return &units[i];
    }
    return NULL;
}

int clock_parse_duration(const char *text, size_t len, int64_t *ms) {
    const char *at = text, *end = text + len;
    int64_t total = 0, last_unit = INT64_MAX;
    if (len == 1 && *text == '0') {
        *ms = 0;
        return 0;
    }
    if (len == 0)
        return -1;
    while (at < end) {
        int64_t n = 0;
        const char *first = at;
        for (; at < end && *at >= '0' && *at <= '9'; at++)
            if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *at - '0', &n))
                return -1;
        const struct unit *unit = unit_at(at, end);
        if (at == first || !unit || unit->ms >= last_unit ||
            __builtin_mul_overflow(n, unit->ms, &n) || __builtin_add_overflow(total, n, &total))
            return -1;
        at += strlen(unit->name);
        last_unit = unit->ms;
    }
    *ms = total;
    return 0;
}

void clock_format_duration(int64_t ms, char out[CLOCK_TEXT_BYTES]) {
    static const struct unit order[] = {
        {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    size_t used = 0;
    snprintf(out, CLOCK_TEXT_BYTES, "0");
    for (size_t i = 0; i < UNITS && used < CLOCK_TEXT_BYTES; i++) {
        if (ms / order[i].ms == 0)
            continue;
        used += (size_t)snprintf(out + used, CLOCK_TEXT_BYTES - used, "%lld%s",
                                 (long long)(ms / order[i].ms), order[i].name);
        ms %= order[i].ms;
    }
}
