/* SPDX-License-Identifier: MIT
 * Memory that runs out on order. The linker's --wrap leads to alloc.c all calls of malloc, calloc,
 * realloc and free in the program's objects, and in Mbed TLS and inih, which are linked statically
 * for it; behind it is the sanitizer's allocator.
 */
#ifndef FAULTS_ALLOC_H
#define FAULTS_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

enum alloc_mode {
    ALLOC_ONCE,   /* one call fails */
    ALLOC_ALWAYS, /* and all that come after it */
};

/* From here on calls are counted, in this process and, from where it is then, in each one that it
 * forks; the n-th of those that take part fails. 0: none does. A handshake asks for memory more
 * than ten thousand times, and nearly always for a number to reckon with: of each place that asks,
 * the first ALLOC_EACH calls take part, and after them each FAULTS_STRIDE-th (of the environment;
 * ALLOC_STRIDE). */
void alloc_fail_at(size_t n, enum alloc_mode mode);
#define ALLOC_EACH 64
#define ALLOC_STRIDE 16
/* Neither counted nor failing, until it is switched on again. */
void alloc_pause(bool on);
/* Calls counted since alloc_fail_at. */
size_t alloc_calls(void);
/* Whether one has failed since alloc_fail_at, in this process or one that it has forked. */
bool alloc_has_failed(void);
/* Pieces of memory that have been allocated and not been freed. */
long alloc_live(void);

#endif
