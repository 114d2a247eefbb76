#include "clock.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#define NS_PER_S  1000000000LL
#define US_PER_S  1000000LL
#define MS_PER_S  1000LL
#define S_PER_DAY 86400LL

#define FIRST_S (-62167219200LL) /* 0000-01-01T00:00:00Z */
#define LAST_S  (CLOCK_LAST_MS / MS_PER_S)

static int64_t now_ns(clockid_t id)
{
    struct timespec ts = {0, 0};
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t clock_mono_ns(void)
{
    return now_ns(CLOCK_MONOTONIC);
}

int64_t clock_mono_ms(void)
{
    return now_ns(CLOCK_MONOTONIC) / 1000000;
}

int64_t clock_wall_ms(void)
{
    return now_ns(CLOCK_REALTIME) / 1000000;
}

int64_t clock_wall_us(void)
{
    return now_ns(CLOCK_REALTIME) / 1000;
}

/*
 * Proleptic Gregorian calendar, counted in years that begin on 1 March, so that the leap day is a
 * year's last day. Years are shifted by 400 (one full cycle of 146097 days) to stay positive.
 */
static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = (int64_t)year + 400 - (month <= 2);
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return y * 365 + y / 4 - y / 100 + y / 400 + day_of_year - 719468 - 146097;
}

static void civil_from_days(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468 + 146097;
    int64_t era = z / 146097;
    int64_t doe = z % 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)(yoe + era * 400 - 400 + (*month <= 2));
}

static char *put_digits(char *at, int64_t value, int digits)
{
    for (int i = digits - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + digits;
}

/* `units` per second, `digits` of fraction. */
static void format_time(char *out, int64_t wall, int64_t units, int digits)
{
    int64_t first = FIRST_S * units;
    int64_t last = LAST_S * units + units - 1;
    wall = wall < first ? first : wall > last ? last : wall;

    int64_t since_first = wall - first; /* never negative: / and % round down */
    int64_t s = since_first / units;
    int64_t of_day = s % S_PER_DAY;
    int year, month, day;
    civil_from_days(s / S_PER_DAY + FIRST_S / S_PER_DAY, &year, &month, &day);

    char *at = put_digits(out, year, 4);
    *at++ = '-';
    at = put_digits(at, month, 2);
    *at++ = '-';
    at = put_digits(at, day, 2);
    *at++ = 'T';
    at = put_digits(at, of_day / 3600, 2);
    *at++ = ':';
    at = put_digits(at, of_day / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, of_day % 60, 2);
    *at++ = '.';
    at = put_digits(at, since_first % units, digits);
    *at++ = 'Z';
    *at = '\0';
}

void clock_format_ms(char out[CLOCK_RFC3339_MS_LEN + 1], int64_t wall_ms)
{
    format_time(out, wall_ms, MS_PER_S, 3);
}

void clock_format_us(char out[CLOCK_RFC3339_US_LEN + 1], int64_t wall_us)
{
    format_time(out, wall_us, US_PER_S, 6);
}

struct reader {
    const char *at;
    const char *end;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool read_char(struct reader *r, const char *one_of)
{
    if (r->at == r->end || *r->at == '\0' || strchr(one_of, *r->at) == NULL)
        return false;
    r->at++;
    return true;
}

static bool read_number(struct reader *r, int digits, int min, int max, int *value)
{
    int v = 0;
    for (int i = 0; i < digits; i++) {
        if (r->at == r->end || !is_digit(*r->at))
            return false;
        v = v * 10 + (*r->at++ - '0');
    }
    *value = v;
    return v >= min && v <= max;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

static bool read_date(struct reader *r, int64_t *days)
{
    int year, month, day;
    if (!read_number(r, 4, 0, 9999, &year) || !read_char(r, "-") || !read_number(r, 2, 1, 12, &month) ||
        !read_char(r, "-") || !read_number(r, 2, 1, days_in_month(year, month), &day))
        return false;
    *days = days_from_civil(year, month, day);
    return true;
}

static bool read_time_of_day(struct reader *r, int64_t *ms)
{
    int hour, minute, second;
    int fraction = 0;
    if (!read_number(r, 2, 0, 23, &hour) || !read_char(r, ":") || !read_number(r, 2, 0, 59, &minute) ||
        !read_char(r, ":") || !read_number(r, 2, 0, 60, &second))
        return false;
    if (read_char(r, ".")) {
        const char *start = r->at;
        for (int scale = 100; r->at < r->end && is_digit(*r->at); r->at++, scale /= 10)
            fraction += (*r->at - '0') * scale;
        if (r->at == start)
            return false;
    }
    if (second == 60) { /* a leap second has no place of its own in Unix time */
        second = 59;
        fraction = 999;
    }
    *ms = ((int64_t)hour * 3600 + minute * 60 + second) * MS_PER_S + fraction;
    return true;
}

static bool read_offset(struct reader *r, int64_t *offset_s)
{
    *offset_s = 0;
    if (read_char(r, "Zz"))
        return true;
    bool west = r->at < r->end && *r->at == '-';
    int hour, minute;
    if (!read_char(r, "+-") || !read_number(r, 2, 0, 23, &hour) || !read_char(r, ":") ||
        !read_number(r, 2, 0, 59, &minute))
        return false;
    *offset_s = (hour * 3600 + minute * 60) * (west ? -1 : 1);
    return true;
}

int clock_parse_rfc3339(const char *text, size_t len, int64_t *wall_ms)
{
    struct reader r = {text, text + len};
    int64_t days, ms, offset_s;
    if (!read_date(&r, &days) || !read_char(&r, "Tt ") || !read_time_of_day(&r, &ms) || !read_offset(&r, &offset_s) ||
        r.at != r.end)
        return -1;
    *wall_ms = (days * S_PER_DAY - offset_s) * MS_PER_S + ms;
    return 0;
}
