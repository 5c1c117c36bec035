/* SPDX-License-Identifier: MIT
 * Start-up memory: many small pieces that live and die together.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stddef.h>

/* An arena; {0} is an empty one. */
struct arena {
    struct arena_block *blocks;
};

/* Zeroed memory that lives until arena_free; NULL when there is none. */
void *arena_alloc(struct arena *arena, size_t size);
/* Copies len bytes and adds a NUL; NULL when there is no memory. */
char *arena_copy(struct arena *arena, const char *bytes, size_t len);
/* Makes room for one more item after `count` items of item_size bytes in an array of the arena:
 * returns the array, moved when it had to grow (capacities are the powers of two), or NULL without
 * memory. */
void *arena_grow(struct arena *arena, void *items, size_t count, size_t item_size);
void arena_free(struct arena *arena);

#endif
