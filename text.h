/* SPDX-License-Identifier: MIT
 * Text built in a buffer of fixed size, and text made safe to print.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A buffer that text is appended to; always NUL-terminated. What does not fit is left out whole and
 * `overflow` stays set, so that one check at the end is enough. */
struct text {
    char *data; /* borrowed */
    size_t size;
    size_t len;
    bool overflow;
};

/* Starts with an empty string in data[size]; size must be at least 1. */
void text_init(struct text *text, char *data, size_t size);
void text_add(struct text *text, const char *string);
void text_add_bytes(struct text *text, const char *bytes, size_t len);
void text_addf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends bytes as printable ASCII: anything else, and the backslash, becomes \xNN. A byte in
 * `quote` is escaped with a backslash. */
void text_add_escaped(struct text *text, const char *bytes, size_t len, const char *quote);

/* Length of the UTF-8 sequence of more than one octet (RFC 3629 section 4) at s, of which len
 * octets may be read; 0 if there is none. */
size_t text_utf8_len(const unsigned char *s, size_t len);

/* Writes a JSON string with its quotes (RFC 8259 section 7), in ASCII whatever the input: UTF-8
 * becomes \uNNNN, and a byte that is neither ASCII nor UTF-8 \u00NN. */
void text_json_string(FILE *out, const char *string);

#endif
