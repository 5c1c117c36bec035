/* SPDX-License-Identifier: MIT
 * The memory of a summary, all of it counted, and its sets: balanced trees, because whoever sends
 * reports chooses what is in them.
 */
#include <search.h>
#include <string.h>

#include "report/summary_internal.h"

#define NODE_SIZE 48 /* of a tree, as malloc gives it */

/* Zeroed memory of the summary; NULL when it has had all that it may have. `beside` is what else
 * goes with it. */
static void *take_memory(struct summary *s, size_t size, size_t beside)
{
    bool fits = s->used + size + beside <= SUMMARY_MEMORY_MAX;
    void *memory = fits ? arena_alloc(&s->arena, size) : NULL;

    if (memory == NULL)
        s->full = true;
    else
        s->used += size + beside;
    return memory;
}

const char *summary_keep(struct summary *s, const char *string)
{
    size_t size = strlen(string) + 1;
    char *copy = size == 1 ? NULL : take_memory(s, size, 0);

    return copy == NULL ? "" : memcpy(copy, string, size);
}

void *summary_set_find(const struct summary_set *set, const void *key,
                       int (*compare)(const void *, const void *))
{
    void *node = tfind(key, &set->root, compare);

    return node == NULL ? NULL : *(void **)node;
}

void *summary_set_add(struct summary *s, struct summary_set *set, const void *key, size_t size,
                      int (*compare)(const void *, const void *))
{
    void *item = s->full ? NULL : take_memory(s, size, NODE_SIZE + 2 * sizeof(void *));
    void **items =
        item == NULL ? NULL : arena_grow(&s->arena, set->items, set->count, sizeof *items);

    if (items == NULL)
        s->full = true;
    if (s->full)
        return NULL;
    memcpy(item, key, size);
    set->items = items;
    if (tsearch(item, &set->root, compare) == NULL) {
        s->full = true;
        return NULL;
    }
    set->items[set->count++] = item;
    return item;
}
