/* SPDX-License-Identifier: MIT
 * Memory that runs out on order.
 */
#include "alloc.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SITES_MAX 1024

static struct {
    size_t fail_at, calls, taken, stride;
    struct site {
        const void *address;
        size_t calls;
    } sites[SITES_MAX]; /* by a hash of the address */
    enum alloc_mode mode;
    bool paused;
    long live;
    bool *failed; /* in memory that forked processes share */
} state;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): names of the linker's */
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __real_free(void *memory);
void __wrap_free(void *memory);

void alloc_fail_at(size_t n, enum alloc_mode mode)
{
    const char *stride = getenv("FAULTS_STRIDE");

    if (state.failed == NULL) {
        void *page = mmap(NULL, sizeof *state.failed, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert(page != MAP_FAILED);
        state.failed = page;
    }
    *state.failed = false;
    state.fail_at = n;
    state.mode = mode;
    state.calls = state.taken = 0;
    state.stride = stride == NULL ? ALLOC_STRIDE : strtoul(stride, NULL, 10);
    assert(state.stride > 0);
    memset(state.sites, 0, sizeof state.sites);
    state.paused = false;
}

void alloc_pause(bool on)
{
    state.paused = on;
}

size_t alloc_calls(void)
{
    return state.calls;
}

bool alloc_has_failed(void)
{
    return *state.failed;
}

long alloc_live(void)
{
    return state.live;
}

/* Whether this call from that place is one of those that are to fail. */
static bool takes_part(const void *address)
{
    size_t i = (size_t)((uintptr_t)address * UINT64_C(0x9e3779b97f4a7c15) >> 54);

    while (state.sites[i].address != NULL && state.sites[i].address != address)
        i = (i + 1) % SITES_MAX;
    struct site *site = &state.sites[i];
    site->address = address;
    site->calls++;
    return site->calls <= ALLOC_EACH || site->calls % state.stride == 0;
}

static bool fails(const void *address)
{
    if (state.failed == NULL || state.paused)
        return false;
    state.calls++;
    if (state.mode == ALLOC_ALWAYS && state.fail_at > 0 && state.taken >= state.fail_at) {
        errno = ENOMEM;
        return true;
    }
    if (!takes_part(address) || ++state.taken != state.fail_at)
        return false;
    *state.failed = true;
    errno = ENOMEM;
    return true;
}

static void *counted(void *memory)
{
    state.live += memory != NULL;
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
    if (fails(__builtin_return_address(0)))
        return NULL;
    if (memory == NULL)
        return counted(__real_realloc(NULL, size));
    return __real_realloc(memory, size);
}

void __wrap_free(void *memory)
{
    state.live -= memory != NULL;
    __real_free(memory);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
