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

void json_string(FILE *out, const char *string)
{
    putc('"', out);
    for (const unsigned char *p = (const unsigned char *)string; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            fprintf(out, "\\%c", *p);
        else if (*p < 0x20 || *p > 0x7e)
            fprintf(out, "\\u%04x", *p);
        else
            putc(*p, out);
    }
    putc('"', out);
}
