/* SPDX-License-Identifier: MIT
 * Text of the HTML page, in ASCII whatever the input. Strings of reports are hostile: none may end
 * its element, hide, or turn the text around it.
 */
#include "output_internal.h"

#include <string.h>

#include "text.h"

/* The code point of a UTF-8 sequence of this length. */
static unsigned code_point(const unsigned char *s, size_t len)
{
    unsigned point = s[0] & (0x7fu >> len);

    for (size_t i = 1; i < len; i++)
        point = point << 6 | (s[i] & 0x3fu);
    return point;
}

/* Controls, what has no width, what sets a direction, and what HTML does not allow. */
static bool is_unseen(unsigned point)
{
    static const struct {
        unsigned first, last;
    } ranges[] = {
        {0x80, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},     {0x180e, 0x180e},
        {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},   {0xfdd0, 0xfdef},
        {0xfeff, 0xfeff}, {0xfff0, 0xfffb}, {0xe0000, 0xe0fff},
    };

    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (point >= ranges[i].first && point <= ranges[i].last)
            return true;
    return (point & 0xfffe) == 0xfffe;
}

void html_bytes(FILE *out, const char *bytes, size_t len)
{
    const unsigned char *p = (const unsigned char *)bytes, *end = p + len;

    while (p < end) {
        size_t utf8 = text_utf8_len(p, (size_t)(end - p));
        unsigned point = utf8 > 0 ? code_point(p, utf8) : *p;
        if (utf8 > 0)
            fprintf(out, is_unseen(point) ? "\\u{%04X}" : "&#%u;", point);
        else if (*p < 0x20 || *p > 0x7e || *p == '\\')
            fprintf(out, "\\x%02x", point);
        else if (strchr("<>&\"'", *p) != NULL)
            fprintf(out, "&#%u;", point);
        else
            putc(*p, out);
        p += utf8 > 0 ? utf8 : 1;
    }
}

void html_text(FILE *out, const char *string)
{
    html_bytes(out, string, strlen(string));
}

void html_number(FILE *out, int64_t number)
{
    char text[OUTPUT_NUMBER_SIZE];

    output_number(number, text);
    fputs(text, out);
}

void html_count(FILE *out, int64_t count, const char *singular, const char *plural)
{
    html_number(out, count);
    fprintf(out, " %s", count == 1 ? singular : plural);
}

void html_percent(FILE *out, int64_t part, int64_t whole)
{
    char text[OUTPUT_PERCENT_SIZE];

    output_percent(part, whole, text);
    html_text(out, text);
}

void html_date(FILE *out, summary_day_number day)
{
    char date[SUMMARY_DATE_SIZE];

    summary_date(day, date);
    fprintf(out, "<span class=\"d\">%s</span>", date);
}

void html_days(FILE *out, summary_day_number first, summary_day_number last)
{
    html_date(out, first);
    if (first != last) {
        fputs(" to ", out);
        html_date(out, last);
    }
}
