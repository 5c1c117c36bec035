/* SPDX-License-Identifier: MIT
 * What the fuzzers share. Each reads its input as hostile bytes, and ends with `require` where a
 * property of the program does not hold; libFuzzer then keeps the input.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As assert, whatever NDEBUG is. */
#define require(condition) fuzz_require((condition), #condition, __FILE__, __LINE__)

/* A function that stands in for `name`: the Makefile wraps it (ld --wrap), in libFuzzer too. And
 * the one that it stands in for. */
#define FUZZ_WRAPS(name) __asm__("__wrap_" name)
#define FUZZ_REAL(name) __asm__("__real_" name)

static inline void fuzz_require(bool holds, const char *condition, const char *file, int line)
{
    if (holds)
        return;
    fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line, condition);
    abort();
}

/* A copy that ends where the memory ends: the sanitizer sees a read of one byte too many. */
static inline char *fuzz_copy(const void *bytes, size_t len)
{
    char *copy = calloc(len > 0 ? len : 1, 1);

    if (copy == NULL)
        abort();
    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

/* The same with a NUL behind it. */
static inline char *fuzz_string(const void *bytes, size_t len)
{
    char *copy = calloc(len + 1, 1);

    if (copy == NULL)
        abort();
    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

/* The offset of a byte that must be there. */
static inline size_t fuzz_find(const char *bytes, size_t len, char byte)
{
    size_t at = 0;

    while (at < len && bytes[at] != byte)
        at++;
    require(at < len);
    return at;
}

static inline bool fuzz_is_printable(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] < ' ' || bytes[i] > '~')
            return false;
    return true;
}

/* Bytes of a set and no others; `set` is a string. */
static inline bool fuzz_is_of(const char *bytes, size_t len, const char *set)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] == '\0' || strchr(set, bytes[i]) == NULL)
            return false;
    return true;
}

#define FUZZ_DIGITS "0123456789"
#define FUZZ_ALNUM FUZZ_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

#endif
