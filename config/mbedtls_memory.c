/* SPDX-License-Identifier: MIT
 * The memory of our own Mbed TLS (make MBEDTLS_SRC=DIR). Of each connection it has two buffers of
 * 16 KB, since a record may be as long; hardly any is longer than 4 KB. Blocks of that size are
 * mapped one by one: pages that are never written to cost nothing, and all of them go back to the
 * system at the end of the connection, where in the heap a small block behind them could keep them.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <mbedtls/build_info.h>

#if defined(MBEDTLS_PLATFORM_CALLOC_MACRO)

#define MAPPED_MIN 8192
/* Linux allows a process 65,530 mappings, and unmapping one may need another for a moment. */
#define MAPPED_COUNT_MAX 32768

/* In front of each block; as large as its alignment. */
struct header {
    _Alignas(max_align_t) size_t mapped; /* octets of the mapping, this included; 0: in the heap */
};

static unsigned mapped_count;

static struct header *map(size_t size)
{
    if (size < MAPPED_MIN || mapped_count >= MAPPED_COUNT_MAX)
        return NULL;
    struct header *header =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (header == MAP_FAILED)
        return NULL;
    mapped_count++;
    header->mapped = size;
    return header;
}

void *mbedtls_memory_calloc(size_t count, size_t size)
{
    if (size > 0 && count > (SIZE_MAX - sizeof(struct header)) / size)
        return NULL;
    size_t total = sizeof(struct header) + count * size;
    struct header *header = map(total);
    if (header != NULL)
        return header + 1;
    header = calloc(1, total);
    return header == NULL ? NULL : header + 1;
}

void mbedtls_memory_free(void *block)
{
    struct header *header = block;

    if (block == NULL)
        return;
    header--;
    if (header->mapped == 0) {
        free(header);
        return;
    }
    mapped_count--;
    munmap(header, header->mapped);
}

#endif
