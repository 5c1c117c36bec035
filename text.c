/* SPDX-License-Identifier: MIT
 * Text built in a buffer of fixed size, and text made safe to print. The bytes that are escaped
 * here may come from a client, an INI file or a certificate: all are hostile.
 */
#include "text.h"

#include <stdarg.h>
#include <string.h>

void text_init(struct text *text, char *data, size_t size)
{
    *text = (struct text){.data = data, .size = size};
    data[0] = '\0';
}

void text_add_bytes(struct text *text, const char *bytes, size_t len)
{
    if (len >= text->size - text->len) {
        text->overflow = true;
        return;
    }
    memcpy(text->data + text->len, bytes, len);
    text->len += len;
    text->data[text->len] = '\0';
}

void text_add(struct text *text, const char *string)
{
    text_add_bytes(text, string, strlen(string));
}

void text_addf(struct text *text, const char *format, ...)
{
    size_t room = text->size - text->len;
    va_list args;

    va_start(args, format);
    int written = vsnprintf(text->data + text->len, room, format, args);
    va_end(args);
    if (written < 0 || (size_t)written >= room) {
        text->data[text->len] = '\0';
        text->overflow = true;
        return;
    }
    text->len += (size_t)written;
}

void text_add_escaped(struct text *text, const char *bytes, size_t len, const char *quote)
{
    for (size_t i = 0; i < len && !text->overflow; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c < 0x20 || c > 0x7e || c == '\\')
            text_addf(text, "\\x%02x", c);
        else if (strchr(quote, c) != NULL)
            text_addf(text, "\\%c", c);
        else
            text_add_bytes(text, &bytes[i], 1);
    }
}

size_t text_utf8_len(const unsigned char *s, size_t len)
{
    size_t need = s[0] >= 0xc2 && s[0] <= 0xdf   ? 2
                  : s[0] >= 0xe0 && s[0] <= 0xef ? 3
                  : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                                 : 0;
    if (need == 0 || need > len)
        return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return need;
}

/* The code point of a UTF-8 sequence of this length, beyond U+FFFF as a surrogate pair. */
static void json_code_point(FILE *out, const unsigned char *s, size_t len)
{
    unsigned point = s[0] & (0x7fu >> len);

    for (size_t i = 1; i < len; i++)
        point = point << 6 | (s[i] & 0x3fu);
    if (point > 0xffff) {
        point -= 0x10000;
        fprintf(out, "\\u%04x", 0xd800 | point >> 10);
        point = 0xdc00 | (point & 0x3ff);
    }
    fprintf(out, "\\u%04x", point);
}

void text_json_string(FILE *out, const char *string)
{
    const unsigned char *p = (const unsigned char *)string, *end = p + strlen(string);

    putc('"', out);
    while (p < end) {
        size_t utf8 = text_utf8_len(p, (size_t)(end - p));
        if (utf8 > 0)
            json_code_point(out, p, utf8);
        else if (*p == '"' || *p == '\\')
            fprintf(out, "\\%c", *p);
        else if (*p < 0x20 || *p > 0x7e)
            fprintf(out, "\\u%04x", *p);
        else
            putc(*p, out);
        p += utf8 > 0 ? utf8 : 1;
    }
    putc('"', out);
}
