/* SPDX-License-Identifier: MIT
 * libFuzzer: any bytes into unpack_bytes, and what looks like an mbox into input_read, too. Built
 * and run by tests/fuzz/run.sh.
 */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "report/input.h"
#include "report/unpack.h"

#define NAME "F"

static size_t calls;

static void check_name(const char *name, const char *begin)
{
    require(strncmp(name, begin, strlen(begin)) == 0);
    require(strlen(name) < UNPACK_NAME_SIZE);
    calls++;
}

static void take_report(void *context, const char *name, const char *json, size_t len)
{
    check_name(name, context);
    require(len <= UNPACK_MAX_DEFAULT / 64);
    require(unpack_kind(json, len) == UNPACK_JSON);
}

static void take_fault(void *context, const char *name, const char *why)
{
    check_name(name, context);
    require(why[0] != '\0');
    for (; *why != '\0'; why++)
        require(*why >= ' ' && *why <= '~');
}

static void take_empty(void *context, const char *name)
{
    check_name(name, context);
}

/* Small, so that what is too large is found, too. */
static struct unpack_sink sink = {
    .max = UNPACK_MAX_DEFAULT / 64,
    .report = take_report,
    .fault = take_fault,
    .empty = take_empty,
};

static void read_as_file(const uint8_t *data, size_t size)
{
    int fd = memfd_create("mbox", MFD_CLOEXEC);
    char path[64];

    require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    sink.context = path;
    calls = 0;
    require(input_read(&sink, path));
    require(calls > 0);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;

    if (!ready)
        mail_init();
    ready = true;
    calls = 0;
    sink.context = NAME;
    unpack_bytes(&sink, NAME, (const char *)data, size);
    require(calls > 0);
    if (unpack_kind((const char *)data, size) == UNPACK_MBOX)
        read_as_file(data, size);
    return 0;
}
