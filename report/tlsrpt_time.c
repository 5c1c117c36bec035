/* SPDX-License-Identifier: MIT
 * The times of reports. RFC 8460 has them as RFC 3339 does; not every reporter keeps to that.
 */
#include <string.h>

#include "report/tlsrpt.h"

#define YEAR_MIN 2016
#define YEAR_MAX 2099

/* Reads exactly `digits` digits of *text; -1 if they are not there. */
static int take_number(const char **text, int digits, char before)
{
    int number = 0;

    if (before != '\0' && *(*text)++ != before)
        return -1;
    for (int i = 0; i < digits; i++) {
        char c = *(*text)++;
        if (c < '0' || c > '9')
            return -1;
        number = number * 10 + (c - '0');
    }
    return number;
}

/* "Z", "+01:00", "+0100" or nothing; seconds to take off. */
static bool take_zone(const char *text, long *offset, bool *zone)
{
    *offset = 0;
    *zone = *text != '\0';
    if (*text == '\0' || ((*text == 'Z' || *text == 'z') && text[1] == '\0'))
        return true;
    if (*text != '+' && *text != '-')
        return false;
    int sign = *text++ == '+' ? 1 : -1;
    int hours = take_number(&text, 2, '\0');
    int minutes = hours < 0 ? -1 : take_number(&text, 2, *text == ':' ? ':' : '\0');
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || *text != '\0')
        return false;
    *offset = sign * (hours * 3600L + minutes * 60L);
    return true;
}

static bool is_date(const struct tm *tm)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = tm->tm_year + 1900;

    /* No year from the first to the last is a hundredth without a leap day. */
    return year >= YEAR_MIN && year <= YEAR_MAX && tm->tm_mon >= 0 && tm->tm_mon < 12 &&
           tm->tm_mday >= 1 && tm->tm_mday <= days[tm->tm_mon] + (tm->tm_mon == 1 && year % 4 == 0);
}

bool tlsrpt_time(const char *text, time_t *when, bool *zone)
{
    struct tm tm = {.tm_isdst = 0};
    long offset = 0;
    size_t len = strlen(text);

    *zone = false;
    if (len < 10 || len > 40)
        return false;
    tm.tm_year = take_number(&text, 4, '\0') - 1900;
    if (*text != '-')
        return false;
    tm.tm_mon = take_number(&text, 2, '-') - 1;
    if (*text != '-')
        return false;
    tm.tm_mday = take_number(&text, 2, '-');
    if (!is_date(&tm))
        return false;
    if (*text != '\0') {
        if (strlen(text) < 9 || (*text != 'T' && *text != 't' && *text != ' '))
            return false;
        text++;
        tm.tm_hour = take_number(&text, 2, '\0');
        tm.tm_min = take_number(&text, 2, ':');
        tm.tm_sec = take_number(&text, 2, ':');
        if (tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 ||
            tm.tm_sec > 60)
            return false;
        if (*text == '.') {
            text++;
            text += strspn(text, "0123456789");
        }
        if (!take_zone(text, &offset, zone))
            return false;
    }
    *when = timegm(&tm) - offset;
    return true;
}
