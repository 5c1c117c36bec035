/* SPDX-License-Identifier: MIT
 * Start-up memory: an arena, so that a configuration of ten thousand domains is a few large blocks
 * and is freed by one call. Nothing here is used while a connection is served.
 */
#include "memory.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE_MIN 512
#define BLOCK_SIZE_MAX 16384

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    alignas(max_align_t) unsigned char data[];
};

/* Twice as large each time: there are ten thousand arenas that hold just a few names. */
static size_t next_size(const struct arena_block *block)
{
    if (block == NULL)
        return BLOCK_SIZE_MIN;
    return block->size < BLOCK_SIZE_MAX / 2 ? 2 * block->size : BLOCK_SIZE_MAX;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    const size_t align = alignof(max_align_t);
    struct arena_block *block = arena->blocks;

    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + align - 1) / align * align;
    if (block == NULL || block->size - block->used < size) {
        size_t room = next_size(block);
        room = size > room ? size : room;
        block = calloc(1, sizeof *block + room);
        if (block == NULL)
            return NULL;
        block->size = room;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *result = block->data + block->used;
    block->used += size;
    return result;
}

char *arena_copy(struct arena *arena, const char *bytes, size_t len)
{
    char *copy = arena_alloc(arena, len + 1);

    if (copy != NULL && len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

void *arena_grow(struct arena *arena, void *items, size_t count, size_t item_size)
{
    if (count > 0 && (count & (count - 1)) != 0)
        return items;
    if (count > SIZE_MAX / 4 / item_size)
        return NULL;
    void *grown = arena_alloc(arena, (count == 0 ? 1 : 2 * count) * item_size);
    if (grown != NULL && count > 0)
        memcpy(grown, items, count * item_size);
    return grown;
}

void arena_free(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
}
